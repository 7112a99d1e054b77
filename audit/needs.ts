/**
 * What runs needed of the network, folded from their events: every host with ports, protocols, counts, and the first
 * run that asked. Decides which events show a need; which rules follow is `policies/learn/`. Logs are text of strangers:
 * a host counts only where it parses, and all is bounded.
 */
import { classifyAddress, parseAddress } from '../policies/address.ts';
import { formatHost, parseHost } from '../policies/hostname.ts';
import type { Host, Protocol } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { isReservedName } from '../policies/subject.ts';
import type { AuditEvent, ConnectionDecision, DnsDecision, UnplantedAttempt } from './event.ts';

export const NEEDS_LIMITS = {
  /** Distinct hosts: a policy of more is no policy that a person reads. */
  hosts: 2_000,
  /** Ports of one host: a scan of ports is no need. */
  ports: 32,
  /** Hosts that are told as left out. */
  leftOut: 200,
  /** Characters of a command line that is shown. */
  command: 120,
} as const;

export interface NeededUse {
  readonly protocol: Protocol;
  readonly port: number;
  readonly count: number;
}

export interface NeededHost {
  readonly host: Host;
  readonly uses: readonly NeededUse[];
  readonly count: number;
  /** How many of the runs asked for it. */
  readonly runs: number;
  /** A rule of the run's policy opened an address that is never dialled otherwise. */
  readonly leadsInside: boolean;
  /** The first that did, by the order in which the runs were given. */
  readonly first: { readonly run: string; readonly time: string; readonly command: string };
}

/** Why a host that was asked for is not learnt. */
export type LeftOutReason =
  | 'muted'
  | 'looked-up-only'
  | 'no-name'
  | 'private-address'
  | 'own-name'
  | 'too-many'
  | Reason;

export interface LeftOut {
  readonly host: string;
  readonly port: number | null;
  readonly reason: LeftOutReason;
  readonly count: number;
}

/** Verdicts of a policy that has no rule for what was asked. */
const NEEDED: ReadonlySet<Reason> = new Set<Reason>([
  'no-rule',
  'raw-address',
  'port-not-allowed',
  'port-not-planted',
  'protocol-not-allowed',
]);
/** Allowed, and still no need: there is no such name. */
const VAIN: ReadonlySet<Reason> = new Set<Reason>(['dns-not-found', 'request-malformed', 'loop']);

interface Draft {
  readonly host: Host;
  readonly uses: Map<string, { protocol: Protocol; port: number; count: number }>;
  readonly runs: Set<string>;
  readonly first: NeededHost['first'];
  count: number;
  leadsInside: boolean;
}

type Attempt = ConnectionDecision | UnplantedAttempt;

const NOTHING_YET = { count: 0, leadsInside: false } as const;

/** Events of run after run in, needs out. */
export class Needs {
  readonly #hosts = new Map<string, Draft>();
  readonly #lookups = new Map<string, number>();
  readonly #leftOut = new Map<string, { -readonly [K in keyof LeftOut]: LeftOut[K] }>();
  #run = { run: '', command: '' };

  /** In the order of the log; a `run-start` begins the next run. */
  add(event: AuditEvent): void {
    if (event.kind === 'run-start') {
      const command = event.command.join(' ');
      const cut = command.length > NEEDS_LIMITS.command;
      const shown = cut ? `${command.slice(0, NEEDS_LIMITS.command)}...` : command;
      this.#run = { run: event.run, command: shown };
    } else if (event.kind === 'dns') this.#lookUp(event);
    else if (event.kind === 'connection' || event.kind === 'unplanted') this.#attempt(event);
  }

