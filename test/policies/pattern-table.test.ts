/** The table of patterns that docs/policy.md shows, row by row, and what stands around it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../policies/evaluate.ts';
import { parseAuthority } from '../../policies/hostname.ts';
import { compileText, inForce, issuesOf, policyOf, rulesPolicy } from './reader.ts';
import { matchesPattern } from './reference.ts';

const page = readFileSync(fileURLToPath(new URL('../../docs/policy.md', import.meta.url)), 'utf8');
const [, table = ''] =
  /\| pattern \| matches \| does not match \|\n\|[-|]+\|\n((?:\|.*\n)+)/.exec(page) ?? [];
const names = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
const ROWS = table
  .trim()
  .split('\n')
  .map((row) => row.split('|').slice(1, 4))
  .map(([pattern, yes, no]) => [names(pattern)[0] ?? '', names(yes), names(no)] as const);

function isAllowed(pattern: string, name: string): boolean {
  const authority = parseAuthority(name, 443);
  if (!authority.ok) throw new Error(authority.reason);
  const policy = rulesPolicy(`  - allow: "${pattern}"\n`);
  return evaluate(inForce(policy), { authority: authority.value, protocol: null }).decision === 'allow';
}

describe('the pattern table', () => {
  test('has the rows of the language', () => {
    expect(ROWS).toEqual([
      ['example.com', ['example.com'], ['www.example.com']],
      ['*.example.com', ['www.example.com'], ['example.com', 'a.b.example.com']],
      ['**.example.com', ['example.com', 'www.example.com', 'a.b.example.com'], ['badexample.com']],
      ['api-*.example.com', ['api-7.example.com'], ['api-7.eu.example.com']],
      ['*.corp', ['wiki.corp'], ['a.wiki.corp']],
    ]);
  });

  test.each(ROWS)('%s', (pattern, yes, no) => {
    expect(yes.map((name) => isAllowed(pattern, name))).toEqual(yes.map(() => true));
    expect(no.map((name) => isAllowed(pattern, name))).toEqual(no.map(() => false));
    expect(yes.every((name) => matchesPattern(pattern, name))).toBe(true);
    expect(no.some((name) => matchesPattern(pattern, name))).toBe(false);
  });

  test.each([['*.com'], ['**.co.uk']])(
    'a wildcard over an ICANN public suffix, %s, is an error',
    (pattern) => {
      const text = `version: 1\nrules:\n  - allow: "${pattern}"\n`;
      expect(compileText(text).ok).toBe(false);
      expect(issuesOf(text).join()).toContain('policy.yaml:3:12: error');
    },
  );

  test('over a private one it is a warning', () => {
    const text = 'version: 1\nrules:\n  - allow: "*.github.io"\n';
    expect(compileText(text).ok).toBe(true);
    expect(issuesOf(text)).toEqual([expect.stringContaining('policy.yaml:3:12: warning')]);
  });

  test('an unquoted * is told as the YAML alias that it is', () => {
    expect(issuesOf('version: 1\nrules:\n  - allow: *.example.com\n').join()).toMatch(
      /3:\d+: error.*[Qq]uote/,
    );
  });

  test('a refused name that ** would match is told so', () => {
    const authority = parseAuthority('a.b.example.com', 443);
    if (!authority.ok) throw new Error(authority.reason);
    const policy = policyOf('version: 1\nrules:\n  - allow: "*.example.com"\n');
    const verdict = evaluate(inForce(policy), { authority: authority.value, protocol: null });
    expect(verdict.suggestion).toBe('did you mean "**.example.com"?');
  });
});
