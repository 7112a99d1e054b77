/** What the keeper asks of a runtime: to bring the guest about, and nothing of what is kept of it. */
import type { Container } from '../containers.ts';
import type { ProcessIdentity } from '../processes.ts';
import type { Settings } from '../settings.ts';
import type { Ends } from './ends.ts';

/** Of the call that starts the guest. */
export interface Request {
  readonly directory: string;
  readonly id: string;
  readonly isInteractive: boolean;
  readonly isAttached: boolean;
}

export interface Launched {
  /** Of the entrypoint. */
  readonly ends: Ends;
  /** Of the process whose end is the guest's, once the entrypoint has begun with this number. */
  initOf(pid: number): ProcessIdentity | null;
}

/** `sockets` is the keeper's folder for them, and its working directory. */
export type Launch = (
  settings: Settings,
  container: Container,
  sockets: string,
  request: Request,
) => Promise<Launched>;

/** The descriptor that tells the keeper of the caller's window. */
export const RESIZE = 4;
