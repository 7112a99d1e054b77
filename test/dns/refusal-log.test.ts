import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { DnsDecision } from '../../audit/event.ts';
import { createRefusalLog } from '../../dns/refusal-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function refusal(name: string, detail?: string): DnsDecision {
  return {
    kind: 'dns',
    asker: 'guest',
    transport: 'udp',
    name,
    type: 'A',
    rcode: 'REFUSED',
    verdict: 'deny',
    reason: 'limit-requests',
    disposition: 'refused',
    rule: null,
    policy: 'sha256:00',
    ...(detail === undefined ? {} : { detail }),
  };
}

function logging(record?: (entry: DnsDecision) => void) {
  const told: [string, string | undefined][] = [];
  const log = createRefusalLog(1_000, (entry) => {
    record?.(entry);
    told.push([entry.name, entry.detail]);
  });
  return { told, log };
}

test('a lone refusal is recorded at once, as it is, and nothing follows', () => {
  const { told, log } = logging();
  log.add('a', refusal('one.example'));
  expect(told).toEqual([['one.example', undefined]]);
  vi.advanceTimersByTime(10_000);
  log.close();
  expect(told).toHaveLength(1);
});

test('a flood costs one line a second, which counts it and shows its last', () => {
  const { told, log } = logging();
  for (let second = 0; second < 3; second += 1) {
    for (let index = 0; index < 10_000; index += 1) log.add('a', refusal(`n${index}.example`, 'why'));
    vi.advanceTimersByTime(1_000);
  }
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual([
    ['n0.example', 'why'],
    ['n9999.example', 'and 9999 more refused like the one before; the last: why'],
    ['n9999.example', 'and 10000 more refused like the one before; the last: why'],
    ['n9999.example', 'and 10000 more refused like the one before; the last: why'],
  ]);
});

test('after a quiet second the next refusal is a first again', () => {
  const { told, log } = logging();
  log.add('a', refusal('one.example'));
  vi.advanceTimersByTime(1_000);
  log.add('a', refusal('two.example'));
  expect(told.map(([name]) => name)).toEqual(['one.example', 'two.example']);
});

test('kinds do not hide each other', () => {
  const { told, log } = logging();
  log.add('a', refusal('one.example'));
  log.add('b', refusal('two.example'));
  expect(told).toHaveLength(2);
});

test('close tells what is still untold, once', () => {
  const { told, log } = logging();
  for (let index = 0; index < 5; index += 1) log.add('a', refusal(`n${index}.example`));
  log.close();
  log.close();
  vi.advanceTimersByTime(10_000);
  expect(told.slice(1)).toEqual([['n4.example', 'and 4 more refused like the one before']]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a log that cannot be written: the first throws, a count does not', () => {
  let isBroken = true;
  const { told, log } = logging(() => {
    if (isBroken) throw new Error('disk full');
  });
  expect(() => log.add('a', refusal('one.example'))).toThrow('disk full');
  isBroken = false;
  log.add('a', refusal('two.example'));
  log.add('a', refusal('three.example'));
  isBroken = true;
  expect(() => vi.advanceTimersByTime(5_000)).not.toThrow();
  expect(told.map(([name]) => name)).toEqual(['two.example']);
});
