/** Where a connection's sequence numbers begin: RFC 6528, so that nobody off the cable can guess them. */
import { hash } from 'node:crypto';
import type { Sequence } from './sequence.ts';

/** One step each 4 microseconds. */
const STEPS_PER_MS = 250;

export interface ConnectionEnds {
  readonly localAddress: number;
  readonly localPort: number;
  readonly remoteAddress: number;
  readonly remotePort: number;
}

/** The secret is made once for a stack, of random bytes. */
export function initialSequence(ends: ConnectionEnds, secret: string, nowMs: number): Sequence {
  const { localAddress, localPort, remoteAddress, remotePort } = ends;
  const told = `${secret} ${localAddress} ${localPort} ${remoteAddress} ${remotePort}`;
  const offset = Number.parseInt(hash('sha256', told, 'hex').slice(0, 8), 16);
  return (offset + Math.floor(nowMs * STEPS_PER_MS)) >>> 0;
}
