import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Hostname, HostPattern } from '../../policies/model.ts';
import { compileGlob, parsePattern, subsumes } from '../../policies/pattern.ts';
import { wildcardScope } from '../../policies/public-suffix.ts';
import { parseSubject } from '../../policies/subject.ts';
import { anyName, anyPattern } from './generators.ts';
import { matchesPattern } from './reference.ts';

function pattern(text: string): HostPattern {
  const parsed = parsePattern(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.message}`);
  return parsed.value;
}

const matches = (text: string, name: string): boolean => pattern(text).matches(name as Hostname);

function refusal(text: string): string {
  const parsed = parseSubject(text);
  return parsed.ok ? 'accepted' : `${parsed.message}. ${parsed.hint}`;
}

describe('the table of the policy language', () => {
  test.each([
    ['example.com', ['example.com'], ['www.example.com', 'badexample.com']],
    ['*.example.com', ['www.example.com'], ['example.com', 'a.b.example.com', '.example.com']],
    [
      '**.example.com',
      ['example.com', 'www.example.com', 'a.b.example.com'],
      ['badexample.com', 'example.com.evil.org'],
    ],
    ['api-*.example.com', ['api-7.example.com'], ['api-7.eu.example.com', 'xapi-7.example.com']],
    ['*.corp', ['wiki.corp'], ['a.wiki.corp', 'corp']],
    ['a.*.example.com', ['a.b.example.com'], ['a.b.c.example.com', 'a.example.com']],
    ['**.api-*.example.com', ['api-1.example.com', 'x.y.api-1.example.com'], ['api-1.x.example.com']],
  ])('%s', (text, yes, no) => {
    for (const name of yes) expect([name, matches(text, name)]).toEqual([name, true]);
    for (const name of no) expect([name, matches(text, name)]).toEqual([name, false]);
  });
});

describe('a pattern', () => {
  test('matches what micromatch says of its labels', () => {
    fc.assert(
      fc.property(anyPattern, anyName, (text, name) => {
        const { text: canonical } = pattern(text);
        const matched = matches(text, name);
        expect([text, name, matched]).toEqual([
          text,
          name,
          compileGlob(canonical).test(name.replaceAll('.', '/')),
        ]);
        expect([text, name, matched]).toEqual([text, name, matchesPattern(text, name)]);
      }),
      { numRuns: 1000 },
    );
  });

  test('has a canonical text that reads as itself', () => {
    fc.assert(
      fc.property(anyPattern, (text) => {
        expect(pattern(pattern(text).text).text).toBe(pattern(text).text);
      }),
    );
    expect(pattern('*.BÜCHER.Example.').text).toBe('*.xn--bcher-kva.example');
    expect(pattern('Example.COM.').text).toBe('example.com');
  });

  test('matches in bounded time, whatever the name', () => {
    const worst = pattern('*a*.example.com');
    const name = ['a', 'a', 'a']
      .map((one) => one.repeat(63))
      .concat('b.example.com')
      .join('.');
    for (let round = 0; round < 1000; round += 1) expect(worst.matches(name as Hostname)).toBe(false);
  });

  test.each([
    ['', 'Write a host name'],
    ['*a*b*.example.com', 'more than 2'],
    ['a**.example.com', 'Write a single "*"'],
    ['a.**.example.com', 'first place only'],
    ['{a,b}.example.com', 'no part of a pattern'],
    ['[ab].example.com', 'no part of a pattern'],
    ['a?.example.com', 'no part of a pattern'],
    ['+(a).example.com', 'no part of a pattern'],
    ['!a.example.com', '- deny:'],
    ['https://a.example.com', 'without scheme'],
    ['a.example.com/path', 'no path'],
    ['a.example.com:8443', 'https: [8443]'],
    ['.example.com', '"**.example.com"'],
    ['a..example.com', 'empty label'],
    ['*..example.com', 'empty label'],
    ['*', 'every owner'],
    ['**', 'every owner'],
    ['a.*', 'every owner'],
    ['10.0.0.*', '10.0.0.0/24'],
    ['*.0.0.1', '10.0.0.0/24'],
    ['ü*.example.com', 'xn--'],
    ['a b.example', 'space'],
    ['a\0.example', 'invisible'],
    ['x.sand', 'host.sand'],
    ['*.sand', 'host.sand'],
    ['127.1', 'no range of addresses'],
    ['10.1.0.0/8', 'write 10.0.0.0/8'],
    ['1.2.3.4.5', 'no range of addresses'],
    ['198.18.1.1', 'stand for names'],
    ['fe80::1%eth0', 'zone'],
    [`${'a'.repeat(64)}.example`, '63'],
    [`*.${'a'.repeat(64)}.example`, 'no label'],
    ['a'.repeat(5000), 'longer'],
    [`*.${'a.'.repeat(130)}example`, 'longer'],
  ])('%j is refused with what to write', (text, said) => {
    expect(refusal(text)).toContain(said);
  });

  test('of any text is read or refused with a hint', () => {
    const fragments = fc.array(
      fc.constantFrom('*', '**', '.', 'a', '1', '/', ':', '[', '!', 'ü', '-', ' ', '\0', '@'),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fragments.map((parts) => parts.join('')),
        ),
        (text) => {
          const subject = parseSubject(text);
          if (!subject.ok) expect(subject.hint).toMatch(/\.$/);
          else if (subject.value.kind === 'names')
            expect(subject.value.pattern.text).toMatch(/^[a-z0-9._*-]+$/);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('a wildcard', () => {
  const scope = (text: string): string => wildcardScope(pattern(text)).kind;

  test.each([
    '*.com',
    '**.co.uk',
    '**.uk',
    'a*.com',
    '*.*.com',
    'www.*.com',
    '*.ck',
    '*.foo.ck',
    '**.kawasaki.jp',
    '*.xn--p1ai',
  ])('%s stands on a registry suffix', (text) => {
    expect(scope(text)).toBe('icann');
  });

  test.each(['*.github.io', '**.s3.amazonaws.com', '*.blob.core.windows.net'])(
    '%s stands on a company suffix',
    (text) => {
      expect(scope(text)).toBe('private');
    },
  );

  test.each([
    '*.corp',
    '*.example.com',
    '**.example.co.uk',
    '*.internal.example',
    '*.city.kawasaki.jp',
    '*.www.ck',
    '*.a.github.io',
  ])('%s stands on a name of one owner', (text) => {
    expect(scope(text)).toBe('owned');
  });
});

describe('containment of patterns', () => {
  test.each([
    ['**.example.com', 'example.com', true],
    ['**.example.com', '*.example.com', true],
    ['**.example.com', '**.a.example.com', true],
    ['**.example.com', 'api-*.x.example.com', true],
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'api-*.example.com', true],
    ['*.example.com', '**.example.com', false],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'a.b.example.com', false],
    ['api-*.example.com', 'api-1.example.com', true],
    ['api-*.example.com', 'api-x*.example.com', true],
    ['api-*.example.com', 'a*.example.com', false],
    ['a*a.example.com', 'a.example.com', false],
    ['example.com', '*.example.com', false],
    ['**.a.example.com', '**.example.com', false],
  ])('%s over %s is %s', (outer, inner, expected) => {
    expect(subsumes(pattern(outer), pattern(inner))).toBe(expected);
  });

  test('means that every name of the inner one is matched by the outer one', () => {
    fc.assert(
      fc.property(anyPattern, anyPattern, fc.array(anyName, { minLength: 10 }), (outer, inner, names) => {
        if (!subsumes(pattern(outer), pattern(inner))) return;
        for (const name of names)
          if (matches(inner, name)) expect([outer, name, matches(outer, name)]).toEqual([outer, name, true]);
      }),
      { numRuns: 1000 },
    );
  });
});
