/**
 * The gateway of one guest: its resolver and its proxy, one policy, one audit log. Listens on a loopback port
 * of the host for people with dig; everything else arrives by the guest's link.
 */
import { randomBytes } from 'node:crypto';
import type { AuditSink, ProbeResult, UnplantedAttempt } from '../../audit/event.ts';
import type { AnswerMode, DnsUpstream } from '../../dns/context.ts';
import { parseAddress } from '../../policies/address.ts';
import type { AskForConsent } from '../../policies/consent.ts';
import { evaluate, plantedPorts } from '../../policies/evaluate.ts';
import type { IpAddress, PolicyInForce } from '../../policies/model.ts';
import type { Meaning } from '../../proxy/context.ts';
import type { Attribute, GatewayPort, RefusedDestination } from '../backends/backend.ts';
import type { PortFlag } from '../run/port-flag.ts';
import { createGatewayCore, type GatewayCore, listenError } from './core.ts';
import { isHostListener } from './host-listeners.ts';
import { readOpenFiles } from './open-files.ts';
import { leadsTo } from './own-place.ts';
import type { ParentSettings } from './parent-proxy.ts';
import { inboundWithin, type PublishedPort, type Publisher, publishPorts } from './publish.ts';

const LOOPBACK = '127.0.0.1' as IpAddress;

const NOT_TOLD = 'this machine does not let sand see which process of the guest connects';

export interface GatewayOptions {
  readonly inForce: PolicyInForce;
  readonly audit: AuditSink;
  /** Port of 127.0.0.1 for the resolver; 0 takes a free one. */
  readonly dnsPort: number;
  /** None: the system's own. */
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** Null: everything is dialled directly. */
  readonly parents: ParentSettings | null;
  /** Holds what no rule decides until somebody has answered; null: nobody is asked. */
  readonly ask: AskForConsent | null;
  /** Ports of the guest that the host reaches; absent: none. */
  readonly publish?: readonly PortFlag[];
  /** Further listeners of sand’s own on the host, which no guest may reach; absent: none. */
  readonly ownListeners?: readonly { readonly address: string; readonly port: number }[];
  /** The folder of the runs, beside which sand's other listeners on this host are named; absent: there are none. */
  readonly runs?: string;
  /** Called at most once. */
  readonly lost: (error: Error) => void;
}

export interface Gateway extends GatewayPort {
  readonly dnsPort: number;
  /** With the ports of the host that were really taken. */
  readonly published: readonly PublishedPort[];
  hostAddresses(): readonly IpAddress[];
  /** From now on this policy decides; ports that it adds are planted, and what it ends is ended at once. */
  replacePolicy(next: PolicyInForce): Promise<void>;
  close(): Promise<void>;
}

/** Raises `port-in-use`, `port-refused` and `usage`. The caller closes it. */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { audit, runs, publish = [], ownListeners = [] } = options;
  let dnsPort = 0;
  let publisher: Publisher | null = null;
  const ofLink: { readonly address: string; readonly port: number }[] = [];
  let told: Attribute = () => null;
  const attribute: Attribute = (end) => told(end);
  const inbound = publish.length === 0 ? 0 : inboundWithin(readOpenFiles());
  const core = createGatewayCore({
    inForce: options.inForce,
    audit,
    dnsUpstreams: options.dnsUpstreams,
    parents: options.parents,
    ...(options.ask === null ? {} : { ask: options.ask }),
    isOwn: (address, port) =>
      (port === dnsPort && leadsTo(address, LOOPBACK)) ||
      [...ownListeners, ...ofLink].some((own) => own.port === port && leadsTo(address, own.address)) ||
      publisher?.isOwn(address, port) === true ||
      (runs !== undefined && isHostListener(runs, address, port)),
    attribute,
    descriptors: 2 * inbound + publish.length,
  });
  const { dns, proxy, resolver } = core;
  const bound = await dns.bind(LOOPBACK, options.dnsPort, { asker: 'host', mode: 'vetted' });
  if (!bound.ok) {
    await core.close();
    const place = `127.0.0.1 port ${options.dnsPort === 0 ? '(any)' : options.dnsPort}`;
    throw listenError('the resolver', place, bound);
  }
  dnsPort = bound.port;
  publisher = await openPorts(options, publish, inbound, core);
  const published = publisher?.ports ?? [];
  let mode: AnswerMode = 'synthetic';
  const guest = () => ({ asker: 'guest', mode, attribute }) as const;
  const probe = createProbeNames();
  resolver.registerProbe(probe.reservedName);
  let plant: (ports: readonly number[]) => Promise<void> = async () => {};
  // A port stays planted when the policy no longer names it: what comes there is refused by the proxy.
  // What nothing listens on the kernel refuses, and nobody can be asked about.
  const usual = options.ask !== null;
  const planted = new Set(portsOf(core.policy(), usual));
  let isLost = false;
  return {
    dnsPort,
    published,
    publishedPorts: [...new Set(published.map(({ guestPort }) => guestPort))],
    synthesizeInLoopback: () => resolver.synthesizeFrom(127),
    answerRealAddresses() {
      mode = 'vetted';
    },
    listensAt: (place) => void ofLink.push(place),
    onDial: (dial) => publisher?.onDial(dial),
    hostAddresses: () => core.hostAddresses(),
    ports: [...planted],
    onMorePorts(listener) {
      plant = listener;
    },
    async replacePolicy(next) {
      const more = portsOf(next, usual).filter((port) => !planted.has(port));
      for (const port of more) planted.add(port);
      core.replacePolicy(next);
      if (more.length > 0) await plant(more);
    },
    attributeBy(next) {
      if (next !== null) told = next;
      else audit.record({ kind: 'notice', code: 'attribution-unavailable', detail: NOT_TOLD });
    },
    probe,
    hostListeners: [
      { address: LOOPBACK, port: dnsPort },
      ...ownListeners,
      ...published.map(({ address, hostPort }) => ({ address, port: hostPort })),
    ],
    acceptProxy: (socket) => proxy.acceptProxyConnection(socket),
    acceptStream: (socket, destination) => proxy.acceptStream(socket, destination),
    acceptDnsStream: (socket, transport) => dns.attachStream(socket, guest(), transport),
    acceptDnsDatagrams: (socket) => dns.attachDatagram(socket, guest()),
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
    async close() {
      await publisher?.close();
      await core.close();
    },
  };
}

async function openPorts(
  { audit }: GatewayOptions,
  ports: readonly PortFlag[],
  connections: number,
  core: GatewayCore,
): Promise<Publisher | null> {
  if (ports.length === 0) return null;
  try {
    return await publishPorts({ ports, audit, takeNumber: () => core.proxy.takeNumber(), connections });
  } catch (error) {
    await core.close();
    throw error;
  }
}

function portsOf(inForce: PolicyInForce, usual: boolean): readonly number[] {
  return usual ? plantedPorts(inForce, true) : plantedPorts(inForce);
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
