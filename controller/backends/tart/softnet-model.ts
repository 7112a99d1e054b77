/**
 * Which packets stock Softnet lets through under an allow and a block list: its rules as a function of values, for saying
 * before a start what a list means. The classic rules of 0.16 to 0.21, and the directional ones after them; sources in
 * docs/tart.md. Pure.
 */

export interface SoftnetTarget {
  /** Null: `@host`, whatever the gateway's address turns out to be. */
  readonly address: number | null;
  readonly prefix: number;
  readonly direction: 'in' | 'out' | 'both';
  /** Null: every port. */
  readonly ports: { readonly first: number; readonly last: number } | null;
}

export interface SoftnetLists {
  readonly allow: readonly SoftnetTarget[];
  readonly block: readonly SoftnetTarget[];
}

/** What the guest sends. */
export interface GuestPacket {
  readonly ether: 'ipv4' | 'arp' | 'ipv6' | 'other';
  readonly hasOwnMac: boolean;
  /** Of an ARP packet the sender's. */
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface SoftnetNetwork {
  readonly gateway: string;
  /** Of the guest; null before its first lease and after its last. */
  readonly lease: string | null;
  /** As the lease named them. */
  readonly resolvers: readonly string[];
}

/** `[in|out ]CIDR[:PORT[-PORT]]` or `@host` in place of the CIDR; null for what Softnet refuses, which ends the guest. */
export function parseTarget(text: string): SoftnetTarget | null {
  const match = /^(?:(in|out) +)?(@host|[0-9.]+\/\d{1,2})(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text);
  if (match === null) return null;
  const [, direction = 'both', place = '', first, last = first] = match;
  const ports = first === undefined ? null : { first: Number(first), last: Number(last) };
  if (ports !== null && (ports.first > ports.last || ports.last > 65_535)) return null;
  const base = { direction: direction as SoftnetTarget['direction'], ports };
  if (place === '@host') return { ...base, address: null, prefix: 32 };
  const [address = '', length = ''] = place.split('/');
  const bits = parseAddress(address);
  const prefix = Number(length);
  if (bits === null || prefix > 32 || `${prefix}` !== length) return null;
  return { ...base, address: mask(bits, prefix), prefix };
}

/** What leaves the guest, in the order in which Softnet asks. */
export function passes(packet: GuestPacket, lists: SoftnetLists, network: SoftnetNetwork): boolean {
  if (!packet.hasOwnMac) return false;
  if (packet.ether === 'arp')
    return packet.source === network.lease || (network.lease === null && packet.source === '0.0.0.0');
  if (packet.ether !== 'ipv4') return false;
  const destination = parseAddress(packet.destination);
  if (destination === null) return false;
  if (network.lease !== null && packet.source === network.lease) {
    const decided = decide(
      { peer: packet.destination, port: packet.destinationPort, direction: 'out' },
      lists,
      network,
    );
    if (decided !== 'default') return decided === 'pass';
    if (isGlobal(destination) || packet.destination === network.gateway) return true;
    if (isResolver(packet, network)) return true;
  }
  return isBroadcastLease(packet);
}

export interface SoftnetFlow {
  readonly peer: string;
  /** On the peer's side. */
  readonly port?: number;
  readonly direction: 'in' | 'out';
}

/** By the lists alone: the longest prefix of a rule for that direction, those with ports first; of two as long the block. */
export function decide(
  { peer, port, direction }: SoftnetFlow,
  { allow, block }: SoftnetLists,
  { gateway }: Pick<SoftnetNetwork, 'gateway'>,
): 'pass' | 'drop' | 'default' {
  const address = parseAddress(peer);
  const host = parseAddress(gateway);
  if (address === null || host === null) return 'drop';
  const isDirectional = [...allow, ...block].some((rule) => rule.direction !== 'both');
  // Without any rule of a direction nothing that comes in is looked at.
  if (!isDirectional && direction === 'in') return 'default';
  const rankOf = (rules: readonly SoftnetTarget[]) =>
    Math.max(-1, ...rules.map((rule) => rank(rule, { address, host, port: port ?? null, direction })));
  const [allowed, blocked] = [rankOf(allow), rankOf(block)];
  if (allowed < 0 && blocked < 0) return 'default';
  return allowed > blocked ? 'pass' : 'drop';
}

/** Negative where the rule does not apply. */
function rank(
  rule: SoftnetTarget,
  flow: {
    readonly address: number;
    readonly host: number;
    readonly port: number | null;
    readonly direction: string;
  },
): number {
  if (rule.direction !== 'both' && rule.direction !== flow.direction) return -1;
  if (mask(flow.address, rule.prefix) !== (rule.address ?? flow.host)) return -1;
  if (rule.ports === null) return rule.prefix;
  const { port } = flow;
  return port !== null && port >= rule.ports.first && port <= rule.ports.last ? 33 + rule.prefix : -1;
}

function isResolver(packet: GuestPacket, { resolvers }: SoftnetNetwork): boolean {
  return packet.protocol === 'udp' && packet.destinationPort === 53 && resolvers.includes(packet.destination);
}

/** The hole by which a guest gets its first lease. */
function isBroadcastLease({ protocol, destination, sourcePort, destinationPort }: GuestPacket): boolean {
  return (
    protocol === 'udp' && destination === '255.255.255.255' && (sourcePort === 68 || destinationPort === 67)
  );
}

/** As the library that Softnet uses has it: multicast counts. */
const NOT_GLOBAL: readonly SoftnetTarget[] = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24'],
  ...['203.0.113.0/24', '240.0.0.0/4'],
].flatMap((text) => parseTarget(text) ?? []);

