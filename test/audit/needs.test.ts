import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { NEEDS_LIMITS, Needs } from '../../audit/needs.ts';
import { formatHost } from '../../policies/hostname.ts';
import { ALLOWED, connection, dns, eventsOf, runStart, unplanted } from './samples.ts';

const REPORTED = {
  verdict: 'allow',
  reason: 'would-be-denied',
  disposition: 'forwarded',
  rule: null,
} as const;

function needsOf(...runs: readonly (readonly AuditEntry[])[]): Needs {
  const needs = new Needs();
  for (const run of runs) for (const event of eventsOf(run)) needs.add(event);
  return needs;
}

const hosts = (needs: Needs) => needs.hosts.map(({ host }) => formatHost(host));

describe('what runs needed', () => {
  it('is every host with its ports and protocols, how often, in how many runs, and who came first', () => {
    const second = runStart({ run: '20261121-211500-k3f9', command: ['pip', 'install'] });
    const needs = needsOf(
      [
        runStart(),
        connection({ ...REPORTED, host: 'a.example', port: 443, protocol: 'https' }),
        connection({ ...REPORTED, host: 'a.example', port: 443, protocol: 'https' }),
        connection({ ...ALLOWED, host: 'b.example', port: 80, protocol: 'http' }),
      ],
      [
        second,
        connection({ host: 'a.example', port: 22, protocol: null }),
        connection({ host: 'A.example.' }),
      ],
    );
    expect(needs.hosts).toMatchObject([
      {
        uses: [
          { protocol: 'tcp', port: 22, count: 1 },
          { protocol: 'https', port: 443, count: 3 },
        ],
        count: 4,
        runs: 2,
        first: { run: '20261121-201500-k3f9', command: 'npm ci' },
      },
      { uses: [{ protocol: 'http', port: 80, count: 1 }], runs: 1 },
    ]);
    expect(hosts(needs)).toEqual(['a.example', 'b.example']);
  });

  it('is not what a deny rule covers, whether it refuses or reports, what is muted, or what is refused anyway', () => {
    const rule = { id: 'p/deny:d.example', file: 'p.yaml', line: 3 };
    const refused = [
      connection({ host: 'd1.example', reason: 'deny-rule', rule }),
      connection({ ...REPORTED, host: 'd2.example', rule }),
      connection({ host: 'm.example', muted: true }),
      connection({ host: 'g.example', reason: 'address-guarded', verdict: 'deny' }),
      connection({ host: 'e.example', reason: 'rule-expired', rule }),
      connection({ host: 'p.example', reason: 'method-not-allowed', rule }),
      connection({ host: 'n.example', reason: 'dns-not-found', verdict: 'allow' }),
      connection({ host: '10.1.2.3', reason: 'raw-address' }),
      connection({ host: '127.0.0.1', reason: 'raw-address' }),
      connection({ host: 'host.sand', port: 5432 }),
      unplanted({ transport: 'udp', reason: 'transport-refused' }),
    ];
    const needs = needsOf([runStart(), ...refused]);
    expect(hosts(needs)).toEqual([]);
    expect(needs.leftOut.map(({ host, reason }) => `${host} ${reason}`)).toEqual([
      'd1.example deny-rule',
      'd2.example would-be-denied',
      'm.example muted',
      'g.example address-guarded',
      'e.example rule-expired',
      'p.example method-not-allowed',
      'n.example dns-not-found',
      '10.1.2.3 private-address',
      '127.0.0.1 private-address',
      'host.sand own-name',
      '203.0.113.9 transport-refused',
    ]);
  });

  it('takes public literals, and ports that nothing listened on', () => {
    const needs = needsOf([
      runStart(),
      connection({ ...REPORTED, host: '2001:db8::1', port: 22, protocol: 'tcp' }),
      unplanted({ host: 'a.example', port: 25 }),
    ]);
    expect(hosts(needs)).toEqual(['[2001:db8::1]', 'a.example']);
    expect(needs.hosts[1]?.uses).toEqual([{ protocol: 'tcp', port: 25, count: 3 }]);
  });

  it('says of a name that was only looked up that no port is known', () => {
    const needs = needsOf([
      runStart(),
      dns({ name: 'only.example' }),
      dns({ name: 'both.example' }),
      connection({ host: 'both.example' }),
      dns({ name: 'typo.example', reason: 'dns-not-found', verdict: 'allow' }),
    ]);
    expect(hosts(needs)).toEqual(['both.example']);
    expect(needs.leftOut).toEqual([{ host: 'only.example', port: null, reason: 'looked-up-only', count: 1 }]);
  });

  it('is asked by the guest, not by a person on the host', () => {
    const needs = needsOf([runStart(), connection({ asker: 'host' }), dns({ asker: 'host' })]);
    expect([needs.hosts, needs.leftOut]).toEqual([[], []]);
  });
});

describe('a log that was written by a stranger', () => {
  it.each([
    'a b.example',
    'x.example\n  - allow: "**.evil.example"',
    '*.example',
    '..',
    'a'.repeat(300),
    '1.2.3',
    '',
  ])('gives no host for %j', (host) => {
    const needs = needsOf([runStart(), connection({ ...REPORTED, host })]);
    expect(needs.hosts).toEqual([]);
    expect(needs.leftOut.map(({ reason }) => reason)).toEqual(['no-name']);
  });

  it('fills no memory: hosts, ports, lookups and left-out hosts are bounded, and a command is cut', () => {
    const many = NEEDS_LIMITS.hosts + 300;
    const start = runStart({ command: ['x'.repeat(200), 'y'.repeat(200)] });
    const needs = needsOf([
      start,
      ...Array.from({ length: many }, (_, at) => connection({ ...REPORTED, host: `h${at}.example` })),
      ...Array.from({ length: 100 }, (_, at) =>
        connection({ ...REPORTED, host: 'h0.example', port: at + 1 }),
      ),
      ...Array.from({ length: 500 }, (_, at) => dns({ name: `l${at}.example` })),
    ]);
    expect(needs.hosts.length).toBe(NEEDS_LIMITS.hosts);
    expect(needs.hosts[0]?.uses.length).toBe(NEEDS_LIMITS.ports);
    expect(needs.hosts[0]?.first.command.length).toBe(NEEDS_LIMITS.command + 3);
    expect(needs.leftOut.length).toBe(NEEDS_LIMITS.leftOut);
  });
});
