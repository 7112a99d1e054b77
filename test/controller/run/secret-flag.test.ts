import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SandError } from '../../../controller/errors.ts';
import { parseSecretFlag, parseSecretFlags } from '../../../controller/run/secret-flag.ts';

function said(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    if (error instanceof SandError) return `${error.code}: ${error.message} / ${error.hint}`;
  }
  return 'no error';
}

describe('parseSecretFlag', () => {
  it.each([
    ['key=./deploy.key', 'key', { kind: 'file', path: './deploy.key' }],
    ['a.b-c_1=/x=y', 'a.b-c_1', { kind: 'file', path: '/x=y' }],
    ['TOKEN=env:API_TOKEN', 'TOKEN', { kind: 'variable', name: 'API_TOKEN' }],
    ['key=./env:FILE', 'key', { kind: 'file', path: './env:FILE' }],
  ])('reads %s', (text, name, source) => {
    expect(parseSecretFlag(text)).toEqual({ name, source });
  });

  it.each([
    ['=./x'],
    ['../x=./x'],
    ['a/b=./x'],
    ['.hidden=./x'],
    ['..=./x'],
    ['-x=./x'],
    ['a b=./x'],
    ['a\0=./x'],
    [`${'n'.repeat(129)}=./x`],
    ['key='],
    ['key=a\0b'],
    ['key=env:'],
    ['key=env:A-B'],
    ['key=env:A=B'],
  ])('refuses %j and says what to write', (text) => {
    expect(said(() => parseSecretFlag(text))).toMatch(/^usage: .* \/ write /s);
  });

  it('never repeats what may be the secret itself', () => {
    expect(said(() => parseSecretFlag('hunter2-of-the-test'))).not.toContain('hunter2');
    expect(said(() => parseSecretFlag('token=env:hunter2-of-the-test'))).not.toContain('hunter2');
  });

  it('gives names that are one part of a path, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          expect(parseSecretFlag(text).name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/);
        } catch (error) {
          expect(error).toBeInstanceOf(SandError);
        }
      }),
    );
  });
});

it('refuses a name twice, and more than a guest is given', () => {
  expect(said(() => parseSecretFlags(['a=x', 'a=y']))).toMatch(/^usage: --secret names a twice/);
  const many = Array.from({ length: 65 }, (_, at) => `s${at}=x`);
  expect(said(() => parseSecretFlags(many))).toMatch(/^usage: .*65 times/);
});
