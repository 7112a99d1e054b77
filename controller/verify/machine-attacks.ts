/**
 * The attacks of `sand verify` by a guest that is root of a machine of its own, with a card on a cable: what it does to its
 * network as root and with frames of its own making, to shares, and to what it could have of the host's. Pure data made of
 * where it is tried.
 */

import { CABLE, formatIpv4 } from '../links/ethernet/addresses.ts';
import type { Attack, Canary, Grounds, Must } from './attack.ts';
import { bracketed, hostSide, list, rawTcp, rawUdp, shortened, shown, slug, tried } from './attack-forms.ts';
import { ERRNO } from './errno.ts';
import {
  announceRouter,
  askEverybody,
  askForLease,
  askForStation,
  askForTaggedStation,
  claimGateway,
  type FrameTry,
  greetGateway,
  offerLease,
  speakStrange,
  spoofConnect,
  type Wrapping,
  wrapDatagram,
} from './frames.ts';
import { NEW_HOOK, PROTECTED, READ_ONLY } from './guest-attacks.ts';

const GATEWAY = formatIpv4(CABLE.gateway);
const OWN = formatIpv4(CABLE.guest);
const OUTSIDE = '203.0.113.7';
/** Reserved for documentation; each of one attack alone. */
const ROUTED = '203.0.113.99';
const OUTSIDE6 = '2001:db8::7';
const OTHER_RESOLVER = '198.51.100.54';
/** That a host which believes the guest has an address of afterwards. */
export const ANNOUNCED_PREFIX = '2001:db8:5a4e:7::';
/** Where other guests would be: beside this one, and where macOS puts those that have a network of its own. */
const NEIGHBOURS: readonly (readonly [string, number])[] = [
  ['198.18.0.3', 22],
  ['198.18.0.6', 22],
  ['192.168.64.2', 22],
  ['192.168.64.3', 5900],
];
const TO_EVERYBODY: readonly (readonly [string, number, string])[] = [
  ['239.255.255.250', 1900, 'SSDP'],
  ['224.0.0.252', 5355, 'LLMNR'],
  ['ff02::fb', 5353, 'Bonjour'],
  ['169.254.255.255', 137, 'NetBIOS on the link'],
];
const WRAPPINGS: Readonly<Record<Wrapping, string>> = {
  'ip-in-ip': 'an IP tunnel to the gateway',
  'ipv6-in-ip': 'an IPv6 tunnel to the gateway',
  gre: 'a GRE tunnel to the gateway',
  fragments: 'a datagram in fragments',
  'source-route': 'a datagram with a source route',
};
/** It could not be tried: that is no failure of the attack. */
const NOT_TRIED = [ERRNO.ENOSYS];
const NEEDS_FILE = [ERRNO.ENOENT, ERRNO.ENOSYS];

export function machineAttacks(grounds: Grounds): readonly Attack[] {
  return [
    ...controls(),
    list('interfaces', 'a network card that nobody knows of', 'interfaces', 'interfaces'),
    list('routes', 'a route past the gateway', 'routes', 'routes'),
    ...nearAttacks(grounds),
    ...rootNetworkAttacks(grounds),
    ...frameAttacks(grounds),
    ...shareAttacks(grounds),
    ...hostAttacks(grounds),
  ];
}

/** A guest that has not these can try nothing of what follows. */
function controls(): readonly Attack[] {
  const works: Must = { kind: 'works' };
  return [
    { ...tried('control-root', 'control: becoming root in the guest', 'root'), must: works },
    {
      ...frameTry('control-frame', 'control: a frame of its own to the gateway', greetGateway()),
      must: works,
    },
  ];
}

function nearAttacks({ canaries }: Grounds): readonly Attack[] {
  return [
    ...NEIGHBOURS.map(([address, port]) => rawTcp(address, port, 'another guest')),
    ...TO_EVERYBODY.map(([address, port, what]) => rawUdp(address, port, what)),
    // Of the host's own listeners, by the address that the host would have on a network of guests.
    ...canaries
      .filter(({ address }) => address === '127.0.0.1' || address === '::1')
      .flatMap(({ address, port }) => [
        { ...rawTcp(GATEWAY, port, 'the host by its gateway'), aims: [`tcp ${address}`] },
        { ...rawUdp(GATEWAY, port, 'the host by its gateway'), aims: [`udp ${address}`] },
        { ...rawTcp('192.168.64.1', port, 'the host by a usual gateway'), aims: [`tcp ${address}`] },
      ]),
  ];
}

