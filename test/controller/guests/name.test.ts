import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isGuestName, NAME_CHARACTERS, parseGuestName } from '../../../controller/guests/name.ts';

describe('a name for a guest', () => {
  it.each(['a', 'web', 'web-2', 'a--', 'x'.repeat(NAME_CHARACTERS)])('%j is one', (text) => {
    expect(parseGuestName(text)).toEqual({ ok: true, value: text });
    expect(isGuestName(text)).toBe(true);
  });

  it.each([
    '',
    '-f',
    '--force',
    '.',
    '..',
    '../web',
    'a/b',
    'a\\b',
    'a b',
    'web\n',
    'Web',
    'wéb',
    '2web',
    '_web',
    'a_b',
    'a.b',
    '$(id)',
    'a\0b',
    '*',
    '\u202eweb',
    'x'.repeat(NAME_CHARACTERS + 1),
  ])('%j is none', (text) => {
    expect(parseGuestName(text)).toMatchObject({ ok: false });
    expect(isGuestName(text)).toBe(false);
  });

  it('is also the id of a run, which nobody can choose', () => {
    expect(isGuestName('20261121-201500-k3f9')).toBe(true);
    expect(parseGuestName('20261121-201500-k3f9').ok).toBe(false);
  });

  it('is safe as a file, an argument and a label, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9./-]{0,40}$/)), (text) => {
        if (parseGuestName(text).ok) expect(text).toMatch(/^[a-z][a-z0-9-]{0,31}$/);
      }),
    );
  });
});
