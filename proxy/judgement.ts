/**
 * What the policy says of one authority, step by step: what a literal stands for, the name verdict, the
 * lookup, the verdict on every address. Decides by the policy alone; reads no bytes and dials nothing.
 */
import { parseAddress } from '../policies/address.ts';
import type { Consent } from '../policies/consent.ts';
import { evaluate, evaluateAddress } from '../policies/evaluate.ts';
import { formatHost } from '../policies/hostname.ts';
import type {
  Authority,
  HttpRequest,
  IpAddress,
  PolicyInForce,
  Protocol,
  RuleRef,
  Verdict,
} from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { HOST_LOOPBACK_NAME } from '../policies/subject.ts';
import type { ProxyContext } from './context.ts';
import type { HeadFault } from './head.ts';
import { readOwn } from './own-place.ts';
import type { Denial } from './refusal.ts';
import { mayHandOver } from './route.ts';

/** An authority that the policy admits, with the policy that said so. */
export interface Judgement {
  readonly ok: true;
  readonly inForce: PolicyInForce;
  /** With synthetic addresses mapped back to the name that they stand for. */
  readonly authority: Authority;
  readonly verdict: Verdict;
  /** What somebody said yes to, when this was held; null: the policy alone admits it. */
  readonly consent: Consent | null;
}

export interface Denied {
  readonly ok: false;
  readonly denial: Denial;
  /** As far as it was understood. */
  readonly authority: Authority;
}

export interface Vetted {
  readonly ok: true;
  /** Every address that may be dialled, in the order of the answer; none where a parent proxy resolves the name. */
  readonly addresses: readonly IpAddress[];
  /** The rule that admits the first, and the reason that goes with it. */
  readonly rule: RuleRef | null;
  readonly reason: Reason;
}

const NO_VERDICT = { rule: null, suggestion: null, muted: false, status: null, advice: null } as const;

/** A denial that no verdict stands behind: what could not be parsed, limits, faults. */
export function refuseFor(reason: Reason, detail: string, verdict: 'allow' | 'deny' = 'deny'): Denial {
  return { ...NO_VERDICT, verdict, reason, detail, advice: detail };
}

export function denialOfFault(fault: HeadFault): Denial {
  return { ...refuseFor(fault.reason, fault.detail), status: fault.status };
}

/** What a policy verdict becomes when the request ends for `reason`. `detail` may name addresses. */
export function denialOf(
  verdict: Verdict,
  reason: Reason,
  detail: string | null,
  advice: string | null = null,
): Denial {
  return {
    verdict: verdict.decision,
    reason,
    rule: verdict.rule,
    detail,
    suggestion: verdict.suggestion,
    muted: verdict.muted,
    status: null,
    advice,
  };
}

/**
 * Maps a literal to the name that it stands for, then asks the policy. `protocol` is null until it is known, and
 * `http` is given for each request that is read. With a consent, the policy has its rule besides.
 */
export function judge(
  context: ProxyContext,
  asked: Authority,
  protocol: Protocol | null,
  http?: HttpRequest,
  consent: Consent | null = null,
): Judgement | Denied {
  const authority = meanAuthority(context, asked);
  if (authority === null) {
    // Fail closed: an address of the synthetic range that no answer gave stands for nothing.
    return {
      ok: false,
      authority: asked,
      denial: refuseFor('address-unknown', 'no answer gave this address'),
    };
  }
  const inForce = consent === null ? context.policy() : consent.over(context.policy());
  const verdict = evaluate(inForce, { authority, protocol, ...(http === undefined ? {} : { http }) });
  if (verdict.decision !== 'allow') {
    const unread = verdict.reason === 'path-not-allowed' && http?.path.ok === false ? http.path.detail : null;
    return { ok: false, authority, denial: denialOf(verdict, verdict.reason, unread, unread) };
  }
  return { ok: true, inForce, authority, verdict, consent };
}

/**
 * The same, but what no rule decides is held while somebody is asked. Judged anew after the wait, since the policy may
 * have changed in it; a consent counts as far as the policy of that moment lets it.
 */
export async function judgeAsking(
  context: ProxyContext,
  asked: Authority,
  protocol: Protocol | null,
  signal: () => AbortSignal,
  http?: HttpRequest,
): Promise<Judgement | Denied> {
  const judged = judge(context, asked, protocol, http);
  if (judged.ok || context.ask === undefined) return judged;
  const { host, port } = judged.authority;
  const request = { host, port, protocol, ...(http === undefined ? {} : { http }) };
  const answer = await context.ask(request, signal());
  if (answer.kind === 'unasked') return judged;
  const again = judge(context, asked, protocol, http, answer.kind === 'consent' ? answer.consent : null);
  if (again.ok || answer.kind === 'consent') return again;
  return { ...again, denial: { ...again.denial, detail: again.denial.detail ?? answer.detail } };
}

/** The authority that is meant; null for a synthetic address that no answer of this guest gave. */
export function meanAuthority(context: ProxyContext, asked: Authority): Authority | null {
  if (asked.host.kind === 'name') return asked;
  const meaning = context.meaning(asked.host.address);
  if (meaning.kind === 'literal') return asked;
  if (meaning.kind === 'unknown-synthetic') return null;
  return { host: { kind: 'name', name: meaning.name }, port: asked.port };
}

export type Resolution =
  | { readonly ok: true; readonly addresses: readonly IpAddress[] }
  | { readonly ok: false; readonly denial: Denial };

