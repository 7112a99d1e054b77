import { describe, expect, it } from 'vitest';
import {
  formatLinkCommands,
  gatewayLinkCommands,
  gatewayRuleset,
  guestLinkCommands,
  judgeLinkCommands,
  LINK,
  parseTried,
  plantCommand,
} from '../../../../controller/links/namespace/topology.ts';

describe('the commands of the link', () => {
  it('make every address local on the gateway\u2019s side only', () => {
    expect(formatLinkCommands(gatewayLinkCommands(7))).toContain('route add local 0.0.0.0/0 dev lo\n');
    expect(formatLinkCommands(guestLinkCommands())).not.toContain('local');
    expect(formatLinkCommands(guestLinkCommands())).toContain(`route add 0.0.0.0/0 via ${LINK.gateway4}`);
  });

  it('know the guest\u2019s own address before everything else becomes local', () => {
    const { required } = gatewayLinkCommands(7);
    const own = required.findIndex((command) => command.includes(`unicast ${LINK.guest4}/32`));
    expect(own).toBeGreaterThan(-1);
    expect(own).toBeLessThan(required.findIndex((command) => command.includes('local 0.0.0.0/0')));
  });

  const commands = guestLinkCommands();
  const failedAt = (line: number) => `RTNETLINK answers: No\nCommand failed -:${line}\n`;
  it.each([
    ['all went well', 0, '', { up: true, ipv6: true }],
    ['IPv6 alone failed', 1, failedAt(commands.required.length + 1), { up: true, ipv6: false }],
    ['something required failed', 1, failedAt(1), { up: false, ipv6: false }],
    ['both failed', 1, failedAt(2) + failedAt(commands.required.length + 1), { up: false, ipv6: false }],
    ['ip says nothing that is understood', 1, 'broken', { up: false, ipv6: false }],
    ['ip was killed', null, '', { up: false, ipv6: false }],
  ])('judge: %s', (_, code, stderr, expected) => {
    expect(judgeLinkCommands(commands, { code, stderr })).toEqual(expected);
  });
});

describe('the gateway\u2019s ruleset', () => {
  const ruleset = gatewayRuleset([80, 443, 443]);

  it('drops by default, in and through', () => {
    expect(ruleset.match(/policy drop;/g)).toHaveLength(2);
  });

  it('accepts the planted ports, each named once', () => {
    expect(ruleset).toContain(`elements = { 53, ${LINK.proxyPort}, 80, 443 }`);
    expect(plantCommand([5432, 22])).toBe('add element inet sand planted { 5432, 22 }\n');
  });

  it('carries DNS to any server to the gateway\u2019s own port', () => {
    expect(ruleset).toContain(`iifname "${LINK.gatewayInterface}" udp dport 53 redirect to :53`);
  });

  it('refuses the rest with an answer, so that nothing hangs', () => {
    expect(ruleset).toContain('reject with tcp reset');
    expect(
      ruleset
        .trimEnd()
        .split('\n')
        .filter((line) => line.includes('reject'))
        .at(-1),
    ).toContain('reject with icmpx');
  });
});

describe('parseTried', () => {
  const element = (protocol: string, address: string, port: number, packets: number) => ({
    elem: { val: { concat: [protocol, address, port] }, counter: { packets, bytes: 60 } },
  });

  it('reads nft\u2019s counters, by transport', () => {
    const json = JSON.stringify({
      nftables: [
        { metainfo: {} },
        {
          set: {
            name: 'tried4',
            elem: [element('tcp', '192.0.2.1', 8443, 2), element('icmp', '192.0.2.1', 0, 1)],
          },
        },
        {
          set: {
            name: 'tried6',
            elem: [element('udp', '2001:db8::1', 443, 4), element('sctp', '2001:db8::1', 9, 1)],
          },
        },
      ],
    });
    expect(parseTried(json)).toEqual([
      { transport: 'tcp', address: '192.0.2.1', port: 8443, count: 2 },
      { transport: 'icmp', address: '192.0.2.1', port: 0, count: 1 },
      { transport: 'udp', address: '2001:db8::1', port: 443, count: 4 },
      { transport: 'other', address: '2001:db8::1', port: 9, count: 1 },
    ]);
  });

  it.each(['{}', '{"nftables": 7}', '{"nftables": [{"set": {"elem": [{"elem": {"val": 1}}, null]}}]}'])(
    'skips what it does not know: %s',
    (json) => {
      expect(parseTried(json)).toEqual([]);
    },
  );
});