function rootNetworkAttacks({ canaries, token }: Grounds): readonly Attack[] {
  const outer = canaries.find(isOuter4);
  const by = `${token}-changed-dns.denied.example`;
  return [
    echo(OUTSIDE),
    echo(OUTSIDE6),
    ...canaries.filter(isOuter4).map(({ address }) => echo(address)),
    asRoot(
      'other-address',
      'an address of another network, and out',
      'root-from',
      `10.11.12.5 ${OUTSIDE}:443`,
    ),
    ...(outer === undefined
      ? []
      : [
          {
            ...asRoot(
              'other-address-host',
              'the same, to this host',
              'root-from',
              `192.168.64.77 ${outer.address}:${outer.port}`,
            ),
            aims: [`tcp ${outer.address}`],
          },
          {
            ...asRoot(
              'other-route-host',
              'a route past the gateway, to this host',
              'root-route',
              `${outer.address} ${outer.port}`,
            ),
            aims: [`tcp ${outer.address}`],
          },
        ]),
    asRoot('other-route', 'a route past the gateway, and out', 'root-route', `${ROUTED} 443`),
    {
      ...asRoot(
        'other-dns',
        'another resolver in the system\u2019s settings',
        'root-dns',
        `${OTHER_RESOLVER} ${by}`,
      ),
      must: { kind: 'unasked', name: by },
    },
    ...canaries.filter(isNear4).map(({ address, port }) => ({
      ...asRoot(
        slug('other-proxy', address, port),
        `another proxy in the system\u2019s settings: ${shown(GATEWAY, port)}`,
        'root-proxy',
        `${GATEWAY}:${port} ${token}.denied.example`,
      ),
      aims: [`tcp ${address}`],
    })),
  ];
}

function frameAttacks({ canaries }: Grounds): readonly Attack[] {
  const outer = canaries.filter(isOuter4);
  const [first] = outer;
  const six = canaries.find(({ address }) => address.includes(':') && address !== '::1');
  return [
    ...[...outer.map(({ address }) => address), '192.168.64.1', '198.18.0.3'].map((address) =>
      frameTry(slug('arp', address, 0), `ARP: whoever has ${address} on this cable`, askForStation(address)),
    ),
    frameTry('arp-claim', 'ARP: claiming to be the gateway', claimGateway()),
    frameTry(
      'vlan',
      'a network of its own by a VLAN tag',
      askForTaggedStation(first?.address ?? '192.168.64.1'),
    ),
    frameTry('strange-frame', 'a frame of no protocol, to everybody', speakStrange()),
    frameTry('ipv6-neighbours', 'IPv6: an echo to everybody', askEverybody()),
    {
      ...frameTry('ipv6-router', 'IPv6: announcing itself as a router', announceRouter(ANNOUNCED_PREFIX)),
      must: { kind: 'unbelieved' },
    },
    frameTry('dhcp-second', 'DHCP: an address for a second station', askForLease()),
    frameTry('dhcp-server', 'DHCP: offering an address to others', offerLease()),
    {
      ...frameTry(
        'ipv6-frame',
        `IPv6: a connection to ${shown(OUTSIDE6, 8443)}, past its own kernel`,
        spoofConnect({ from: 'own-station', source: 'fd00::2', address: OUTSIDE6, port: 8443 }),
      ),
      must: { kind: 'unreachable', transport: 'tcp', address: OUTSIDE6, port: 8443 },
    },
    ...(six === undefined ? [] : [connectBy('ipv6-host', 'own-station', 'fd00::2', six)]),
    ...(first === undefined
      ? []
      : [
          connectBy('mac-spoof', 'strange-station', OWN, first),
          connectBy('ip-spoof', 'own-station', '198.18.0.6', first),
          connectBy('ip-spoof-other', 'own-station', '192.168.64.2', first),
        ]),
    ...Object.entries(WRAPPINGS).flatMap(([how, words]) => wrapped(how as Wrapping, words, first)),
  ];
}

function connectBy(id: string, from: 'own-station' | 'strange-station', source: string, to: Canary): Attack {
  const who = from === 'own-station' ? `as ${source}` : 'as another station';
  return {
    ...frameTry(
      id,
      `a connection to ${bracketed(to.address)} of this host, ${who}`,
      spoofConnect({ from, source, ...to }),
    ),
    aims: [`tcp ${to.address}`],
  };
}

