import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Baseline, sortBaseline } from '../../../controller/ci/baseline.ts';
import { baselineJsonSchema } from '../../../controller/ci/baseline-schema.ts';
import { formatBaseline, parseBaseline } from '../../../controller/ci/baseline-text.ts';
import { DENIED_EXIT, DRIFT_EXIT } from '../../../controller/ci/fail-on.ts';
import { CI_LIMITS } from '../../../controller/ci/limits.ts';
import { isValid } from '../../policies/json-schema.ts';
import { baselines } from './samples.ts';

const PUBLISHED = fileURLToPath(new URL('../../../controller/ci/baseline.schema.json', import.meta.url));
if (process.env.UPDATE_GOLDEN === '1')
  writeFileSync(PUBLISHED, `${JSON.stringify(baselineJsonSchema(), null, 2)}\n`);
const schema: unknown = JSON.parse(readFileSync(PUBLISHED, 'utf8'));

const HOST = {
  host: 'a.example',
  port: 443,
  protocol: 'https',
  rules: ['p/allow:a.example'],
  bytesOut: '<10kB',
  bytesIn: '1MB',
};
const DENIAL = { host: 'b.example', port: null, protocol: 'dns', reason: 'no-rule' };
const BASELINE = { version: 1, hosts: [HOST], denied: [DENIAL] };

function issuesOf(value: unknown): readonly string[] {
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 1);
  const parsed = parseBaseline(text, 'b.json');
  return parsed.ok ? [] : parsed.issues.map(({ message, at }) => `${at.line}: ${message}`);
}

describe('the text of a baseline', () => {
  it('has one line for an entry, sorted, and reads back as what it was', () => {
    const text = formatBaseline(BASELINE as Baseline);
    expect(text).toBe(`{
  "version": 1,
  "hosts": [
    { "host": "a.example", "port": 443, "protocol": "https", "rules": ["p/allow:a.example"], "bytesOut": "<10kB", "bytesIn": "1MB" }
  ],
  "denied": [
    { "host": "b.example", "port": null, "protocol": "dns", "reason": "no-rule" }
  ]
}
`);
  });

  it('is the identity there and back, whatever the order', () => {
    fc.assert(
      fc.property(baselines, (baseline) => {
        const text = formatBaseline(baseline);
        expect(parseBaseline(text, 'b.json')).toEqual({ ok: true, value: sortBaseline(baseline) });
        const turned = {
          ...baseline,
          hosts: baseline.hosts.toReversed(),
          denied: baseline.denied.toReversed(),
        };
        expect(formatBaseline(turned)).toBe(text);
        expect(isValid(schema, JSON.parse(text))).toBe(true);
      }),
    );
  });

  it('is ASCII, so that nobody is shown another letter than the one that is meant', () => {
    const host = 'p\u0430ypal.example\u202e';
    const text = formatBaseline({ ...(BASELINE as Baseline), denied: [{ ...DENIAL, host }] });
    expect(text).toMatch(/^[\n\x20-\x7e]*$/);
    expect(text).toContain('p\\u0430ypal.example\\u202e');
  });

  it.each([
    ['a key that nobody knows', { ...BASELINE, ignore: true }, 'a baseline has no key "ignore"'],
    [
      'a key of a host that nobody knows',
      { ...BASELINE, hosts: [{ ...HOST, prot: 1 }] },
      'a host has no key "prot"',
    ],
    ['a missing key', { ...BASELINE, hosts: [{ ...HOST, rules: undefined }] }, 'a host without "rules"'],
    ['a missing list', { version: 1, hosts: [] }, 'the baseline has no "denied"'],
    ['another version', { ...BASELINE, version: 2 }, 'reads baselines of version 1'],
    ['no version', { hosts: [], denied: [] }, 'reads baselines of version 1'],
    ['no host', { ...BASELINE, hosts: [{ ...HOST, host: 'a b' }] }, '"a b" is no host'],
    ['a pattern of everything', { ...BASELINE, hosts: [{ ...HOST, host: '*' }] }, '"*" is no host'],
    [
      'a denied pattern of everything',
      { ...BASELINE, denied: [{ ...DENIAL, host: '**' }] },
      '"**" is no host',
    ],
    ['a port that is none', { ...BASELINE, hosts: [{ ...HOST, port: 65_536 }] }, '"port" is a number'],
    [
      'a host that was only looked up',
      { ...BASELINE, hosts: [{ ...HOST, port: null }] },
      '"port" is a number',
    ],
    ['an amount that is none', { ...BASELINE, hosts: [{ ...HOST, bytesIn: '5MB' }] }, '"bytesIn" cannot be'],
    [
      'a reason that is none',
      { ...BASELINE, denied: [{ ...DENIAL, reason: 'because' }] },
      '"reason" cannot be',
    ],
    ['the same host twice', { ...BASELINE, hosts: [HOST, HOST] }, 'a.example stands here a second time'],
    ['a list', [], 'a baseline is a map of keys'],
    ['the marks of a merge', '<<<<<<< ours\n{}\n', 'cannot'],
    ['YAML', 'version: 1\nhosts: []\ndenied: []\n', 'a baseline is JSON'],
  ])('is refused for %s', (_, value, message) => {
    const issues = issuesOf(value);
    expect(issues.length).toBeGreaterThan(0);
    if (message !== 'cannot') expect(issues.join('\n')).toContain(message);
    if (typeof value === 'object' && !/no host|twice|second/.test(message))
      expect(isValid(schema, JSON.parse(JSON.stringify(value)))).toBe(false);
  });

  it('names the line', () => {
    const text = formatBaseline({ ...(BASELINE as Baseline), hosts: [{ ...HOST, port: 70_000 }] });
    expect(issuesOf(text)).toEqual([
      '4: "port" is a number from 0 to 65535, and here stands the number 70000',
    ]);
  });

  it('is bounded', () => {
    const hosts = Array.from({ length: CI_LIMITS.baselineEntries + 1 }, (_, at) => ({ ...HOST, port: at }));
    expect(issuesOf({ ...BASELINE, hosts }).join()).toContain('more than 2000 entries');
    expect(issuesOf(' '.repeat(CI_LIMITS.baselineBytes + 1)).join()).toContain('larger than any baseline');
  });

  it('survives any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => {
        expect(typeof parseBaseline(text, 'b.json').ok).toBe('boolean');
      }),
    );
  });
});

describe('docs/ci.md', () => {
  it('shows a baseline as it is written, and each exit code of sand ci', () => {
    const text = readFileSync(new URL('../../../docs/ci.md', import.meta.url), 'utf8');
    const example = /^```json\n([\s\S]*?)^```$/m.exec(text)?.[1] ?? '';
    const parsed = parseBaseline(example, 'ci.md');
    expect(parsed.ok && formatBaseline(parsed.value)).toBe(example);
    for (const code of [2, DENIED_EXIT, DRIFT_EXIT, 122, 124, 125]) expect(text).toContain(`\n| ${code} | `);
  });
});

describe('the published JSON Schema of baselines', () => {
  it('is what the code says', () => expect(schema).toEqual(baselineJsonSchema()));
});
