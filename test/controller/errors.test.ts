import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../controller/errors.ts';

interface Section {
  readonly code: string;
  readonly exit: number;
  readonly body: string;
}

/** `## code` headings; under each, the exit code, what it means, what to do. */
function parseSections(markdown: string): readonly Section[] {
  return markdown
    .split(/^## /m)
    .slice(1)
    .map((text) => {
      const body = text.slice(text.indexOf('\n'));
      return {
        code: /^`([a-z-]+)`$/m.exec(text.split('\n', 1).join(''))?.[1] ?? text.split('\n', 1).join(''),
        exit: Number(/^Exit code (\d+)\./m.exec(body)?.[1]),
        body,
      };
    });
}

describe('docs/errors.md', () => {
  const sections = parseSections(readFileSync('docs/errors.md', 'utf8'));

  it('explains every code of the catalogue, and no other, in its order', () => {
    expect(sections.map(({ code }) => code)).toEqual(Object.keys(ERROR_CODES));
  });

  it.each(Object.entries(ERROR_CODES))(
    'says of %s its exit code, what it means, and what to do',
    (code, { exit }) => {
      const section = sections.find((one) => one.code === code);
      expect(section?.exit).toBe(exit);
      expect(section?.body).toMatch(/^\*\*Means\*\* \S/m);
      expect(section?.body).toMatch(/^\*\*Do\*\* \S/m);
    },
  );
});
