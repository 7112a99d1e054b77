/** The way in to a guest, as every link that has one gives it: a connection to a server of the guest. Types only. */
import type { GuestSocket } from '../../proxy/reader.ts';

export type Dialled<Connection extends GuestSocket = GuestSocket> =
  | { readonly ok: true; readonly socket: Connection }
  /** The guest has no server there, or the way to it failed. */
  | { readonly ok: false; readonly detail: string };

/** Never rejects. Bytes of the guest may be in the socket's buffer already; it keeps its half when the guest ends its own. */
export type Dial = (port: number) => Promise<Dialled>;
