/** The way in to a guest, as every link that has one gives it: a connection to a server of the guest. Types only. */
import type { Socket } from 'node:net';

export type Dialled =
  | { readonly ok: true; readonly socket: Socket }
  /** The guest has no server there, or the way to it failed. */
  | { readonly ok: false; readonly detail: string };

/** Never rejects. Bytes of the guest may be in the socket's buffer already; it keeps its half when the guest ends its own. */
export type Dial = (port: number) => Promise<Dialled>;
