import { expect, test } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { summarize } from '../../audit/summary.ts';
import { diffUsage, isOtherMagnitude, isSameUsage, magnitudeOf, usageOf } from '../../audit/usage.ts';
import { ALLOWED, close, connection, dns, eventsOf, runStart, unplanted } from './samples.ts';

const api = { ...ALLOWED, host: 'api.example.com' };

function usage(...entries: readonly AuditEntry[]) {
  return usageOf(summarize(eventsOf([runStart(), ...entries]), { muted: true }).rows);
}

function moved(bytesOut: number, bytesIn: number): readonly AuditEntry[] {
  return [connection({ ...api, connection: 1 }), close({ connection: 1, bytesOut, bytesIn })];
}

test('a use is a host, a port and a protocol, with the rules that decided', () => {
  const lookup = { ...ALLOWED, disposition: 'answered', name: 'api.example.com', rcode: 'NOERROR' } as const;
  expect(
    usage(dns(lookup), ...moved(10, 20), connection(), dns({ name: 'asked.example' }), unplanted()),
  ).toEqual([
    {
      host: '203.0.113.9',
      port: 25,
      protocol: 'tcp',
      verdict: 'denied',
      rules: [],
      count: 3,
      bytesOut: 0,
      bytesIn: 0,
    },
    {
      host: 'api.example.com',
      port: 443,
      protocol: 'https',
      verdict: 'allowed',
      rules: ['web-app/allow:api.example.com'],
      count: 1,
      bytesOut: 10,
      bytesIn: 20,
    },
    expect.objectContaining({ host: 'asked.example', port: null, protocol: 'dns', verdict: 'denied' }),
    expect.objectContaining({ host: 'evil.example', port: 443, protocol: 'https', verdict: 'denied' }),
  ]);
});

test('several verdicts of one use: the worst stands, and every rule', () => {
  const rule = { id: 'a/deny:api.example.com', file: 'a.yaml', line: 1 };
  expect(
    usage(
      ...moved(1, 1),
      connection({ ...api, verdict: 'deny', disposition: 'refused', reason: 'deny-rule', rule }),
    ),
  ).toMatchObject([
    {
      verdict: 'denied',
      rules: ['a/deny:api.example.com', 'web-app/allow:api.example.com'],
      count: 2,
      bytesIn: 1,
    },
  ]);
});

test('what a person asked on the host is none of the run\u2019s use', () => {
  expect(usage(dns({ asker: 'host' }))).toEqual([]);
});

test('the same run differs in nothing, and counts and small bytes are no difference', () => {
  const once = usage(...moved(100, 40_000), connection());
  const again = usage(...moved(1_000, 44_000), connection(), connection());
  expect(isSameUsage(diffUsage(once, once))).toBe(true);
  expect(isSameUsage(diffUsage(once, again))).toBe(true);
});

test('new, vanished and changed', () => {
  const before = usage(...moved(100, 20_000), connection());
  const after = usage(
    ...moved(100_000, 20_000),
    connection({ ...ALLOWED, connection: 9 }),
    connection({ host: 'evil.example', port: 8443 }),
    connection({ host: 'new.example' }),
  );
  const diff = diffUsage(before, after);
  expect(diff.appeared.map(({ host, port }) => [host, port])).toEqual([
    ['evil.example', 8443],
    ['new.example', 443],
  ]);
  expect(diff.vanished).toEqual([]);
  expect(diff.changed.map(({ after: use, differs }) => [use.host, differs])).toEqual([
    ['api.example.com', ['bytesOut']],
    ['evil.example', ['verdict', 'rules']],
  ]);
  expect(isSameUsage(diff)).toBe(false);
  const back = diffUsage(after, before);
  expect(back.vanished).toEqual(diff.appeared);
});

test('the order of magnitude of bytes', () => {
  expect([0, 1, 9, 10, 999, 1_000].map(magnitudeOf)).toEqual([-1, 0, 0, 1, 2, 3]);
  expect(isOtherMagnitude(9_900, 10_100)).toBe(false);
  expect(isOtherMagnitude(0, 9_000)).toBe(false);
  expect(isOtherMagnitude(0, 20_000)).toBe(true);
  expect(isOtherMagnitude(20_000, 0)).toBe(true);
  expect(isOtherMagnitude(20_000, 199_000)).toBe(false);
  expect(isOtherMagnitude(20_000, 200_000)).toBe(true);
});
