import { describe, expect, it } from 'vitest';
import type { ProbeObservations } from '../../../../controller/links/namespace/messages.ts';
import { judgeObservations } from '../../../../controller/links/namespace/probe-verdicts.ts';
import { type ProbePlan, withoutProbes } from '../../../../controller/links/probing.ts';

const PLAN: ProbePlan = {
  connect: [
    { address: '203.0.113.7', port: 443 },
    { address: '203.0.113.7', port: 9 },
  ],
  servers: ['198.18.0.1'],
  reservedName: 'n.probe.sand',
  deniedName: 'n.denied.sand',
};

const SEEN: ProbeObservations = {
  interfaces: ['lo', 'sand1'],
  routes: ['default via 198.18.0.1 dev sand1', 'default6 via fd73616e006400000000000000000001 dev sand1'],
  namespace: 'net:[1]',
  connects: [
    { address: '203.0.113.7', port: 443, outcome: 'answered', answer: 'sand-probe nonce\n' },
    { address: '203.0.113.7', port: 9, outcome: 'no-connection', answer: '' },
  ],
  asks: [
    { server: '198.18.0.1', name: 'n.probe.sand', outcome: 'answered', addresses: ['198.18.4.4'] },
    { server: '198.18.0.1', name: 'n.denied.sand', outcome: 'not-found', addresses: [] },
  ],
};

function failures(changes: Partial<ProbeObservations> = {}): readonly string[] {
  const results = judgeObservations(
    { ...SEEN, ...changes },
    { plan: PLAN, greeting: 'sand-probe nonce', isSynthetic: (address) => address.startsWith('198.18.') },
  );
  return results.filter(({ passed }) => !passed).map(({ name }) => name);
}

const [connected, refused] = SEEN.connects as [
  ProbeObservations['connects'][number],
  ProbeObservations['connects'][number],
];
const [reserved, denied] = SEEN.asks as [
  ProbeObservations['asks'][number],
  ProbeObservations['asks'][number],
];

describe('judgeObservations', () => {
  it('passes where the gateway, and nobody else, answered', () => {
    expect(failures()).toEqual([]);
  });

  it.each<readonly [string, Partial<ProbeObservations>, string]>([
    ['another interface', { interfaces: ['lo', 'sand1', 'eth0'] }, 'interfaces'],
    ['no link at all', { interfaces: ['lo'] }, 'interfaces'],
    ['another route', { routes: [...SEEN.routes, 'default via 192.0.2.1 dev eth0'] }, 'routes'],
    ['no route', { routes: [] }, 'routes'],
    ['somebody else who answers', { connects: [{ ...connected, answer: 'SSH-2.0' }, refused] }, 'connect'],
    [
      'the gateway of another guest',
      { connects: [{ ...connected, answer: 'sand-probe other' }, refused] },
      'connect',
    ],
    ['somebody who says nothing', { connects: [connected, { ...refused, outcome: 'silent' }] }, 'connect'],
    ['a probe that was not tried', { connects: [connected] }, 'probes-complete'],
    ['a question that was not asked', { asks: [reserved] }, 'probes-complete'],
    [
      'a resolver that knows the denied name',
      { asks: [reserved, { ...denied, outcome: 'answered', addresses: ['192.0.2.1'] }] },
      'resolver',
    ],
    ['a resolver that does not answer', { asks: [reserved, { ...denied, outcome: 'timeout' }] }, 'resolver'],
    [
      'a reserved name that nobody knows',
      { asks: [{ ...reserved, outcome: 'not-found', addresses: [] }, denied] },
      'resolver',
    ],
    [
      'a reserved name with a real address',
      { asks: [{ ...reserved, addresses: ['192.0.2.1'] }, denied] },
      'resolver',
    ],
    ['a reserved name without an address', { asks: [{ ...reserved, addresses: [] }, denied] }, 'resolver'],
  ])('fails for %s', (_, changes, name) => {
    expect(failures(changes)).toContain(name);
  });
});

describe('withoutProbes', () => {
  it('takes one packet off for each probe, and forgets what only probes tried', () => {
    const tried = [
      { transport: 'tcp', address: '203.0.113.7', port: 9, count: 1 },
      { transport: 'tcp', address: '203.0.113.7', port: 443, count: 3 },
      { transport: 'udp', address: '203.0.113.7', port: 9, count: 1 },
    ] as const;
    expect(withoutProbes(tried, PLAN)).toEqual([
      { transport: 'tcp', address: '203.0.113.7', port: 443, count: 2 },
      { transport: 'udp', address: '203.0.113.7', port: 9, count: 1 },
    ]);
  });
});
