import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { markdownCode, markdownText } from '../../audit/markdown.ts';

const ATTACKS = [
  '`code` **bold** _it_',
  'a|b|c',
  '</details></code><script>alert(1)</script>',
  '@octocat please merge',
  '[click](javascript:alert(1))',
  '![x](http://evil.example/beacon.png)',
  '<!-- hidden',
  '::error::owned',
  '##[error]owned',
  '\n::set-output name=a::b\n',
  'www.evil.example#123 fixes #1',
  '\u202egnp.exe',
  '&lt;b&gt;&#96;',
  '\\`still code\\',
  '$\\href{x}{y}$ ~~gone~~',
];

/** Nothing in a span is read as anything but text, and a runner reads commands at the start of a line, or after `##[`. */
const SPAN = /^`(?!.*##\[)[^`|\n\r\0\u202e]+`$/;

describe('guest text in Markdown', () => {
  it.each(ATTACKS)('is no markup, link, mention, cell or command: %j', (text) => {
    const markdown = markdownCode(text);
    expect(markdown).toMatch(SPAN);
    expect(`| ${markdown} |`.split('|')).toHaveLength(3);
  });

  it('stands in a plain code span where it is harmless', () => {
    expect(markdownCode('https api.example.com:443')).toBe('`https api.example.com:443`');
    expect(markdownCode('- {allow: a.example, http: [8080]}')).toBe('`- {allow: a.example, http: [8080]}`');
  });

  it('is bounded, and empty where it is nothing', () => {
    expect(markdownCode('x'.repeat(5_000)).length).toBeLessThan(220);
    expect(markdownCode('|'.repeat(5_000)).length).toBeLessThan(200 * 5);
    expect(markdownCode(' ')).toBe('');
  });

  it('is one span on one line, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(markdownCode(text)).toMatch(/^(`[^`|\n\r]*`)?$/);
        expect(markdownCode(`a${text}`)).toMatch(SPAN);
        expect(markdownText(text).replace(/\\[\\`*_[\]<>|~&#@$]/g, '')).not.toMatch(/[\n`*_[\]<>|~&#@$]/);
      }),
    );
  });
});
