/** Who a connection of the guest's is read and written by, and what it is told. */

/** How a connection ended: both sides said everything; a reset; nobody answered any more. */
export type Ending = 'done' | 'reset' | 'timed-out';

/** Who reads and writes the bytes of a connection. Called between two batches of frames, never within one. */
export interface Application {
  /** Of what it was given, still to be read by whoever it serves. */
  readonly unread: number;
  /** The handshake is through. */
  opened(): void;
  received(bytes: Buffer): void;
  /** The guest says no more. */
  ended(): void;
  /** Something was acknowledged. */
  drained(): void;
  /** The last word. */
  finished(ending: Ending): void;
}