function isGlobal(address: number): boolean {
  return !NOT_GLOBAL.some(({ address: base, prefix }) => mask(address, prefix) === base);
}

/** Strict: four decimal bytes without leading zeros. */
function parseAddress(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return null;
  return parts.reduce((bits, part) => bits * 256 + Number(part), 0);
}

function mask(address: number, prefix: number): number {
  return prefix === 0 ? 0 : ((address >>> (32 - prefix)) << (32 - prefix)) >>> 0;
}

/** Places that a person asks about, and one packet to each. */
const PLACES: readonly {
  readonly what: string;
  readonly destination: string;
  readonly protocol: string;
  readonly port: number;
}[] = [
  { what: 'any server of the Internet', destination: '1.1.1.1', protocol: 'tcp', port: 443 },
  { what: 'any resolver of the Internet', destination: '8.8.8.8', protocol: 'udp', port: 53 },
  { what: 'the host\u2019s SSH server', destination: '@host', protocol: 'tcp', port: 22 },
  { what: 'the host\u2019s file sharing', destination: '@host', protocol: 'tcp', port: 445 },
  {
    what: 'the host\u2019s resolver, and by it any name server',
    destination: '@host',
    protocol: 'udp',
    port: 53,
  },
  { what: 'servers of developers on the host', destination: '@host', protocol: 'tcp', port: 8080 },
  { what: 'machines of the local network', destination: '192.168.1.10', protocol: 'tcp', port: 443 },
  { what: 'other guests', destination: '192.168.64.7', protocol: 'tcp', port: 443 },
  { what: 'services that answer multicast', destination: '224.0.0.251', protocol: 'udp', port: 5353 },
];

const NETWORK = { gateway: '192.168.64.1', lease: '192.168.64.5', resolvers: ['192.168.64.1'] } as const;

/** What a guest would reach under these lists, in words. */
export function explainLists(lists: SoftnetLists): readonly string[] {
  return PLACES.filter(({ destination, protocol, port }) =>
    passes(
      {
        ether: 'ipv4',
        hasOwnMac: true,
        source: NETWORK.lease,
        destination: destination === '@host' ? NETWORK.gateway : destination,
        protocol,
        sourcePort: 50_000,
        destinationPort: port,
      },
      lists,
      NETWORK,
    ),
  ).map(({ what }) => what);
}

/** The narrowest with which a guest reaches a gateway of the host's: everything is blocked but the host's own address there. */
export const STOCK_LISTS = { allow: ['@host'], block: ['0.0.0.0/0'] } as const;

/** What a guest on stock Softnet reaches besides its gateway, for people and the log. */
export function stockReach(): readonly string[] {
  const [allow = [], block = []] = [STOCK_LISTS.allow, STOCK_LISTS.block].map((texts) =>
    texts.flatMap((text) => parseTarget(text) ?? []),
  );
  return [`every port of the host, among them ${explainLists({ allow, block }).join(', ')}`];
}

/** And with the host's NAT, where nothing filters. */
export const NAT_REACH: readonly string[] = [
  'every address that the host itself reaches, and every port of the host',
];
