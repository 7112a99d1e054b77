/**
 * Sand's own client: finds the addresses of a name with the host's resolvers, one after the other, within one
 * time limit, and remembers them. It judges nothing: whether a name may be asked is decided before.
 */
import { randomInt } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { parseAddress } from '../policies/address.ts';
import type { Hostname, IpAddress } from '../policies/model.ts';
import { type AnswerCache, createAnswerCache } from './answer-cache.ts';
import type { DnsUpstream, PlainUpstream } from './context.ts';
import { DNS_LIMITS, type DnsLimits } from './limits.ts';
import { RCODES, TYPES } from './message.ts';
import type { Resolution } from './plan.ts';
import { createServerOrder, type ServerOrder } from './server-order.ts';
import { createSystemResolvers } from './system-resolvers.ts';
import { createTransport } from './upstream-choice.ts';
import { formatUpstream } from './upstream-flag.ts';
import type { UpstreamRecord } from './upstream-message.ts';
import type { TransportReply, UpstreamTransport } from './upstream-transport.ts';

export interface UpstreamClient {
  /** The name is asked as absolute: no search list. Rejects only with the reason of an aborted signal. */
  lookup(name: Hostname, signal: AbortSignal): Promise<Resolution>;
  /** Ends every lookup at once; they settle as failed. */
  close(): void;
}

export interface UpstreamOptions {
  /** Read anew for each question. */
  readonly upstreams: (name?: Hostname) => readonly DnsUpstream[];
  readonly limits?: DnsLimits;
  readonly transport?: UpstreamTransport;
  /** Who finds a server that is known by name alone; the system's own where absent. Plain servers only. */
  readonly finders?: (name?: Hostname) => readonly PlainUpstream[];
  /** PEM certificates to believe of encrypted servers; absent: as `upstream-trust.ts` says. */
  readonly authorities?: readonly string[];
  /** Milliseconds that do not run backwards. */
  readonly now?: () => number;
}

/** What is known of one family, and for how long. */
interface FamilyAnswer {
  readonly resolution: Resolution;
  readonly ttlSeconds: number;
}

type Family = typeof TYPES.A | typeof TYPES.AAAA;

export function createUpstreamClient(options: UpstreamOptions): UpstreamClient {
  const limits = options.limits ?? DNS_LIMITS;
  const now = options.now ?? (() => performance.now());
  const cache: AnswerCache<Hostname, Resolution> = createAnswerCache(limits.cacheEntries, now);
  const order = createServerOrder(limits.passedOverMs, now);
  const inFlight = new Map<Hostname, Promise<Resolution>>();
  const closing = new AbortController();
  const transport = options.transport ?? createOwnTransport(options, limits, closing.signal);
  const slots = createSlots(limits.concurrentLookups, limits.waitingLookups);

  async function resolveNow(name: Hostname): Promise<Resolution> {
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), limits.lookupMs);
    const signal = AbortSignal.any([giveUp.signal, closing.signal]);
    try {
      if (!(await slots.take(signal))) return { kind: 'failed', detail: 'too many lookups at a time' };
      try {
        const answer = await askFamilies(name, { ...options, limits, transport, order, signal });
        cache.set(name, answer.resolution, answer.ttlSeconds);
        return answer.resolution;
      } finally {
        slots.release();
      }
    } finally {
      clearTimeout(timer);
      giveUp.abort();
    }
  }

  return {
    async lookup(name, signal) {
      signal.throwIfAborted();
      const known = cache.get(name);
      if (known !== null) return known;
      let shared = inFlight.get(name);
      if (shared === undefined) {
        shared = resolveNow(name).finally(() => inFlight.delete(name));
        inFlight.set(name, shared);
      }
      return untilAborted(shared, signal);
    },
    close: () => closing.abort(),
  };
}

function createOwnTransport(
  options: UpstreamOptions,
  limits: DnsLimits,
  closing: AbortSignal,
): UpstreamTransport {
  let finder: UpstreamClient | null = null;
  return createTransport({
    limits,
    closing,
    known: options.upstreams(),
    find(name, signal) {
      finder ??= createUpstreamClient({ upstreams: options.finders ?? createSystemResolvers(), limits });
      return finder.lookup(name, signal);
    },
    ...(options.authorities === undefined ? {} : { authorities: options.authorities }),
  });
}

