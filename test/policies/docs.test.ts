import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { REASONS } from '../../policies/reasons.ts';
import { compileText, issuesOf } from './reader.ts';

const readDoc = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8');

const FILES = { 'company.yaml': 'version: 1\nrules:\n  - allow: company.example\n' };

describe('docs/policy.md', () => {
  const text = readDoc('policy.md');
  const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    yaml: match[1] ?? '',
  }));

  test('has an example for every key', () => {
    const examples = blocks.map(({ yaml }) => yaml).join('\n');
    const keys = [
      'version',
      'name',
      'extends',
      'mode',
      'rules',
      'phases',
      'requires',
      'limits',
      'allow',
      'deny',
      'mute',
      'http',
      'https',
      'tcp',
    ];
    const more = [
      'addresses',
      'metadata',
      'until',
      'because',
      'methods',
      'paths',
      'report',
      'connections',
      'bytesOut',
      'bytesIn',
      'requestsPerSecond',
      'headBytes',
      'bodyBytes',
      'idle',
      'total',
      'confinement',
      'isolation',
    ];
    for (const key of [...keys, ...more]) expect([key, examples.includes(`${key}:`)]).toEqual([key, true]);
  });

  test.each(blocks)('compiles its example at line $line without a warning', ({ yaml }) => {
    expect(issuesOf(yaml, FILES)).toEqual([]);
    expect(compileText(yaml, FILES).ok).toBe(true);
  });
});

describe('docs/reasons.md', () => {
  const explained = [...readDoc('reasons.md').matchAll(/^### `(.+)`$/gm)].map((match) => match[1]);

  test('explains every reason, and no other', () => {
    expect(explained.toSorted()).toEqual(Object.keys(REASONS).sort());
  });

  test('says something of each', () => {
    for (const section of readDoc('reasons.md').split('### ').slice(1)) {
      const [heading = '', ...body] = section.split('\n');
      expect([heading, body.join(' ').trim().length > 20]).toEqual([heading, true]);
    }
  });
});
