/** Rows of a run, as a summary gives them, and what fast-check draws of runs and baselines. */
import fc from 'fast-check';
import type { Row } from '../../../audit/summary.ts';
import type { Use } from '../../../audit/usage.ts';
import type { Baseline, BaselineDenial, BaselineHost, RunUsage } from '../../../controller/ci/baseline.ts';
import { keyOf } from '../../../controller/ci/baseline.ts';
import { PROTOCOLS } from '../../../controller/ci/baseline-text.ts';
import { MAGNITUDES } from '../../../controller/ci/magnitude.ts';
import { REASONS } from '../../../policies/reasons.ts';

export function row(more: Partial<Row> = {}): Row {
  return {
    verdict: 'allowed',
    asker: 'guest',
    host: 'api.example.com',
    port: 443,
    how: ['https'],
    count: 1,
    questions: 0,
    bytesOut: 1_000,
    bytesIn: 20_000,
    reason: 'allowed-by-rule',
    rule: { id: 'p/allow:api.example.com', file: 'sand.policy.yaml', line: 3 },
    endings: [],
    first: '2026-11-21T20:15:00.000Z',
    last: '2026-11-21T20:15:01.000Z',
    detail: null,
    suggestion: null,
    muted: false,
    ...more,
  };
}

export function denied(host: string, more: Partial<Row> = {}): Row {
  return row({
    verdict: 'denied',
    host,
    bytesOut: 0,
    bytesIn: 0,
    reason: 'no-rule',
    rule: null,
    suggestion: `- allow: ${host}`,
    ...more,
  });
}

const hostname = fc
  .array(fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/), { minLength: 1, maxLength: 3 })
  .map((labels) => `${labels.join('.')}.example`);
const pattern = hostname.map((name) => `*.${name}`);
const address = fc.ipV4();
const port = fc.integer({ min: 0, max: 65_535 });
const protocol = fc.constantFrom(...PROTOCOLS);
const rules = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }), { maxLength: 3 });
const magnitude = fc.constantFrom(...MAGNITUDES);
const bytes = fc.oneof(fc.nat(30_000), fc.nat(2 ** 31 - 1), fc.maxSafeNat());

const hostEntry: fc.Arbitrary<BaselineHost> = fc.record({
  host: fc.oneof(hostname, pattern, address),
  port,
  protocol,
  rules: rules.map((drawn) => drawn.toSorted()),
  bytesOut: magnitude,
  bytesIn: magnitude,
});
/** What was denied need not be a host. */
const denialEntry: fc.Arbitrary<BaselineDenial> = fc.record({
  host: fc.oneof(
    hostname,
    fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).map((text) => text.replaceAll('*', 'x')),
  ),
  port: fc.option(port, { nil: null }),
  protocol,
  reason: fc.constantFrom(...Object.keys(REASONS)),
});

const distinct = { selector: keyOf, maxLength: 8 } as const;

export const baselines: fc.Arbitrary<Baseline> = fc.record({
  version: fc.constant(1 as const),
  hosts: fc.uniqueArray(hostEntry, distinct),
  denied: fc.uniqueArray(denialEntry, distinct),
});

export const uses: fc.Arbitrary<Use> = fc.record({
  host: fc.oneof(hostname, address),
  port,
  protocol,
  verdict: fc.constantFrom('allowed' as const, 'failed' as const),
  rules: rules.map((drawn) => drawn.toSorted()),
  count: fc.nat(100),
  bytesOut: bytes,
  bytesIn: bytes,
});

export const usages: fc.Arbitrary<RunUsage> = fc.record({
  used: fc.uniqueArray(uses, distinct),
  denied: fc.uniqueArray(denialEntry, distinct),
  isCut: fc.constant(false),
});