interface Ask {
  readonly upstreams: (name?: Hostname) => readonly DnsUpstream[];
  readonly limits: DnsLimits;
  readonly transport: UpstreamTransport;
  readonly order: ServerOrder;
  readonly signal: AbortSignal;
}

/** Both families at once; a family that hangs does not hold up the other for long. */
async function askFamilies(name: Hostname, ask: Ask): Promise<FamilyAnswer> {
  const patience = new AbortController();
  const signal = AbortSignal.any([ask.signal, patience.signal]);
  let timer: NodeJS.Timeout | undefined;
  const run = async (family: Family): Promise<FamilyAnswer> => {
    const answer = await askFamily(name, family, { ...ask, signal });
    if (answer.resolution.kind === 'addresses') {
      timer ??= setTimeout(() => patience.abort(), ask.limits.secondFamilyMs);
    }
    return answer;
  };
  try {
    return combineFamilies(await Promise.all([run(TYPES.A), run(TYPES.AAAA)]), ask.limits);
  } finally {
    clearTimeout(timer);
  }
}

function combineFamilies(answers: readonly FamilyAnswer[], limits: DnsLimits): FamilyAnswer {
  const addresses = answers.flatMap(({ resolution }) =>
    resolution.kind === 'addresses' ? resolution.addresses : [],
  );
  const failure = answers.find(({ resolution }) => resolution.kind === 'failed');
  if (addresses.length > 0) {
    const known = answers.filter(({ resolution }) => resolution.kind === 'addresses');
    const ttlSeconds = Math.min(limits.cacheMaxSeconds, ...known.map((answer) => answer.ttlSeconds));
    // Half an answer is worth little: the other family is asked again soon.
    const kept = failure === undefined ? ttlSeconds : Math.min(ttlSeconds, limits.failureSeconds);
    return { resolution: { kind: 'addresses', addresses }, ttlSeconds: kept };
  }
  if (failure !== undefined) return { resolution: failure.resolution, ttlSeconds: limits.failureSeconds };
  const exists = answers.every(({ resolution }) => resolution.kind === 'not-found' && resolution.exists);
  const ttlSeconds = Math.min(limits.negativeMaxSeconds, ...answers.map((answer) => answer.ttlSeconds));
  return { resolution: { kind: 'not-found', exists }, ttlSeconds };
}

/** One family of one name, through its CNAMEs: within an answer, and by further questions where it stops short. */
async function askFamily(name: Hostname, family: Family, ask: Ask): Promise<FamilyAnswer> {
  let target = name;
  let ttlSeconds = ask.limits.cacheMaxSeconds;
  let steps = 0;
  for (let asks = 0; asks <= ask.limits.chainAsks; asks += 1) {
    const reply = await askServers(target, family, ask);
    if (reply.kind === 'failed') return failed(reply.detail);
    const asked = target;
    for (
      let alias = findAlias(reply.records, target);
      alias !== null;
      alias = findAlias(reply.records, target)
    ) {
      steps += 1;
      if (steps > ask.limits.chainSteps) return failed('a chain of CNAMEs without an end');
      if (alias.target === null) return failed('a CNAME that leads to no hostname');
      target = alias.target;
      ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds);
    }
    const found = collectAddresses(reply.records, target, ask.limits.addressesPerFamily);
    if (found.addresses.length > 0) {
      return {
        resolution: { kind: 'addresses', addresses: found.addresses },
        ttlSeconds: Math.min(ttlSeconds, found.ttlSeconds),
      };
    }
    const negativeSeconds = Math.min(ttlSeconds, reply.negativeSeconds ?? 0);
    if (reply.rcode === RCODES.NXDOMAIN) {
      return { resolution: { kind: 'not-found', exists: false }, ttlSeconds: negativeSeconds };
    }
    if (target === asked || reply.negativeSeconds !== null) {
      return { resolution: { kind: 'not-found', exists: true }, ttlSeconds: negativeSeconds };
    }
  }
  return failed('a chain of CNAMEs without an end');
}

