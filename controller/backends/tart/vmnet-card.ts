/**
 * A guest's card on one of the host's own networks, behind stock Softnet or behind nothing: the gateway listens at the host's
 * address there, and the guest is asked to use it. Where that is, the guest's lease tells, once the host's interfaces agree.
 */
import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { IpAddress } from '../../../policies/model.ts';
import { SandError } from '../../errors.ts';
import { createArrivals } from '../../links/arrivals.ts';
import { type Canaries, openCanaries } from '../../links/vmnet/canaries.ts';
import { createDoorman, type Doorman } from '../../links/vmnet/doorman.ts';
import { createVmnetLink, type VmnetLink } from '../../links/vmnet/link.ts';
import { findGuestNetwork, type GuestNetwork } from '../../links/vmnet/network.ts';
import type { GatewayPort, Observation } from '../backend.ts';
import type { GuestCard, GuestWay } from './guest-card.ts';
import { LEASE_SCRIPT, parseLease } from './guest-lease.ts';
import { parseProbe, probeScript } from './guest-probe.ts';
import type { ResolverSetting } from './guest-scripts.ts';
import { askGuest } from './tool.ts';
import { judgeVmnetReport, planVmnetProbes } from './vmnet-verdicts.ts';

export interface VmnetCardOptions {
  readonly kind: 'softnet' | 'nat';
  readonly gateway: GatewayPort;
  /** What the policy names, for the guest's own resolver settings. */
  readonly domains: ResolverSetting['domains'];
}

const USER = 'sand';
const PASSWORD_BYTES = 24;

export function layVmnet({ kind, gateway, domains }: VmnetCardOptions): GuestCard {
  const open: { close(): void }[] = [];
  let isClosed = false;
  const keep = (one: { close(): void }) => {
    open.push(one);
    // It came up while the guest was being ended.
    if (isClosed) one.close();
  };
  // Behind NAT what the guest dials itself goes by the addresses of the world.
  if (kind === 'nat') gateway.answerRealAddresses();
  return {
    card: kind,
    cableSocket: null,
    plug: async () => {},
    async reach(machine, signal) {
      const network = await requireNetwork(machine, signal);
      const credential = { user: USER, password: randomBytes(PASSWORD_BYTES).toString('hex') };
      let wrong = 0;
      const doorman = createDoorman(credential, {
        admit: (socket) => gateway.acceptProxy(socket),
        wrong: () => {
          wrong += 1;
        },
      });
      keep(doorman);
      const { link, arrivals } = await listenFor(network, gateway, doorman);
      keep(link);
      const resolver = { host: network.gateway, port: link.dnsPort, domains };
      return {
        proxy: { host: network.gateway, port: link.proxyPort, credential },
        resolver,
        details: {
          gateway: `${network.gateway} on ${network.name}, proxy port ${link.proxyPort}, resolver port ${link.dnsPort}`,
        },
        probe: () => tryWaysOut({ machine, kind, network, link, gateway, signal }),
        open: arrivals.open,
        openWayIn: link.openWayIn,
        tried: () => [],
        observations: () => strangersAt(network, link.strangers(), wrong),
      } satisfies GuestWay;
    },
    close() {
      isClosed = true;
      for (const one of open) one.close();
    },
  };
}

async function listenFor(network: GuestNetwork, gateway: GatewayPort, doorman: Doorman) {
  const arrivals = createArrivals({ ...gateway, acceptProxy: doorman.meet }, () => true);
  const address = network.gateway as IpAddress;
  const link = await createVmnetLink(network, {
    proxy: (socket) => arrivals.stream(socket, { address, port: socket.localPort ?? 0 }),
    dnsStream: (socket) => gateway.acceptDnsStream(socket),
    dnsDatagrams: (socket) => gateway.acceptDnsDatagrams(socket),
  });
  for (const port of [link.proxyPort, link.dnsPort]) gateway.listensAt({ address: network.gateway, port });
  return { link, arrivals };
}

/** Raises `link-failed`. */
async function requireNetwork(machine: string, signal: AbortSignal): Promise<GuestNetwork> {
  const { exitCode, stdout } = await askGuest(machine, LEASE_SCRIPT, { signal });
  const lease = exitCode === 0 ? parseLease(stdout) : null;
  const interfaces = Object.fromEntries(
    Object.entries(networkInterfaces()).map(([name, addresses]) => [
      name,
      addresses?.filter(({ family }) => family === 'IPv4'),
    ]),
  );
  const found =
    lease === null
      ? ({ ok: false, why: 'it has no address yet, or does not tell it' } as const)
      : findGuestNetwork(lease, interfaces);
  if (found.ok) return found.network;
  throw new SandError(
    'link-failed',
    `the guest\u2019s network is none that its gateway could serve: ${found.why}`,
    'look whether something else of the host gives out addresses or filters DHCP (a VPN, a firewall in stealth mode); or leave out --link',
  );
}

interface Trial {
  readonly machine: string;
  readonly kind: 'softnet' | 'nat';
  readonly network: GuestNetwork;
  readonly link: VmnetLink;
  readonly gateway: GatewayPort;
  readonly signal: AbortSignal;
}

async function tryWaysOut({ machine, kind, network, link, gateway, signal }: Trial) {
  const canaries = await openCanaries([network.gateway, ...otherAddresses(network)]);
  try {
    const plan = planVmnetProbes({ network, link, gateway, canaries: canaries.places });
    const { exitCode, stdout } = await askGuest(machine, probeScript(plan, network.guest), { signal });
    const seen = exitCode === 0 ? parseProbe(stdout) : null;
    return judgeVmnetReport(seen, { kind, plan, network, link, canaries: known(canaries), gateway });
  } finally {
    canaries.close();
  }
}

function known({ places, greeting }: Canaries) {
  return { places, greeting };
}

/** Of the host on other networks, where its neighbours are. */
function otherAddresses({ gateway }: GuestNetwork): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal, address }) => family === 'IPv4' && !internal && address !== gateway)
    .map(({ address }) => address);
}

/** What only shows when it is over. */
function strangersAt({ gateway }: GuestNetwork, count: number, wrong: number): readonly Observation[] {
  if (count + wrong === 0) return [];
  return [
    {
      code: 'gateway-strangers',
      detail: `${count} connections and datagrams from others than the guest came to its gateway at ${gateway}, and ${wrong} clients showed a wrong credential; none was served`,
    },
  ];
}
