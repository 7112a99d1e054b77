import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { type GuestReport, probeScript } from '../../../../controller/backends/tart/guest-probe.ts';
import {
  judgeVmnetReport,
  planVmnetProbes,
  type VmnetExpectations,
} from '../../../../controller/backends/tart/vmnet-verdicts.ts';

const NETWORK = { gateway: '192.168.64.1', guest: '192.168.64.5', name: 'bridge100' };
const LINK = { proxyPort: 4000, dnsPort: 5300 };
const CANARIES = {
  greeting: 'sand-canary 1',
  places: [
    { address: '192.168.64.1', port: 6001 },
    { address: '10.0.0.7', port: 6002 },
  ],
};
const GATEWAY = {
  probe: { reservedName: 'a.probe.sand', deniedName: 'a.denied.sand', greeting: 'sand-probe 1' },
  hostListeners: [
    { address: '127.0.0.1', port: 7000 },
    { address: '10.0.0.7', port: 7001 },
  ],
};
const PLAN = planVmnetProbes({ network: NETWORK, link: LINK, gateway: GATEWAY, canaries: CANARIES.places });
const expected = (kind: 'softnet' | 'nat'): VmnetExpectations => ({
  kind,
  plan: PLAN,
  network: NETWORK,
  link: LINK,
  canaries: CANARIES,
  gateway: GATEWAY,
});

type Connect = GuestReport['connects'][number];
type Ask = GuestReport['asks'][number];

/** As behind a Softnet that blocks everything but the host. */
const GOOD: GuestReport = {
  connects: PLAN.connect.map(({ address, port }): Connect => {
    if (port === LINK.proxyPort) return { address, port, outcome: 'answered', answer: 'sand-probe 1' };
    if (port === 6001) return { address, port, outcome: 'answered', answer: 'sand-canary 1' };
    return { address, port, outcome: 'no-connection', answer: '' };
  }),
  asks: PLAN.servers.flatMap((server): readonly Ask[] => {
    const isOwn = server.endsWith('#5300');
    const isHost = server.endsWith('#53');
    const { reservedName, deniedName } = PLAN;
    return [
      {
        server,
        name: reservedName,
        outcome: isOwn ? 'answered' : isHost ? 'not-found' : 'timeout',
        addresses: isOwn ? ['198.18.0.9'] : [],
      },
      { server, name: deniedName, outcome: isOwn || isHost ? 'not-found' : 'timeout', addresses: [] },
    ];
  }),
  interfaces: [
    { name: 'lo0', addresses: ['127.0.0.1', '::1'] },
    { name: 'en0', addresses: ['192.168.64.5', 'fe80::1'] },
  ],
};
const withConnect = (port: number, change: Partial<Connect>): GuestReport => ({
  ...GOOD,
  connects: GOOD.connects.map((one) => (one.port === port ? { ...one, ...change } : one)),
});
const withAsk = (server: string, change: Partial<Ask>): GuestReport => ({
  ...GOOD,
  asks: GOOD.asks.map((one) => (one.server === server ? { ...one, ...change } : one)),
});
const failed = (seen: GuestReport | null, kind: 'softnet' | 'nat' = 'softnet') =>
  judgeVmnetReport(seen, expected(kind))
    .filter(({ passed }) => !passed)
    .map(({ name }) => name);
const reached = (seen: GuestReport, kind: 'softnet' | 'nat') =>
  judgeVmnetReport(seen, expected(kind)).flatMap(({ name, detail }) => (name === 'in-reach' ? [detail] : []));

describe('the start probes of a guest on a network of the host', () => {
  it('are bash that reads, and ask the resolver at its own port', () => {
    const script = probeScript(PLAN, NETWORK.guest);
    execFileSync('/bin/bash', ['-n', '-c', script]);
    expect(script).toContain("limited ask a0-1 '192.168.64.1' 1 5300 &");
    expect(script).toContain("limited ask a1-1 '192.168.64.1' 1 53 &");
  });

  it('pass behind Softnet, and tell what of the host is in reach', () => {
    expect(failed(GOOD)).toEqual([]);
    expect(reached(GOOD, 'softnet')).toEqual([
      'the host at 192.168.64.1 port 6001, a port that no rule names: reached',
      'the host\u2019s own resolver at 192.168.64.1 port 53: answered',
    ]);
  });

  it('beyond-the-host: an address of the host on another network that answers fails them', () => {
    const seen = withConnect(6002, { outcome: 'answered', answer: 'sand-canary 1' });
    expect(failed(seen)).toEqual(['connect']);
  });

  it.each<[string, GuestReport | null, readonly string[]]>([
    ['nothing that reads', null, ['probes-complete']],
    ['a raw address that answers', withConnect(9, { outcome: 'answered', answer: 'x' }), ['connect']],
    ['one that stays silent', withConnect(9, { outcome: 'silent' }), ['connect']],
    ['no gateway', withConnect(4000, { outcome: 'no-connection', answer: '' }), ['proxy']],
    ['somebody else in its place', withConnect(4000, { answer: 'HTTP/1.1 400' }), ['proxy']],
    ['a resolver outside that answers', withAsk('198.51.100.53', { outcome: 'not-found' }), ['resolver']],
    [
      'a gateway\u2019s resolver that does not',
      withAsk('192.168.64.1#5300', { outcome: 'timeout', addresses: [] }),
      ['resolver', 'resolver'],
    ],
    [
      'a second card',
      { ...GOOD, interfaces: [...GOOD.interfaces, { name: 'en1', addresses: ['10.1.1.1'] }] },
      ['interfaces'],
    ],
    ['another address', { ...GOOD, interfaces: [{ name: 'en0', addresses: ['10.1.1.1'] }] }, ['interfaces']],
    ['fewer attempts', { ...GOOD, connects: GOOD.connects.slice(1) }, ['probes-complete']],
  ])('fail for %s', (_, seen, names) => expect(failed(seen)).toEqual(names));

  it('behind NAT fail only for the gateway, and tell the rest', () => {
    const open = withConnect(6002, { outcome: 'answered', answer: 'sand-canary 1' });
    expect(failed(open, 'nat')).toEqual([]);
    expect(reached(open, 'nat')).toContain(
      'the host at 10.0.0.7 port 6002, a port that no rule names: reached',
    );
    expect(failed(withConnect(4000, { answer: 'x' }), 'nat')).toEqual(['proxy']);
  });
});
