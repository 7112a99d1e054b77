/**
 * Containers' networks without containers: network namespaces that a test makes for itself, joined as a container engine
 * joins them. `job` and `neighbour` have one cable into an internal bridge without an address, and no route; the gateway's has
 * that and another to `outside`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { type Followed, follow } from '../lifecycle/conditions.ts';

export type Place = 'job' | 'neighbour' | 'gateway' | 'outside';

export interface NetworkPlan {
  /** Addresses of the internal network, of one /24. */
  readonly job: string;
  readonly neighbour: string;
  readonly gateway: string;
  /** A documentation address, and the gateway's own beside it in its /24. */
  readonly outside: string;
  readonly gatewayOutside: string;
  /** As the engine's host has them, and then as the gateway's container sets them. */
  readonly sysctls: readonly (readonly [string, string])[];
  /** A file that stands in the place of /etc/resolv.conf everywhere. */
  readonly resolvConf: string;
}

export interface ContainerNetwork {
  start(place: Place, argv: readonly string[], environment?: Readonly<Record<string, string>>): Followed;
  close(): void;
}

const INTERNAL: readonly Place[] = ['job', 'neighbour', 'gateway'];

function script(plan: NetworkPlan): string {
  const places: readonly Place[] = [...INTERNAL, 'outside'];
  const inside = (place: Place, line: string) => `ip netns exec ${place} ${line}`;
  return [
    'set -e',
    'mount -t tmpfs none /run',
    `mount --bind ${plan.resolvConf} /etc/resolv.conf`,
    'ip link add internal type bridge',
    'ip link set internal up',
    ...places.flatMap((place) => [`ip netns add ${place}`, inside(place, 'ip link set lo up')]),
    ...INTERNAL.flatMap((place) => [
      `ip link add in-${place} type veth peer name eth0 netns ${place}`,
      `ip link set in-${place} master internal up`,
      inside(place, `ip address add ${plan[place as 'job']}/24 dev eth0`),
      inside(place, 'ip link set eth0 up'),
    ]),
    inside('gateway', 'ip link add eth1 type veth peer name eth0 netns outside'),
    inside('gateway', `ip address add ${plan.gatewayOutside}/24 dev eth1`),
    inside('gateway', 'ip link set eth1 up'),
    inside('outside', `ip address add ${plan.outside}/24 dev eth0`),
    inside('outside', 'ip link set eth0 up'),
    inside('gateway', `ip route add default via ${plan.outside}`),
    // As where everything outside knows a way back: so an answer would come, too.
    inside('outside', `ip route add default via ${plan.gatewayOutside}`),
    ...plan.sysctls.map(([name, value]) => inside('gateway', `sysctl -qw ${name}=${value}`)),
    'echo ready',
    'exec cat',
  ].join('\n');
}

export async function createContainerNetwork(plan: NetworkPlan): Promise<ContainerNetwork> {
  const holder = spawn('unshare', [
    ...['--user', '--map-root-user', '--net', '--mount', '--', 'sh', '-c'],
    script(plan),
  ]);
  const children: ChildProcess[] = [holder];
  await follow(holder).printed('ready');
  const enter = [
    '--target',
    String(holder.pid),
    '--user',
    '--net',
    '--mount',
    '--preserve-credentials',
    '--',
  ];
  return {
    start(place, argv, environment = {}) {
      const child = spawn('nsenter', [...enter, 'ip', 'netns', 'exec', place, ...argv], {
        env: { PATH: process.env.PATH ?? '', ...environment },
      });
      children.push(child);
      return follow(child);
    },
    close() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