function failed(detail: string): FamilyAnswer {
  return { resolution: { kind: 'failed', detail }, ttlSeconds: 0 };
}

function findAlias(
  records: readonly UpstreamRecord[],
  owner: Hostname,
): { readonly target: Hostname | null; readonly ttlSeconds: number } | null {
  for (const record of records) {
    if (record.data.kind !== 'cname' || record.owner !== owner) continue;
    // `readReply` lets nothing but lower-case letters, digits, `-` and `_` through in a name.
    const target = record.data.target === '' ? null : (record.data.target as Hostname | null);
    return { target, ttlSeconds: record.ttlSeconds };
  }
  return null;
}

function collectAddresses(
  records: readonly UpstreamRecord[],
  owner: Hostname,
  most: number,
): { readonly addresses: readonly IpAddress[]; readonly ttlSeconds: number } {
  const addresses = new Set<IpAddress>();
  let ttlSeconds = Number.POSITIVE_INFINITY;
  for (const record of records) {
    if (record.data.kind !== 'address' || record.owner !== owner || addresses.size >= most) continue;
    const parsed = parseAddress(record.data.text);
    if (!parsed.ok) continue;
    addresses.add(parsed.value);
    ttlSeconds = Math.min(ttlSeconds, record.ttlSeconds);
  }
  return { addresses: [...addresses], ttlSeconds };
}

/** The first server that gives an answer on the merits; others are passed over, twice round. */
async function askServers(name: Hostname, type: Family, ask: Ask): Promise<TransportReply> {
  const failures = new Map<string, string>();
  const failed = (): TransportReply => ({
    kind: 'failed',
    detail:
      [...failures].map(([server, why]) => `${server}: ${why}`).join('; ') || 'no upstream resolver is known',
  });
  for (let round = 0; round < ask.limits.upstreamRounds; round += 1) {
    // Read anew: a machine that moved to another network is asked where it is now.
    const servers = ask.order.order(ask.upstreams(name).slice(0, ask.limits.upstreamServers));
    for (const server of servers) {
      if (ask.signal.aborted) return failed();
      const question = { id: randomInt(0x1_0000), name, type, edns: round === 0 };
      const reply = await ask.transport(server, question, ask.signal);
      if (reply.kind === 'reply') ask.order.answered(server);
      else if (!ask.signal.aborted) ask.order.silent(server);
      if (reply.kind === 'reply' && (reply.rcode === RCODES.NOERROR || reply.rcode === RCODES.NXDOMAIN)) {
        return reply;
      }
      const known = failures.has(formatUpstream(server)) && ask.signal.aborted;
      // What a server said before the time was up tells more than that it was up.
      if (!known) {
        const why = reply.kind === 'failed' ? reply.detail : `response code ${reply.rcode}`;
        failures.set(formatUpstream(server), why);
      }
    }
  }
  return failed();
}

interface Slots {
  /** Whether a slot was had; false where too many wait, or the signal came first. */
  take(signal: AbortSignal): Promise<boolean>;
  release(): void;
}

function createSlots(most: number, mostWaiting: number): Slots {
  let taken = 0;
  const waiting = new Set<() => void>();
  return {
    take(signal) {
      if (taken < most && !signal.aborted) {
        taken += 1;
        return Promise.resolve(true);
      }
      if (waiting.size >= mostWaiting || signal.aborted) return Promise.resolve(false);
      return new Promise((resolve) => {
        const abort = (): void => {
          waiting.delete(proceed);
          resolve(false);
        };
        const proceed = (): void => {
          signal.removeEventListener('abort', abort);
          resolve(true);
        };
        waiting.add(proceed);
        signal.addEventListener('abort', abort, { once: true });
      });
    },
    release() {
      const [next] = waiting;
      if (next === undefined) {
        taken -= 1;
        return;
      }
      waiting.delete(next);
      next();
    },
  };
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
