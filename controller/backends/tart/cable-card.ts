/** A guest's card as a cable into sand: its own softnet connects to the supervisor, where the ethernet link ends every frame. */
import { SandError } from '../../errors.ts';
import { createArrivals, type Destination } from '../../links/arrivals.ts';
import { CABLE, formatIpv4 } from '../../links/ethernet/addresses.ts';
import type { Cable } from '../../links/ethernet/cable.ts';
import { type CableSocket, listenForCable } from '../../links/ethernet/cable-socket.ts';
import { createEthernetLink, type EthernetLink } from '../../links/ethernet/link.ts';
import { type ProbePlan, planProbes, withoutProbes } from '../../links/probing.ts';
import type { GatewayPort } from '../backend.ts';
import type { GuestCard } from './guest-card.ts';
import { PROXY } from './guest-plan.ts';
import { parseProbe, probeScript } from './guest-probe.ts';
import { judgeGuestReport } from './probe-verdicts.ts';
import { askGuest, TOOL_LIMITS } from './tool.ts';

/** The guest's own address and its gateway's, which is its resolver too. */
const OWN_ADDRESS = formatIpv4(CABLE.guest);
const GATEWAY = formatIpv4(CABLE.gateway);

/** `lost`: the cable has ended, meant or not. */
export async function layCable(
  folder: string,
  gateway: GatewayPort,
  lost: (error: SandError) => void,
): Promise<GuestCard> {
  const socket = await listenForCable(folder);
  const arrivals = createArrivals(gateway, isProxy);
  let link: EthernetLink | null = null;
  const up = (): EthernetLink => {
    if (link === null) throw noCable();
    return link;
  };
  return {
    card: 'cable',
    cableSocket: socket.path,
    async plug() {
      const cable = await connected(socket);
      link = createEthernetLink({
        cable,
        ports: gateway.ports,
        consumer: {
          stream: arrivals.stream,
          datagram: (datagrams) => gateway.acceptDnsDatagrams(datagrams),
          lost,
        },
      });
      gateway.onMorePorts(async (ports) => up().plant(ports));
    },
    async reach(machine, signal) {
      const plan = planOwnProbes(gateway);
      return {
        proxy: { host: PROXY.address, port: PROXY.port },
        resolver: null,
        details: {},
        async probe() {
          const { exitCode, stdout } = await askGuest(machine, probeScript(plan, OWN_ADDRESS), { signal });
          const { greeting } = gateway.probe;
          const seen = exitCode === 0 ? parseProbe(stdout) : null;
          return judgeGuestReport(seen, { plan, greeting, address: OWN_ADDRESS, proxy: PROXY });
        },
        open: arrivals.open,
        openWayIn: (ports) => up().openWayIn(ports),
        tried: () => withoutProbes(up().tried(), plan),
        observations: () => [],
      };
    },
    close() {
      link?.close();
      socket.close();
    },
  };
}

/** Both places where the proxy is found: the gateway's own is what the lease names. */
function isProxy({ address, port }: Destination): boolean {
  return port === PROXY.port && (address === PROXY.address || address === GATEWAY);
}

async function connected({ connected: cable }: CableSocket): Promise<Cable> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(noCable()), TOOL_LIMITS.cableMs);
  try {
    return await Promise.race([cable, late]);
  } finally {
    clearTimeout(timer);
  }
}

function noCable(): SandError {
  return new SandError(
    'link-failed',
    'the guest\u2019s machine came up without its cable: sand\u2019s own softnet did not answer',
    'run `sand doctor --backend tart`',
  );
}

function planOwnProbes(gateway: GatewayPort): ProbePlan {
  const plan = planProbes(gateway, GATEWAY);
  return { ...plan, connect: [...plan.connect, PROXY] };
}
