/** What `tart run` asks of a guest, and which of the two ways of making one is taken. What its end means is decided by run.ts. */
import type { Ends } from '../../container/runtime/ends.ts';
import type { TartHome } from '../home.ts';
import type { Settings } from '../settings.ts';
import type { Share } from '../shares.ts';
import type { Vm } from '../vms.ts';
import type { Cable } from './cable.ts';
import type { AgentRequest } from './frames.ts';
import { bootNamespaces } from './namespaces.ts';
import { bootQemu } from './qemu.ts';

export interface Machine {
  /** Resolves with the status of the guest's first process, 0 where it has shut itself down. */
  readonly ended: Promise<number>;
  /** Whether it has booted by now. */
  isUp(): boolean;
  /** By the first process itself, as at a press of the power button. */
  shutDown(): void;
  /** At once; resolves when nothing is left of it. */
  powerOff(): Promise<void>;
  /** Of its card; null while it has none. */
  address(): Promise<string | null>;
  /** Runs a command in it, which reports in the lines of entry.c. */
  run(request: AgentRequest & { kind: 'exec' }): Ends;
  /** Ends a process of it. */
  kill(pid: number): void;
}

/** Its card is plugged in once this has resolved, or the cable is gone. */
export type Boot = (home: TartHome, vm: Vm, shares: readonly Share[], cable: Cable) => Promise<Machine>;

export const BOOTS: Readonly<Record<Settings['runtime'], Boot>> = {
  namespaces: bootNamespaces,
  qemu: bootQemu,
};
