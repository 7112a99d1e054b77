import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument } from '../../policies/document.ts';
import { formatIssue } from '../../policies/issue.ts';
import { POLICY_LIMITS } from '../../policies/limits.ts';

function faults(content: string | Uint8Array): string {
  const parsed = parseDocument(content, 'p.yaml');
  return parsed.ok ? 'read' : parsed.issues.map(formatIssue).join('\n');
}

describe('the text of a policy', () => {
  test.each([
    [
      'an unquoted star',
      'rules:\n  - allow: *.example.com\n',
      'p.yaml:2:12: error: *.example.com is not quoted',
      'Quote it: "*.example.com"',
    ],
    ['an unquoted star in brackets', 'a: [b, **.x]', 'p.yaml:1:8:', 'Quote it: "**.x"'],
    ['an unquoted exclamation mark', 'a:\n  - !evil.com\n', 'p.yaml:2:5:', 'Quote it: "!evil.com"'],
    ['a tag', 'a: !!str b', 'p.yaml:1:4:', 'tag'],
    ['an anchor', 'a: &x b', 'p.yaml:1:4:', 'anchor'],
    ['a merge key', '<<: {a: 1}', 'p.yaml:1:1:', 'Write the keys out'],
    ['a directive', '%YAML 1.1\n---\na: 1', 'p.yaml:1:1:', '%'],
    ['a second document', 'a: 1\n---\nb: 1\n', 'p.yaml:2:1:', 'one document'],
    ['a key twice', 'a: 1\nb: 2\na: 3\n', 'p.yaml:3:1:', 'second time'],
    ['a key that is a list', '? [a]\n: b', 'p.yaml:1:3:', 'a key is a word'],
    ['a key that is a number', '1: a', 'p.yaml:1:1:', 'a key is a word'],
    ['a tab', 'a:\n\t- b\n', 'p.yaml:2:1:', 'Indent with spaces'],
    ['an open quote', 'a: "b\n', 'p.yaml:', 'quote'],
    ['a NUL', 'a: 1\nb: "\0"', 'p.yaml:2:5:', 'U+0000'],
    ['a character that reorders text', 'a: "\u202e"', 'p.yaml:1:5:', 'U+202E'],
    ['a carriage return alone', 'a: 1 # x\rb: 2', 'p.yaml:1:9:', 'U+000D'],
    ['half a surrogate pair', 'a: \ud800', 'p.yaml:1:1:', 'surrogate'],
    ['an indicator that YAML reserves', 'a: @b', 'p.yaml:1:4:', 'YAML'],
  ])('with %s is refused with its place and what to do', (_, text, place, said) => {
    expect(faults(text)).toContain(place);
    expect(faults(text)).toContain(said);
  });

  test('that is not UTF-8 is refused', () => {
    expect(faults(new Uint8Array([0x61, 0x3a, 0x20, 0xff]))).toContain('UTF-8');
    expect(faults(new Uint8Array([0xff, 0xfe, 0x61, 0]))).toContain('UTF-8');
  });

  test('of a tag or alias inside quotes or block text is text', () => {
    for (const text of ['a: "*b"', "a: '!b'", 'a: |\n  *b\n  &c\n', 'a: b*c', '# *a\nb: 1 # &c']) {
      expect([text, faults(text)]).toEqual([text, 'read']);
    }
  });

  test('has a place for every value and key, with and without a byte order mark', () => {
    const parsed = parseDocument('a: 1\nb:\n  - c\n  - {d: e}\n', 'p.yaml');
    expect(parsed.ok && parsed.value).toMatchObject({
      kind: 'map',
      entries: [
        { key: 'a', at: { line: 1, column: 1 }, value: { value: 1, at: { line: 1, column: 4 } } },
        {
          key: 'b',
          at: { line: 2, column: 1 },
          value: {
            kind: 'list',
            items: [
              { value: 'c', at: { line: 3, column: 5 } },
              { kind: 'map', entries: [{ key: 'd', at: { line: 4, column: 6 } }] },
            ],
          },
        },
      ],
    });
    expect(parseDocument(new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0x3a, 0x31]), 'p.yaml').ok).toBe(true);
  });

  test('that says NO says a word', () => {
    const parsed = parseDocument('a: [NO, yes, off, 1_000, 0o17]', 'p.yaml');
    expect(parsed.ok && parsed.value).toMatchObject({
      entries: [
        {
          value: {
            items: [
              { value: 'NO' },
              { value: 'yes' },
              { value: 'off' },
              { value: '1_000' },
              { source: '0o17' },
            ],
          },
        },
      ],
    });
  });
});

describe('bounds', () => {
  const { fileBytes, depth } = POLICY_LIMITS;

  test('on size hold', () => {
    expect(faults('#'.repeat(fileBytes + 1))).toContain('larger');
    expect(faults(new Uint8Array(fileBytes + 1))).toContain('larger');
  });

  test.each(['[', '- ', '{a: ', '? ', 'a: ', '{a: [', ': '])('on nesting hold for a file of %j', (piece) => {
    expect(faults(piece.repeat(fileBytes / piece.length))).toMatch(/nested|YAML/);
    expect(faults(piece.repeat(depth + 2))).toMatch(/nested|YAML/);
  });

  test('on nesting leave room for what a policy needs', () => {
    expect(faults('rules:\n  - allow: [[[[a]]]]\n')).toBe('read');
  });

  test.each(['"\\q', "'", 'a', '>', '#', '\\'])('on a single value hold for a file of %j', (piece) => {
    expect(faults(piece.repeat(fileBytes / piece.length))).toMatch(/more than|YAML/);
  });

  test('on reported issues hold', () => {
    const parsed = parseDocument(`a: [${'"b" "c", '.repeat(2000)}]`, 'p.yaml');
    expect(parsed.ok ? 0 : parsed.issues.length).toBeLessThanOrEqual(POLICY_LIMITS.issues);
  });

  test('leave no text that raises', () => {
    const fragments = fc.constantFrom(
      '- ',
      ': ',
      '? ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '"',
      "'",
      '|',
      '>',
      '\n',
      '  ',
      '*a',
      '&b',
      '!c',
      '#',
      '%',
      '---',
      '...',
      'a',
      '1',
      '\t',
      '\r\n',
      '\\',
      '<<',
    );
    const text = fc.oneof(
      { weight: 3, arbitrary: fc.array(fragments, { maxLength: 60 }).map((parts) => parts.join('')) },
      fc.string({ unit: 'binary', maxLength: 100 }),
    );
    fc.assert(
      fc.property(text, (content) => {
        const parsed = parseDocument(content, 'p.yaml');
        if (!parsed.ok) for (const issue of parsed.issues) expect(issue.at.line).toBeGreaterThan(0);
      }),
      { numRuns: 800 },
    );
  });
});
