/**
 * How many connections of a guest the descriptors of this process can carry, so that a guest meets a limit that
 * is told and recorded before the kernel refuses sand its next descriptor. Decides numbers only.
 */
import { readFileSync } from 'node:fs';
import { DNS_LIMITS } from '../../dns/limits.ts';
import { PROXY_BOUNDS } from '../../proxy/limits.ts';

/** The log, the event loop, the standard streams, the link's processes and the files being read: twice what is ever open. */
const OWN_DESCRIPTORS = 64;
/** What the resolver and the pool may hold at their own limits. */
const SHARED_DESCRIPTORS =
  2 * DNS_LIMITS.concurrentLookups + DNS_LIMITS.streamConnections + PROXY_BOUNDS.idleUpstreams;
/** The guest's own socket and the upstream's. */
const DESCRIPTORS_PER_CONNECTION = 2;
/** Fewer would make an ordinary build wait; here the kernel may refuse first, and that is survived too. */
const LEAST_CONNECTIONS = 16;

/** `openFiles` null: not known, and the proxy's own limit stands. `listeners`: planted ports. Pure. */
export function connectionsWithin(openFiles: number | null, listeners: number, wanted: number): number {
  if (openFiles === null) return wanted;
  const left = openFiles - OWN_DESCRIPTORS - SHARED_DESCRIPTORS - listeners;
  return Math.min(wanted, Math.max(LEAST_CONNECTIONS, Math.floor(left / DESCRIPTORS_PER_CONNECTION)));
}

/** The soft limit of this process, which Node has raised to the hard one at its start; null where nobody tells. */
export function readOpenFiles(path = '/proc/self/limits'): number | null {
  try {
    const [, soft] = /^Max open files\s+(\d+)\s/m.exec(readFileSync(path, 'latin1')) ?? [];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}