  get hosts(): readonly NeededHost[] {
    return [...this.#hosts.values()].map(({ uses, runs, ...draft }) => ({
      ...draft,
      uses: [...uses.values()].sort((a, b) => a.port - b.port || compareText(a.protocol, b.protocol)),
      runs: runs.size,
    }));
  }

  get leftOut(): readonly LeftOut[] {
    const lookups = [...this.#lookups]
      .filter(([name]) => !this.#hosts.has(name) && !this.#isLeftOut(name))
      .map(([host, count]) => ({ host, port: null, reason: 'looked-up-only', count }) as const);
    return [...this.#leftOut.values(), ...lookups].slice(0, NEEDS_LIMITS.leftOut);
  }

  #isLeftOut(name: string): boolean {
    return [...this.#leftOut.values()].some(({ host }) => host === name);
  }

  /** A lookup shows no port; a connection to the name does. */
  #lookUp(event: DnsDecision): void {
    if (event.asker !== 'guest' || VAIN.has(event.reason)) return;
    const host = parseHost(event.name);
    if (!host.ok || host.value.kind !== 'name' || isReservedName(host.value.name)) return;
    const { name } = host.value;
    if (event.muted === true) this.#leave(name, null, 'muted', 1);
    else if (isNeed(event) && (this.#lookups.has(name) || this.#lookups.size < NEEDS_LIMITS.leftOut)) {
      this.#lookups.set(name, (this.#lookups.get(name) ?? 0) + 1);
    }
  }

  #attempt(event: Attempt): void {
    if (event.asker !== 'guest') return;
    const count = event.kind === 'unplanted' ? Math.max(1, event.count) : 1;
    const text = event.host;
    const host = parseHost(text.includes(':') && !text.startsWith('[') ? `[${text}]` : text);
    // Fail closed: what does not parse as a host becomes no rule, whatever a log says of it.
    const isHost = host.ok && event.port >= 1;
    const reason = isHost ? this.#take(host.value, event, count) : 'no-name';
    if (reason !== null) this.#leave(host.ok ? formatHost(host.value) : text, event.port, reason, count);
  }

  /** Null where it was counted as a need; else why not. */
  #take(host: Host, event: Attempt, count: number): LeftOutReason | null {
    const reason = event.muted === true ? 'muted' : (unfit(host) ?? needless(event));
    if (reason !== null) return reason;
    const protocol = protocolOf(event);
    const key = `${protocol}:${event.port}`;
    const draft = this.#draftFor(host, event);
    const use = draft?.uses.get(key);
    if (draft === null || (use === undefined && draft.uses.size >= NEEDS_LIMITS.ports)) return 'too-many';
    draft.uses.set(key, { protocol, port: event.port, count: (use?.count ?? 0) + count });
    draft.runs.add(this.#run.run);
    draft.count += count;
    draft.leadsInside ||= host.kind === 'name' && isInside(event);
    return null;
  }

  #draftFor(host: Host, event: Attempt): Draft | null {
    const key = formatHost(host);
    const known = this.#hosts.get(key);
    if (known !== undefined) return known;
    if (this.#hosts.size >= NEEDS_LIMITS.hosts) return null;
    const { time } = event as Attempt & { readonly time: string };
    const draft: Draft = {
      ...NOTHING_YET,
      host,
      uses: new Map(),
      runs: new Set<string>(),
      first: { ...this.#run, time },
    };
    this.#hosts.set(key, draft);
    return draft;
  }

  #leave(host: string, port: number | null, reason: LeftOutReason, count: number): void {
    const key = `${host}\n${port}\n${reason}`;
    const known = this.#leftOut.get(key);
    if (known !== undefined) known.count += count;
    else if (this.#leftOut.size < NEEDS_LIMITS.leftOut) this.#leftOut.set(key, { host, port, reason, count });
  }
}

/** Addresses that only a person opens, and sand's own names. */
function unfit(host: Host): LeftOutReason | null {
  if (host.kind === 'address')
    return classifyAddress(host.address, []) === 'ordinary' ? null : 'private-address';
  return isReservedName(host.name) ? 'own-name' : null;
}

function needless(event: Attempt): LeftOutReason | null {
  if (event.kind === 'unplanted' && event.transport !== 'tcp') return event.reason;
  if (VAIN.has(event.reason)) return event.reason;
  return isNeed(event) ? null : event.reason;
}

/** Allowed, or denied for want of a rule; never what a deny rule covers, whether it refuses or reports. */
function isNeed({ verdict, reason, rule }: Attempt | DnsDecision): boolean {
  if (reason === 'would-be-denied') return rule === null;
  return verdict === 'allow' || NEEDED.has(reason);
}

function isInside(event: Attempt): boolean {
  if (event.kind !== 'connection' || event.address === undefined) return false;
  const address = parseAddress(event.address);
  return address.ok && classifyAddress(address.value, []) !== 'ordinary';
}

/** Where none was read: what a port alone means. */
function protocolOf(event: Attempt): Protocol {
  if (event.kind === 'connection' && event.protocol !== null) return event.protocol;
  if (event.port === 80) return 'http';
  return event.port === 443 ? 'https' : 'tcp';
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
