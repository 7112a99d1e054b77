/**
 * What every gateway is made of: one resolver and one proxy under one policy and one audit log. Listens
 * nowhere itself; a guest's link or the listeners of `sand gateway` bring the connections.
 */
import { networkInterfaces } from 'node:os';
import type { AuditSink } from '../../audit/event.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { DNS_LIMITS, type DnsLimits } from '../../dns/limits.ts';
import { createResolver, type Resolver } from '../../dns/resolver.ts';
import { createDnsServer, type DnsServer } from '../../dns/server.ts';
import { parseAddress } from '../../policies/address.ts';
import type { AskForConsent } from '../../policies/consent.ts';
import { plantedPorts } from '../../policies/evaluate.ts';
import type { IpAddress, PolicyInForce } from '../../policies/model.ts';
import { PROXY_LIMITS, type ProxyLimits } from '../../proxy/limits.ts';
import { createProxy, type GatewayProxy } from '../../proxy/proxy.ts';
import type { Attribute } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import { watchExpiry } from './expiry.ts';
import { createHostResolvers } from './host-resolvers.ts';
import { connectionsWithin, readOpenFiles } from './open-files.ts';
import type { ParentSettings } from './parent-proxy.ts';
import { createParents } from './parents.ts';

/** Interface addresses change rarely, and every decision asks for them. */
const HOST_ADDRESSES_AGE_MS = 2_000;

export interface CoreOptions {
  readonly inForce: PolicyInForce;
  readonly audit: AuditSink;
  /** None: the system's own. */
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** Null: everything is dialled directly. */
  readonly parents: ParentSettings | null;
  /** Holds what no rule decides until somebody has answered; absent: nobody is asked. */
  readonly ask?: AskForConsent;
  /** Whether dialling this address and port would reach this gateway itself. */
  readonly isOwn: (address: IpAddress, port: number) => boolean;
  /** Which process of the guest holds an end of a connection; absent: nobody can tell. */
  readonly attribute?: Attribute;
  /** Descriptors of this process that others need, so that a guest's connections leave them be. */
  readonly descriptors?: number;
  /** In the place of the usual ones, part by part. */
  readonly limits?: { readonly proxy?: Partial<ProxyLimits>; readonly dns?: Partial<DnsLimits> };
}

export interface GatewayCore {
  /** Of this host's interfaces, which no rule means by accident. */
  hostAddresses(): readonly IpAddress[];
  readonly resolver: Resolver;
  readonly dns: DnsServer;
  readonly proxy: GatewayProxy;
  policy(): PolicyInForce;
  /** From now on this policy decides; what is open and no longer allowed is ended. */
  replacePolicy(next: PolicyInForce): void;
  close(): Promise<void>;
}

export function createGatewayCore(options: CoreOptions): GatewayCore {
  const { audit } = options;
  let inForce = options.inForce;
  const policy = () => inForce;
  const hostAddresses = createHostAddresses();
  const named = options.dnsUpstreams;
  const finders = createHostResolvers();
  const upstreams = named.length === 0 ? finders : () => named;
  const asking = options.ask === undefined ? {} : { ask: options.ask };
  const dnsLimits = { ...DNS_LIMITS, ...options.limits?.dns };
  const surroundings = { policy, upstreams, finders, hostAddresses, audit, ...asking };
  const resolver = createResolver(surroundings, { limits: dnsLimits });
  const dns = createDnsServer({ handler: resolver, limits: dnsLimits });
  const { connections } = PROXY_LIMITS;
  const ports = plantedPorts(inForce, options.ask !== undefined || inForce.policy.mode === 'report');
  const carried = connectionsWithin(readOpenFiles(), ports.length + (options.descriptors ?? 0), connections);
  const proxy = createProxy({
    policy,
    lookup: (name, signal, consent) => resolver.lookup(name, signal, consent),
    ...asking,
    meaning: (address) => resolver.meaning(address),
    hostAddresses,
    isOwn: options.isOwn,
    ...(options.parents === null ? {} : { parents: createParents(options.parents) }),
    ...(options.attribute === undefined ? {} : { attribute: options.attribute }),
    audit,
    limits: { ...PROXY_LIMITS, connections: carried, ...options.limits?.proxy },
  });
  const expiry = watchExpiry(inForce, Date.now, () => proxy.policyChanged('rule-expired'));
  return {
    hostAddresses,
    resolver,
    dns,
    proxy,
    policy,
    replacePolicy(next) {
      inForce = next;
      expiry.replace(next);
      proxy.policyChanged();
    },
    async close() {
      expiry.close();
      proxy.close();
      resolver.close();
      await dns.close();
    },
  };
}

function createHostAddresses(): () => readonly IpAddress[] {
  let known: readonly IpAddress[] = [];
  let readAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - readAt > HOST_ADDRESSES_AGE_MS) {
      readAt = performance.now();
      known = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .map(({ address }) => parseAddress(address.replace(/%.*$/, '')))
        .flatMap((parsed) => (parsed.ok ? [parsed.value] : []));
    }
    return known;
  };
}

/** Why a listener of sand's could not be opened, as an error of its own kind. */
export function listenError(
  what: string,
  place: string,
  failure: { readonly code: string; readonly detail: string },
): SandError {
  const message = `${what} cannot listen on ${place}: ${failure.detail}`;
  switch (failure.code) {
    case 'port-refused':
      return new SandError('port-refused', message, 'name another port');
    case 'address-refused':
      return new SandError('usage', message, 'name one address of this host, for example 127.0.0.1');
    default:
      return new SandError('port-in-use', message, 'name another port, or end what listens there');
  }
}
