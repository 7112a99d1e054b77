/** Softnet's rules against vectors that were read from its source, and what a list is said to mean. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  decide,
  explainLists,
  type GuestPacket,
  parseTarget,
  passes,
  type SoftnetLists,
} from '../../../../controller/backends/tart/softnet-model.ts';

interface Packet {
  readonly dst?: string;
  readonly proto?: string;
  readonly dport?: number;
  readonly sport?: number;
  readonly src?: string;
  readonly senderIp?: string;
  readonly srcMac?: string;
  readonly ether?: string;
  readonly lease?: boolean;
}

interface Vectors {
  readonly assume: { readonly gateway: string; readonly vmIp: string; readonly dhcpDns: readonly string[] };
  readonly targets: readonly { readonly target: string; readonly accepted: boolean }[];
  readonly vectors: readonly {
    readonly id: string;
    readonly allow: readonly string[];
    readonly block: readonly string[];
    readonly packet: Packet;
    readonly passes: boolean;
  }[];
  readonly directional: readonly {
    readonly allow: readonly string[];
    readonly block: readonly string[];
    readonly newFlow: { readonly direction: string; readonly peer: string; readonly port?: number };
    readonly decision: string;
  }[];
}

const { assume, targets, vectors, directional }: Vectors = JSON.parse(
  readFileSync(new URL('recorded/softnet-vectors.json', import.meta.url), 'utf8'),
);
const NETWORK = { gateway: assume.gateway, resolvers: assume.dhcpDns };

function lists(allow: readonly string[], block: readonly string[]): SoftnetLists {
  const read = (texts: readonly string[]) =>
    texts.map((text) => parseTarget(text) ?? expect.fail(`${text} does not read`));
  return { allow: read(allow), block: read(block) };
}

function packetOf({
  ether,
  dst = '',
  proto = '',
  dport = 0,
  sport = 50_000,
  src,
  senderIp,
  srcMac,
}: Packet): GuestPacket {
  return {
    ether: ether === undefined ? 'ipv4' : ether === 'arp' || ether === 'ipv6' ? ether : 'other',
    hasOwnMac: srcMac !== 'other',
    source: senderIp ?? src ?? assume.vmIp,
    destination: dst,
    protocol: proto,
    sourcePort: sport,
    destinationPort: dport,
  };
}

describe('Softnet\u2019s rules', () => {
  it.each(targets)('reads $target: $accepted', ({ target, accepted }) => {
    expect(parseTarget(target) !== null).toBe(accepted);
  });

  it.each(vectors)('$id: $packet passes: $passes', ({ allow, block, packet, passes: expected }) => {
    const network = { ...NETWORK, lease: packet.lease === false ? null : assume.vmIp };
    expect(passes(packetOf(packet), lists(allow, block), network)).toBe(expected);
  });

  it.each(directional)(
    'allow $allow, block $block, $newFlow: $decision',
    ({ allow, block, newFlow, decision }) => {
      const { direction, ...flow } = newFlow;
      const asked = { ...flow, direction: direction === 'vm-to-host' ? 'out' : 'in' } as const;
      expect(decide(asked, lists(allow, block), NETWORK)).toBe(decision);
    },
  );
});

describe('what a list means', () => {
  it('with the host allowed, all of the host is open', () => {
    expect(explainLists(lists(['@host'], ['0.0.0.0/0']))).toEqual([
      'the host\u2019s SSH server',
      'the host\u2019s file sharing',
      'the host\u2019s resolver, and by it any name server',
      'servers of developers on the host',
    ]);
  });

  it('with everything blocked, nothing is', () => {
    expect(explainLists(lists([], ['0.0.0.0/0']))).toEqual([]);
  });

  it('without lists, the Internet, the host and multicast are', () => {
    expect(explainLists(lists([], []))).toContain('any server of the Internet');
    expect(explainLists(lists([], []))).toContain('services that answer multicast');
    expect(explainLists(lists([], []))).not.toContain('machines of the local network');
  });
});
