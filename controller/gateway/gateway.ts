/**
 * The gateway of one guest: its resolver and its proxy, one policy, one audit log. Listens on a loopback port
 * of the host for people with dig; everything else arrives by the guest's link.
 */
import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { AuditSink, ProbeResult, UnplantedAttempt } from '../../audit/event.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { createResolver } from '../../dns/resolver.ts';
import { createDnsServer } from '../../dns/server.ts';
import { createSystemResolvers } from '../../dns/system-resolvers.ts';
import { parseAddress } from '../../policies/address.ts';
import { evaluate, plantedPorts } from '../../policies/evaluate.ts';
import type { IpAddress, PolicyInForce } from '../../policies/model.ts';
import type { Meaning } from '../../proxy/context.ts';
import { PROXY_LIMITS } from '../../proxy/limits.ts';
import { createProxy } from '../../proxy/proxy.ts';
import type { GatewayPort, RefusedDestination } from '../backends/backend.ts';
import { SandError } from '../errors.ts';

/** Interface addresses change rarely, and every decision asks for them. */
const HOST_ADDRESSES_AGE_MS = 2_000;
const LOOPBACK = '127.0.0.1' as IpAddress;

export interface GatewayOptions {
  readonly inForce: PolicyInForce;
  readonly audit: AuditSink;
  /** Port of 127.0.0.1 for the resolver; 0 takes a free one. */
  readonly dnsPort: number;
  /** Null: the system's own. */
  readonly dnsUpstream: DnsUpstream | null;
  /** Called at most once. */
  readonly lost: (error: Error) => void;
}

export interface Gateway extends GatewayPort {
  readonly dnsPort: number;
  close(): Promise<void>;
}

/** Raises `port-in-use` and `port-refused`. The caller closes it. */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { audit, inForce } = options;
  const policy = () => inForce;
  const hostAddresses = createHostAddresses();
  const system = createSystemResolvers();
  const upstreams =
    options.dnsUpstream === null ? system : () => (options.dnsUpstream === null ? [] : [options.dnsUpstream]);
  const resolver = createResolver({ policy, upstreams, hostAddresses, audit });
  const dns = createDnsServer({ handler: resolver });
  const bound = await dns.bind(LOOPBACK, options.dnsPort, { asker: 'host', mode: 'vetted' });
  if (!bound.ok) {
    await dns.close();
    resolver.close();
    throw bindError(options.dnsPort, bound);
  }
  const dnsPort = bound.port;
  const proxy = createProxy({
    policy,
    lookup: (name, signal) => resolver.lookup(name, signal),
    meaning: (address) => resolver.meaning(address),
    hostAddresses,
    isOwn: (address, port) => port === dnsPort && (address.startsWith('127.') || address === '::1'),
    audit,
    limits: PROXY_LIMITS,
  });
  const guest = { asker: 'guest', mode: 'synthetic' } as const;
  const probe = createProbeNames();
  resolver.registerProbe(probe.reservedName);
  let isLost = false;
  return {
    dnsPort,
    ports: plantedPorts(inForce),
    probe,
    hostListeners: [{ address: LOOPBACK, port: dnsPort }],
    acceptProxy: (socket) => proxy.acceptProxyConnection(socket),
    acceptStream: (socket, destination) => proxy.acceptStream(socket, destination),
    acceptDnsStream: (socket) => dns.attachStream(socket, guest),
    acceptDnsDatagrams: (socket) => dns.attachDatagram(socket, guest),
    record: (result: ProbeResult) => void audit.record(result),
    open() {},
    refused(destinations) {
      for (const destination of destinations) {
        audit.record(unplantedEvent(destination, (address) => resolver.meaning(address), inForce));
      }
    },
    lost(error) {
      if (isLost) return;
      isLost = true;
      options.lost(error);
    },
    async close() {
      proxy.close();
      resolver.close();
      await dns.close();
    },
  };
}

/** A line that only this gateway can know, and names below a reserved domain that never leaves it. */
function createProbeNames(): GatewayPort['probe'] {
  const nonce = randomBytes(8).toString('hex');
  return {
    reservedName: `${nonce}.probe.sand`,
    deniedName: `${nonce}.denied.sand`,
    greeting: `sand-probe ${randomBytes(16).toString('hex')}`,
  };
}

/** What the kernel refused before any listener saw it, told by the name that the guest meant. */
export function unplantedEvent(
  destination: RefusedDestination,
  meaning: (address: IpAddress) => Meaning,
  inForce: PolicyInForce,
): UnplantedAttempt {
  const parsed = parseAddress(destination.address);
  const meant = parsed.ok ? meaning(parsed.value) : null;
  const common = {
    kind: 'unplanted',
    asker: 'guest',
    verdict: 'deny',
    disposition: 'refused',
    rule: null,
    policy: inForce.policy.digest,
    transport: destination.transport,
    port: destination.port,
    count: destination.count,
  } as const;
  if (meant?.kind !== 'name') {
    const reason = destination.transport === 'tcp' ? 'port-not-planted' : 'transport-refused';
    return { ...common, host: destination.address, reason };
  }
  const named = { ...common, host: meant.name };
  if (destination.transport !== 'tcp') return { ...named, reason: 'transport-refused' };
  const verdict = evaluate(inForce, {
    authority: { host: { kind: 'name', name: meant.name }, port: destination.port },
    protocol: null,
  });
  if (verdict.decision === 'allow') return { ...named, reason: 'port-not-planted' };
  return {
    ...named,
    reason: verdict.reason,
    ...(verdict.suggestion === null ? {} : { suggestion: verdict.suggestion }),
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

function bindError(port: number, bound: { readonly ok: false; readonly detail: string }): SandError {
  return new SandError(
    'port-in-use',
    `the resolver cannot listen on 127.0.0.1 port ${port === 0 ? '(any)' : port}: ${bound.detail}`,
    'leave out --dns-port to take a free one',
  );
}
