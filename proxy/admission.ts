/**
 * The last question before a dial, asked in one turn of the event loop: is this authority still allowed, which
 * of its resolved addresses may be dialled, and is that on record.
 */
import type { Consent } from '../policies/consent.ts';
import type { Authority, HttpRequest, IpAddress, Protocol, Verdict } from '../policies/model.ts';
import { type GrantLayers, grantLayers } from './budgets.ts';
import type { ParentProxy, ProxyContext } from './context.ts';
import { type Asked, Flight } from './flight.ts';
import { denialOf, judge, vet } from './judgement.ts';
import { readOwn } from './own-place.ts';
import type { Parts } from './parts.ts';
import type { Denial } from './refusal.ts';
import { planRoute, type Route } from './route.ts';

export type Admitted =
  | {
      readonly ok: true;
      readonly flight: Flight;
      readonly authority: Authority;
      /** To be taken as it is, and no other. */
      readonly route: Route;
      readonly verdict: Verdict;
    }
  /** On record already; to be shown. */
  | { readonly ok: false; readonly authority: Authority; readonly denial: Denial };

export interface AdmissionRequest {
  readonly asked: Authority;
  readonly protocol: Protocol;
  /** The request, where one is read. */
  readonly http?: HttpRequest;
  /** When the connection came that this is asked on; absent: now. */
  readonly sinceMs?: number;
  /** What somebody said yes to; absent: the policy alone decides. */
  readonly consent?: Consent | null;
}

/**
 * Judges `asked` under the policy of this moment, so that a policy that changed during the lookup counts, and
 * records the decision. Whoever gets a flight dials, and closes it.
 */
export function admit(
  parts: Pick<Parts, 'context' | 'ledger'>,
  { asked, protocol, http, sinceMs, consent = null }: AdmissionRequest,
  addresses: readonly IpAddress[],
  describe: (authority: Authority) => Asked,
): Admitted {
  const { context, ledger } = parts;
  const judged = judge(context, asked, protocol, http, consent);
  const { authority } = judged;
  if (!judged.ok) return { ok: false, authority, denial: ledger.refuse(describe(authority), judged.denial) };
  const { verdict } = judged;
  const vetted = vet(context, judged, addresses, protocol);
  if (!vetted.ok) return { ok: false, authority, denial: ledger.refuse(describe(authority), vetted.denial) };
  const route = planRoute(context, verdict, authority, protocol, vetted.addresses);
  if (route === null) throw new Error('vetted, and no way');
  if (route.kind === 'parent' && isOwnParent(context, route.parent)) {
    const denial = denialOf(verdict, 'loop', "the parent proxy is sand's own port", PARENT_LOOP);
    return { ok: false, authority, denial: ledger.refuse(describe(authority), denial) };
  }
  const [address = null] = vetted.addresses;
  const { rule, reason } = vetted;
  const flight = ledger.open(describe(authority), {
    authority,
    protocol,
    rule,
    reason,
    muted: verdict.muted,
    address,
    route,
    grants: grantLayers(verdict),
    ...(consent === null ? {} : { consent }),
    ...(http === undefined ? {} : { http }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
  });
  if (!(flight instanceof Flight)) return { ok: false, authority, denial: flight };
  return { ok: true, flight, authority, route, verdict };
}

const PARENT_LOOP = 'the parent proxy of the host leads back here';

/** A parent by name is looked at when it is dialled. */
function isOwnParent(context: ProxyContext, { host, port }: ParentProxy): boolean {
  if (host.kind !== 'address') return false;
  const own = readOwn(context.isOwn, host.address, port);
  // Fail closed: where it cannot be told, it may be.
  return !own.ok || own.isOwn;
}

/** By which rules the policy of this moment would still admit what is open; null: it would not. */
export function stillGranted(context: ProxyContext, flight: Flight): GrantLayers | null {
  const { authority, protocol, http, address, consent = null } = flight.admission;
  const judged = judge(context, authority, protocol, http, consent);
  if (!judged.ok) return null;
  const vetted = vet(context, judged, address === null ? [] : [address], protocol);
  return vetted.ok ? grantLayers(judged.verdict) : null;
}
