/**
 * What was tried from inside a guest on one of the host's own networks, judged: its gateway has to answer, behind Softnet
 * nobody beyond the host may, and what else is in reach is told and never hidden. Pure but for the list of the host's listeners.
 */
import type { ProbeResult } from '../../../audit/event.ts';
import { strangeAddresses } from '../../links/ethernet/guest-cards.ts';
import {
  type AskObservation,
  type ConnectObservation,
  isSynthetic,
  judgeAsks,
  judgeConnect,
  OUTSIDE,
  type ProbePlan,
} from '../../links/probing.ts';
import type { Canary } from '../../links/vmnet/canaries.ts';
import type { GuestNetwork } from '../../links/vmnet/network.ts';
import type { GatewayPort } from '../backend.ts';
import type { GuestReport } from './guest-probe.ts';

interface Ports {
  readonly proxyPort: number;
  readonly dnsPort: number;
}

export interface VmnetPlanParts {
  readonly network: GuestNetwork;
  readonly link: Ports;
  readonly gateway: Pick<GatewayPort, 'probe' | 'hostListeners'>;
  readonly canaries: readonly Canary[];
}

export interface VmnetExpectations {
  readonly kind: 'softnet' | 'nat';
  readonly plan: ProbePlan;
  readonly network: GuestNetwork;
  readonly link: Ports;
  readonly canaries: { readonly places: readonly Canary[]; readonly greeting: string };
  readonly gateway: Pick<GatewayPort, 'probe'>;
}

const DNS_PORT = 53;

/** Raw addresses outside, the host's own listeners, each canary, the proxy; and three resolvers: the gateway's, the host's, another. */
export function planVmnetProbes({ network, link, gateway, canaries }: VmnetPlanParts): ProbePlan {
  const { reservedName, deniedName } = gateway.probe;
  return {
    connect: [
      { address: OUTSIDE.address4, port: 443 },
      { address: OUTSIDE.address6, port: 443 },
      { address: OUTSIDE.address4, port: 9 },
      ...gateway.hostListeners.filter(({ address }) => address.startsWith('127.')),
      ...canaries,
      { address: network.gateway, port: link.proxyPort },
    ],
    servers: [serverAt(network, link.dnsPort), serverAt(network, DNS_PORT), OUTSIDE.resolver],
    reservedName,
    deniedName,
  };
}

/** As the probes name one at a port of its own. */
function serverAt({ gateway }: GuestNetwork, port: number): string {
  return `${gateway}#${port}`;
}

/** `seen` null: what the guest printed does not read. Fail closed: then nothing passed. */
export function judgeVmnetReport(
  seen: GuestReport | null,
  expected: VmnetExpectations,
): readonly ProbeResult[] {
  if (seen === null)
    return [result('probes-complete', false, 'what the guest said of its probes does not read')];
  const { connects, asks } = seen;
  const { plan, network, link, gateway } = expected;
  const isWhole = connects.length === plan.connect.length && asks.length === plan.servers.length * 2;
  const own = serverAt(network, link.dnsPort);
  const { greeting } = gateway.probe;
  return [
    judgeInterfaces(seen, expected),
    ...connects.map((connect) => judgeOne(connect, expected)),
    ...judgeAsks(
      asks.filter(({ server }) => server === own),
      { plan, greeting, isSynthetic },
    ),
    ...judgeOtherResolvers(asks, expected),
    result('probes-complete', isWhole, `${connects.length} connects and ${asks.length} questions were tried`),
  ];
}

function judgeInterfaces({ interfaces }: GuestReport, { kind, network }: VmnetExpectations): ProbeResult {
  const strange = interfaces.flatMap((one) => strangeAddresses(one, network.guest));
  const isThere = interfaces.some(({ addresses }) => addresses.includes(network.guest));
  // The host's NAT gives addresses of IPv6 as well; there nothing is claimed.
  if (kind === 'nat' && isThere) return reach(`the guest\u2019s cards: ${strange.join(', ') || 'one'}`);
  return result(
    'interfaces',
    strange.length === 0 && isThere,
    strange.join(', ') || (isThere ? `one card, on ${network.name}` : `none has ${network.guest}`),
  );
}

function judgeOne(connect: ConnectObservation, expected: VmnetExpectations): ProbeResult {
  const { kind, network, link, canaries, gateway } = expected;
  const { address, port, outcome, answer } = connect;
  const place = `${address} port ${port}`;
  if (address === network.gateway && port === link.proxyPort) {
    const passed = answer.trim() === gateway.probe.greeting;
    return result(
      'proxy',
      passed,
      passed ? `${place} is the gateway\u2019s` : `nothing of the gateway\u2019s at ${place}`,
    );
  }
  const isCanary = canaries.places.some((one) => one.address === address && one.port === port);
  if (isCanary && (address === network.gateway || kind === 'nat')) {
    const met = answer.trim() === canaries.greeting ? 'reached' : 'not reached';
    return reach(`the host at ${place}, a port that no rule names: ${met}`);
  }
  if (kind === 'nat')
    return reach(`${place}: ${outcome === 'no-connection' ? 'nobody' : 'somebody'} answered`);
  return judgeConnect(connect, { greeting: gateway.probe.greeting });
}

/** The host's own resolver is in reach; behind Softnet no other is. */
function judgeOtherResolvers(
  asks: readonly AskObservation[],
  { kind, network, link, plan }: VmnetExpectations,
): readonly ProbeResult[] {
  const others = asks.filter(
    ({ server, name }) => server !== serverAt(network, link.dnsPort) && name === plan.reservedName,
  );
  return others.map(({ server, outcome }) => {
    const isHost = server.startsWith(`${network.gateway}#`);
    const what = isHost
      ? `the host\u2019s own resolver at ${network.gateway} port ${DNS_PORT}`
      : `a resolver at ${server}`;
    const detail = `${what}: ${outcome === 'timeout' ? 'did not answer' : 'answered'}`;
    return isHost || kind === 'nat' ? reach(detail) : result('resolver', outcome === 'timeout', detail);
  });
}

/** What is no claim, and so cannot fail: what the guest got to besides its gateway. */
function reach(detail: string): ProbeResult {
  return result('in-reach', true, detail);
}

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}
