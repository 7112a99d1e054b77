/**
 * The order in which servers are asked: as named, those that just gave no answer last, so that one dead server
 * does not slow down every lookup. Knows nothing of what they were asked.
 */
import type { DnsUpstream } from './context.ts';
import { upstreamKey } from './upstream-flag.ts';

export interface ServerOrder {
  order(servers: readonly DnsUpstream[]): readonly DnsUpstream[];
  /** It gave no answer at all; an error is an answer. */
  silent(server: DnsUpstream): void;
  answered(server: DnsUpstream): void;
}

/** resolv.conf may change many times in a run; what is remembered of servers that are gone stays small. */
const MOST_REMEMBERED = 64;

/** `now` gives milliseconds that do not run backwards. */
export function createServerOrder(passedOverMs: number, now: () => number): ServerOrder {
  const until = new Map<string, number>();
  const isSilent = (server: DnsUpstream): boolean => (until.get(upstreamKey(server)) ?? 0) > now();
  return {
    order(servers) {
      if (until.size === 0) return servers;
      return [
        ...servers.filter((server) => !isSilent(server)),
        ...servers.filter((server) => isSilent(server)),
      ];
    },
    silent(server) {
      if (until.size >= MOST_REMEMBERED) until.clear();
      until.set(upstreamKey(server), now() + passedOverMs);
    },
    answered(server) {
      until.delete(upstreamKey(server));
    },
  };
}