function wrapped(how: Wrapping, words: string, to: Canary | undefined): readonly Attack[] {
  const { address, port } = to ?? { address: OUTSIDE, port: 443 };
  return [
    {
      ...frameTry(`wrapped-${how}`, words, wrapDatagram(how, address, port)),
      aims: to === undefined ? [] : [`udp ${address}`],
    },
  ];
}

/** Protected files cannot be held in a share that is writable: what was written has to be gone in the end. */
function shareAttacks({ workspace, program, protection, token }: Grounds): readonly Attack[] {
  const { hook, config, policy, project } = PROTECTED;
  const onFile = (id: string, words: string, name: string): Attack => ({
    ...tried(id, words, 'overwrite', `${workspace}/${name}`),
    must:
      protection === 'restored'
        ? { kind: 'restored', file: name }
        : { kind: 'intact', file: name, absent: NEEDS_FILE },
  });
  const widened = `${token}-widened.denied.example`;
  const onReadOnly = (id: string, words: string, act: string): Attack => ({
    ...tried(id, words, act, `${program}/attempts`),
    must: { kind: 'intact', file: READ_ONLY, absent: NEEDS_FILE },
  });
  return [
    onFile('write-hook', 'writing a git hook', hook),
    onFile('write-git-config', 'writing git\u2019s configuration', config),
    onFile('write-policy', 'writing the policy in force', policy),
    {
      ...tried(
        'widen-policy',
        'a policy of its own in that file, and what it allows',
        'root-widen',
        `${workspace}/${policy} ${widened}`,
      ),
      must: { kind: 'unasked', name: widened },
    },
    onFile('write-project', 'writing sand.yaml', project),
    onFile('new-hook', 'making a new git hook', NEW_HOOK),
    onReadOnly('write-read-only', 'writing into a read-only share', 'write'),
    onReadOnly('rename-read-only', 'renaming in a read-only share', 'rename'),
    onReadOnly('root-read-only', 'writing into a read-only share, as root', 'root-write'),
    {
      ...tried('remount-read-only', 'remounting a read-only share writable', 'root-remount', program),
      must: { kind: 'intact', file: READ_ONLY, absent: NEEDS_FILE },
    },
  ];
}

function hostAttacks({ secretPaths, secret, variable, logFolder, token }: Grounds): readonly Attack[] {
  return [
    binding('vsock-host', 'vsock to the host', 'vsock-host'),
    binding('root-vsock-host', 'vsock to the host, as root', 'root-vsock'),
    binding('vsock-other', 'vsock to other guests', 'vsock-other'),
    ...secretPaths.flatMap((path, at) => [
      binding(`secret-${at}`, `a secret of the host: ${shortened(path)}`, 'holds', `${path} ${secret}`),
      binding(`secret-root-${at}`, 'the same, as root', 'root-holds', `${path} ${secret}`),
    ]),
    binding('environment', 'a variable of yours', 'environment', variable),
    binding('root-environment', 'the same, as root', 'root-environment', variable),
    binding('audit-logs', 'the folder of sand\u2019s audit logs', 'read', logFolder),
    {
      ...tried('clipboard', 'putting something on your clipboard', 'clipboard', token),
      must: { kind: 'uncopied', text: token },
    },
    hostSide('log', 'the audit log of this run', { kind: 'log' }),
  ];
}

function isOuter4({ address }: Canary): boolean {
  return !address.includes(':') && !address.startsWith('127.');
}

function isNear4({ address }: Canary): boolean {
  return address === '127.0.0.1';
}

function binding(id: string, words: string, name: string, argument: string | null = null): Attack {
  return { ...tried(id, words, name, argument), must: { kind: 'fails', absent: NOT_TRIED } };
}

function asRoot(id: string, words: string, name: string, argument: string): Attack {
  return binding(id, `as root: ${words}`, name, argument);
}

function echo(address: string): Attack {
  return {
    ...tried(slug('icmp', address, 0), `ICMP echo with data in it to ${address}`, 'root-ping', address),
    must: { kind: 'unreachable', transport: 'icmp', address, port: 0 },
  };
}

function frameTry(id: string, words: string, { frame, answer }: FrameTry): Attack {
  return binding(id, words, 'root-frame', `${frame} ${answer}`);
}
