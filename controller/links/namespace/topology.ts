/**
 * The two network namespaces of the namespace link as text: what `ip` and `nft` are told, and how nft's
 * counters are read back. Pure; `planter.ts` runs it.
 *
 *   guest namespace            gateway namespace (no other interface)
 *   lo, sand1 198.18.0.2 ───── sand0 198.18.0.1, every other address local ("AnyIP")
 *
 * The guest's loopback and ports stay its own; whatever it sends elsewhere lands on planted listeners or is
 * refused by the kernel at once, and counted.
 */

/** Addresses of the link itself: the first /24 of the synthetic range, which no DNS answer ever hands out. */
export const LINK = {
  gateway4: '198.18.0.1',
  guest4: '198.18.0.2',
  prefix4: 30,
  gateway6: 'fd73:616e:64::1',
  guest6: 'fd73:616e:64::2',
  prefix6: 64,
  proxyPort: 3128,
  gatewayInterface: 'sand0',
  guestInterface: 'sand1',
} as const;

/** Distinct refused destinations that the kernel counts for one guest; past it only the first are told. */
export const TRIED_SIZE = 4096;

/**
 * For `ip -force -batch -`: what must succeed, then what a kernel without IPv6 refuses; then the guest has no
 * IPv6 at all, which is as closed.
 */
export interface LinkCommands {
  readonly required: readonly string[];
  readonly ipv6: readonly string[];
}

/** In the gateway's namespace; `guestPid` is any process in the guest's namespace. */
export function gatewayLinkCommands(guestPid: number): LinkCommands {
  return {
    required: [
      `link set lo up`,
      `link add ${LINK.gatewayInterface} type veth peer name ${LINK.guestInterface} netns ${guestPid}`,
      `addr add ${LINK.gateway4}/${LINK.prefix4} dev ${LINK.gatewayInterface}`,
      `link set ${LINK.gatewayInterface} up`,
      // The guest's own address must be known in table local before everything else becomes local there.
      `route add unicast ${LINK.guest4}/32 dev ${LINK.gatewayInterface} table local src ${LINK.gateway4}`,
      `route add local 0.0.0.0/0 dev lo`,
    ],
    ipv6: [
      `addr add ${LINK.gateway6}/${LINK.prefix6} dev ${LINK.gatewayInterface} nodad`,
      `route add unicast ${LINK.guest6}/128 dev ${LINK.gatewayInterface} table local`,
      `route add local ::/0 dev lo`,
    ],
  };
}

/** In the guest's namespace. */
export function guestLinkCommands(): LinkCommands {
  return {
    required: [
      `link set lo up`,
      `addr add ${LINK.guest4}/${LINK.prefix4} dev ${LINK.guestInterface}`,
      `link set ${LINK.guestInterface} up`,
      `route add 0.0.0.0/0 via ${LINK.gateway4} dev ${LINK.guestInterface}`,
    ],
    ipv6: [
      `addr add ${LINK.guest6}/${LINK.prefix6} dev ${LINK.guestInterface} nodad`,
      `route add ::/0 via ${LINK.gateway6} dev ${LINK.guestInterface}`,
    ],
  };
}

export function formatLinkCommands({ required, ipv6 }: LinkCommands): string {
  return [...required, ...ipv6].map((command) => `${command}\n`).join('');
}

/** Which parts of a batch took, by ip's own `Command failed FILE:LINE`. A failure without a line fails all. */
export function judgeLinkCommands(
  commands: LinkCommands,
  result: { readonly code: number | null; readonly stderr: string },
): { readonly up: boolean; readonly ipv6: boolean } {
  if (result.code === 0) return { up: true, ipv6: true };
  const failed = [...result.stderr.matchAll(/^Command failed -:(\d+)/gm)].map(([, line]) => Number(line));
  const up = failed.length > 0 && failed.every((line) => line > commands.required.length);
  return { up, ipv6: false };
}

/** The gateway namespace's ruleset. Default is refusal with an answer, so that nothing hangs. */
export function gatewayRuleset(ports: readonly number[]): string {
  const planted = [53, LINK.proxyPort, ...ports];
  return `table inet sand {
  set planted { type inet_service; elements = { ${[...new Set(planted)].join(', ')} } }
  set tried4 { type inet_proto . ipv4_addr . inet_service; flags dynamic; size ${TRIED_SIZE}; counter; }
  set tried6 { type inet_proto . ipv6_addr . inet_service; flags dynamic; size ${TRIED_SIZE}; counter; }
  chain resolve {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "${LINK.gatewayInterface}" udp dport 53 redirect to :53
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    tcp dport @planted accept
    udp dport 53 accept
    icmpv6 type { nd-router-solicit, mld-listener-query, mld-listener-report, mld2-listener-report } drop
    meta nfproto ipv4 meta l4proto { tcp, udp, sctp, dccp } update @tried4 { meta l4proto . ip daddr . th dport }
    meta nfproto ipv6 meta l4proto { tcp, udp, sctp, dccp } update @tried6 { meta l4proto . ip6 daddr . th dport }
    meta nfproto ipv4 meta l4proto != { tcp, udp, sctp, dccp } update @tried4 { meta l4proto . ip daddr . 0 }
    meta nfproto ipv6 meta l4proto != { tcp, udp, sctp, dccp } update @tried6 { meta l4proto . ip6 daddr . 0 }
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
  }
}
`;
}

/** For `nft -f -`: more ports, planted while the guest runs. */
export function plantCommand(ports: readonly number[]): string {
  return `add element inet sand planted { ${ports.join(', ')} }\n`;
}

/** One destination that the kernel refused because nothing is planted there. */
export interface TriedDestination {
  readonly transport: 'tcp' | 'udp' | 'icmp' | 'other';
  readonly address: string;
  /** 0 where the protocol has no ports. */
  readonly port: number;
  /** Packets, retransmissions included. */
  readonly count: number;
}

/**
 * Reads `nft -j list table inet sand`. Elements of an unexpected shape are skipped: this is reporting, the
 * refusal has already happened in the kernel.
 */
export function parseTried(json: string): readonly TriedDestination[] {
  const document: unknown = JSON.parse(json);
  const tried: TriedDestination[] = [];
  for (const item of listOf(field(document, 'nftables'))) {
    for (const element of listOf(field(field(item, 'set'), 'elem'))) {
      const value = field(element, 'elem');
      const [protocol, address, port] = listOf(field(field(value, 'val'), 'concat'));
      const count = field(field(value, 'counter'), 'packets');
      if (typeof address !== 'string' || typeof port !== 'number' || typeof count !== 'number') continue;
      tried.push({ transport: transportName(protocol), address, port, count });
    }
  }
  return tried;
}

function transportName(protocol: unknown): TriedDestination['transport'] {
  if (protocol === 'tcp' || protocol === 'udp') return protocol;
  return protocol === 'icmp' || protocol === 'ipv6-icmp' || protocol === 'icmpv6' ? 'icmp' : 'other';
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
