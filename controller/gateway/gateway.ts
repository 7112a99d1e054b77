/**
 * The gateway of one guest: its resolver and its proxy, one policy, one audit log. Listens on a loopback port
 * of the host for people with dig; everything else arrives by the guest's link.
 */
import { randomBytes } from 'node:crypto';
import type { AuditSink, ProbeResult, UnplantedAttempt } from '../../audit/event.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import { parseAddress } from '../../policies/address.ts';
import { evaluate, plantedPorts } from '../../policies/evaluate.ts';
import type { IpAddress, PolicyInForce } from '../../policies/model.ts';
import type { Meaning } from '../../proxy/context.ts';
import type { GatewayPort, RefusedDestination } from '../backends/backend.ts';
import { createGatewayCore, listenError } from './core.ts';
import type { ParentSettings } from './parent-proxy.ts';

const LOOPBACK = '127.0.0.1' as IpAddress;

export interface GatewayOptions {
  readonly inForce: PolicyInForce;
  readonly audit: AuditSink;
  /** Port of 127.0.0.1 for the resolver; 0 takes a free one. */
  readonly dnsPort: number;
  /** None: the system's own. */
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** Null: everything is dialled directly. */
  readonly parents: ParentSettings | null;
  /** Called at most once. */
  readonly lost: (error: Error) => void;
}

export interface Gateway extends GatewayPort {
  readonly dnsPort: number;
  /** From now on this policy decides; ports that it adds are planted, and what it ends is ended at once. */
  replacePolicy(next: PolicyInForce): Promise<void>;
  close(): Promise<void>;
}

/** Raises `port-in-use` and `port-refused`. The caller closes it. */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { audit } = options;
  let dnsPort = 0;
  const core = createGatewayCore({
    inForce: options.inForce,
    audit,
    dnsUpstreams: options.dnsUpstreams,
    parents: options.parents,
    isOwn: (address, port) => port === dnsPort && (address.startsWith('127.') || address === '::1'),
  });
  const { dns, proxy, resolver } = core;
  const bound = await dns.bind(LOOPBACK, options.dnsPort, { asker: 'host', mode: 'vetted' });
  if (!bound.ok) {
    await core.close();
    const place = `127.0.0.1 port ${options.dnsPort === 0 ? '(any)' : options.dnsPort}`;
    throw listenError('the resolver', place, bound);
  }
  dnsPort = bound.port;
  const guest = { asker: 'guest', mode: 'synthetic' } as const;
  const probe = createProbeNames();
  resolver.registerProbe(probe.reservedName);
  let plant: (ports: readonly number[]) => Promise<void> = async () => {};
  // A port stays planted when the policy no longer names it: what comes there is refused by the proxy.
  const planted = new Set(plantedPorts(core.policy()));
  let isLost = false;
  return {
    dnsPort,
    ports: [...planted],
    onMorePorts(listener) {
      plant = listener;
    },
    async replacePolicy(next) {
      const more = plantedPorts(next).filter((port) => !planted.has(port));
      for (const port of more) planted.add(port);
      core.replacePolicy(next);
      if (more.length > 0) await plant(more);
    },
    probe,
    hostListeners: [{ address: LOOPBACK, port: dnsPort }],
    acceptProxy: (socket) => proxy.acceptProxyConnection(socket),
    acceptStream: (socket, destination) => proxy.acceptStream(socket, destination),
    acceptDnsStream: (socket) => dns.attachStream(socket, guest),
    acceptDnsDatagrams: (socket) => dns.attachDatagram(socket, guest),
    record: (result: ProbeResult) => void audit.record(result),
    refused(destinations) {
      for (const destination of destinations) {
        audit.record(unplantedEvent(destination, (address) => resolver.meaning(address), core.policy()));
      }
    },
    lost(error) {
      if (isLost) return;
      isLost = true;
      options.lost(error);
    },
    close: () => core.close(),
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
