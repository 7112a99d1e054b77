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

/**
 * The soft limit of this process, which Node has raised at its start: to the hard one, or where that is none (macOS, whose soft
 * one is 256) as far as the kernel lets it. Null where nobody tells.
 */
export function readOpenFiles(path = '/proc/self/limits', reported = reportedOpenFiles): number | null {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return reported();
  }
  const [, soft] = /^Max open files\s+(\d+)\s/m.exec(text) ?? [];
  return soft === undefined ? null : Number(soft);
}

/** What Node's own report of this process says of its limits: getrlimit(2), on systems without /proc. */
export function reportedOpenFiles(report: () => unknown = readReport): number | null {
  let at = report();
  for (const key of ['userLimits', 'open_files', 'soft'])
    at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined;
  // `unlimited` is a word.
  return typeof at === 'number' && Number.isSafeInteger(at) && at > 0 ? at : null;
}

/** Node's types do not have it yet. */
const WITHOUT_NETWORK = 'excludeNetwork';

function readReport(): unknown {
  const { report } = process;
  const before: unknown = Reflect.get(report, WITHOUT_NETWORK);
  try {
    // Else it looks up the names of every address that is connected.
    Reflect.set(report, WITHOUT_NETWORK, true);
    return report.getReport();
  } catch {
    return null;
  } finally {
    Reflect.set(report, WITHOUT_NETWORK, before);
  }
}
