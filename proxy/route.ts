/**
 * How an admitted authority is reached: directly at its vetted addresses, or through the host's parent proxy,
 * and what that parent is told. Pure; who connects is `upstream.ts`.
 */
import { classifyAddress } from '../policies/address.ts';
import { formatAuthority } from '../policies/hostname.ts';
import type { Authority, IpAddress, Protocol, Verdict } from '../policies/model.ts';
import type { ParentProxy, ProxyContext } from './context.ts';

export type Route =
  | { readonly kind: 'direct'; readonly addresses: readonly IpAddress[] }
  | {
      readonly kind: 'parent';
      readonly parent: ParentProxy;
      /** What the parent is asked for. With a name it resolves by itself, and nobody here vets what it finds. */
      readonly target: Authority;
      /** The vetted address in `target`; null where that is a name. */
      readonly address: IpAddress | null;
      /** For the record. */
      readonly detail: string;
    };

/**
 * `addresses` are vetted; none: the host cannot resolve the name. Null: there is no way then.
 *
 * The parent gets the name, since it filters by names and reads the same one in TLS, and refuses bare
 * addresses in many places. Where a rule says which addresses the name may have, it gets a vetted one.
 */
export function planRoute(
  context: ProxyContext,
  verdict: Verdict,
  authority: Authority,
  protocol: Protocol,
  addresses: readonly IpAddress[],
): Route | null {
  const direct = { kind: 'direct', addresses } as const;
  const parent = context.parents?.parentOf(authority, protocol) ?? null;
  const [address] = addresses;
  if (parent === null) return address === undefined ? null : direct;
  if (address === undefined) {
    // Fail closed: what a rule restricts to addresses is not handed over unseen.
    if (authority.host.kind !== 'name' || isRestricted(verdict)) return null;
    return {
      kind: 'parent',
      parent,
      target: authority,
      address: null,
      detail: 'the parent proxy resolves it',
    };
  }
  const hostAddresses = context.hostAddresses();
  if (addresses.some((one) => isHostLocal(one, hostAddresses))) return direct;
  if (authority.host.kind === 'name' && !isRestricted(verdict)) {
    const detail = 'vetted, then handed to the parent proxy by name, which resolves it again';
    return { kind: 'parent', parent, target: authority, address: null, detail };
  }
  const target: Authority = { host: { kind: 'address', address }, port: authority.port };
  return { kind: 'parent', parent, target, address, detail: 'handed to the parent proxy by address' };
}

/** Whether a name may go to a parent proxy although the host cannot resolve it. `protocol` null: not known yet. */
export function mayHandOver(
  context: ProxyContext,
  verdict: Verdict,
  authority: Authority,
  protocol: Protocol | null,
): boolean {
  if (context.parents === undefined) return false;
  const spoken = protocol === null ? verdict.protocols : [protocol];
  return spoken.some((one) => planRoute(context, verdict, authority, one, []) !== null);
}

/** A rule, or a ceiling's, says which addresses the name may have. */
function isRestricted({ grants, ceilingGrants }: Verdict): boolean {
  return [grants, ...(ceilingGrants ?? [])].some((rules) =>
    rules.some(({ addresses }) => addresses !== null),
  );
}

/** What means this host, or something that only this host sees: to a parent it would mean the parent's own. */
function isHostLocal(address: IpAddress, hostAddresses: readonly IpAddress[]): boolean {
  switch (classifyAddress(address, hostAddresses)) {
    case 'loopback':
    case 'unspecified':
    case 'link-local':
    case 'metadata':
    case 'host':
      return true;
    default:
      return false;
  }
}

/**
 * Whether plain HTTP is spoken to the parent itself, which then gets the whole URL. A name that goes there by
 * address is asked for by CONNECT: in a URL the address would take the place of the name.
 */
export function isAbsoluteForm(
  route: Route,
  authority: Authority,
): route is Extract<Route, { kind: 'parent' }> {
  return route.kind === 'parent' && route.target.host.kind === authority.host.kind;
}

/** What names the idle connections that a request may go out on: the same origin, by the same way. */
export function poolKeys(route: Route, authority: Authority): readonly string[] {
  if (route.kind === 'direct') return route.addresses;
  const { target, parent } = route;
  return [`${formatAuthority(authority)} at ${formatAuthority(target)} by ${formatAuthority(parent)}`];
}