/**
 * The addresses of an admitted authority, not vetted yet; none where the host finds none and a parent proxy may
 * be asked. Asks once; rejects for nothing.
 */
export async function resolve(
  context: ProxyContext,
  judgement: Judgement,
  signal: AbortSignal,
): Promise<Resolution> {
  const { host } = judgement.authority;
  if (host.kind === 'address') return { ok: true, addresses: [host.address] };
  if (reachesHostLoopback(judgement)) return { ok: true, addresses: LOOPBACK };
  const { verdict } = judgement;
  const lookup = await withDeadline(signal, context.limits.lookupTimeoutMs, (inner) =>
    context.lookup(host.name, inner, judgement.consent),
  );
  if (lookup?.kind === 'addresses' && lookup.addresses.length > 0) {
    return { ok: true, addresses: [...new Set(lookup.addresses)] };
  }
  // Fail closed: what sand did not ask for a reason of its own goes to no parent proxy either.
  const isWithheld = signal.aborted || (lookup?.kind === 'failed' && lookup.reason !== undefined);
  if (!isWithheld && mayHandOver(context, verdict, judgement.authority, null)) {
    return { ok: true, addresses: [] };
  }
  if (lookup === null) {
    const detail = signal.aborted
      ? 'the guest left before the lookup ended'
      : 'the lookup did not end in time';
    return { ok: false, denial: { ...denialOf(verdict, 'dns-failed', detail), status: 504 } };
  }
  if (lookup.kind === 'failed') {
    return { ok: false, denial: denialOf(verdict, 'dns-failed', lookup.detail) };
  }
  return { ok: false, denial: denialOf(verdict, 'dns-not-found', null) };
}

const LOOPBACK: readonly IpAddress[] = ['127.0.0.1', '::1'].flatMap((text) => {
  const address = parseAddress(text);
  return address.ok ? [address.value] : [];
});

/** `host.sand`, admitted by a rule of its own; report mode admits names, never the host's loopback. */
function reachesHostLoopback({ authority, verdict }: Judgement): boolean {
  if (authority.host.kind !== 'name' || authority.host.name !== HOST_LOOPBACK_NAME) return false;
  return verdict.grants.some((rule) => rule.subjects.some((subject) => subject.kind === 'host-loopback'));
}

/**
 * Which of `addresses` may be dialled under a judgement. What is left out is never dialled; none left is a
 * denial, and so is none given, but for a name that a parent proxy may resolve. `protocol` null: not known yet.
 */
export function vet(
  context: ProxyContext,
  judgement: Judgement,
  addresses: readonly IpAddress[],
  protocol: Protocol | null,
): Vetted | { readonly ok: false; readonly denial: Denial } {
  const { inForce, verdict, authority } = judgement;
  if (addresses.length === 0 && mayHandOver(context, verdict, authority, protocol)) {
    return { ok: true, addresses, rule: verdict.rule, reason: verdict.reason };
  }
  const hostAddresses = readHostAddresses(context);
  // Fail closed: an address that may be the host's own is not dialled.
  if (!hostAddresses.ok)
    return { ok: false, denial: denialOf(verdict, 'upstream-failed', hostAddresses.detail) };
  const admitted: IpAddress[] = [];
  let first: { readonly rule: RuleRef | null; readonly reason: Reason } | null = null;
  let refused: Denial | null = null;
  for (const address of addresses) {
    // Fail closed: sand's own ports are never dialled, whatever a rule lists.
    const own = readOwn(context.isOwn, address, authority.port);
    if (!own.ok) return { ok: false, denial: denialOf(verdict, 'upstream-failed', own.detail) };
    if (own.isOwn) {
      refused ??= denialOf(verdict, 'loop', `${address} port ${authority.port} is sand's own`);
      continue;
    }
    const said = evaluateAddress(inForce, verdict, address, hostAddresses.addresses);
    if (said.decision === 'allow') {
      // Of several, one that a reporting rule covers is what the record tells.
      if (first === null || (said.reason !== first.reason && said.reason === 'would-be-denied'))
        first = { rule: said.rule ?? verdict.rule, reason: said.reason };
      admitted.push(address);
    } else {
      refused ??= {
        ...denialOf(verdict, said.reason, `${formatHost(authority.host)} is at ${address}`),
        verdict: 'deny',
        rule: said.rule ?? null,
      };
    }
  }
  if (first !== null) return { ok: true, addresses: admitted, ...first };
  return { ok: false, denial: refused ?? denialOf(verdict, 'dns-not-found', null) };
}

/** The system refuses to tell when it has no descriptor left. */
function readHostAddresses(
  context: ProxyContext,
):
  | { readonly ok: true; readonly addresses: readonly IpAddress[] }
  | { readonly ok: false; readonly detail: string } {
  try {
    return { ok: true, addresses: context.hostAddresses() };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, detail: `the host's own addresses cannot be read: ${why}` };
  }
}

/** Null when `work` did not finish in time or `signal` was aborted. Leaves no timer behind. */
async function withDeadline<T>(
  signal: AbortSignal,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | null> {
  if (signal.aborted) return null;
  const controller = new AbortController();
  let stop: () => void = () => {};
  const stopped = new Promise<null>((resolveNull) => {
    stop = () => {
      controller.abort();
      resolveNull(null);
    };
  });
  const timer = setTimeout(stop, timeoutMs);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work(controller.signal).catch(() => null), stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
