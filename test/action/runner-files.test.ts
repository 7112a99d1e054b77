import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { ask, relay } from '../../action/process.ts';
import { appendEntries, readBounded } from '../../action/runner-files.ts';
import { readVariables } from './runner/commands.ts';

const folder = mkdtempSync(join(tmpdir(), 'sand-action-files-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

describe('a file that a guest has written', () => {
  it('is read whole, and not at all above its bound', () => {
    expect(readBounded(file('a', 'abc'), 3)).toBe('abc');
    expect(readBounded(file('a', 'abcd'), 3)).toBeNull();
    expect(readBounded(file('a', ''), 3)).toBe('');
  });

  it('is nothing where it is a link, a FIFO, a folder or not there', () => {
    const secret = file('secret', 'x');
    symlinkSync(secret, join(folder, 'link'));
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    mkdirSync(join(folder, 'place'));
    const read = (name: string) => readBounded(join(folder, name), 100);
    expect(['link', 'fifo', 'place', 'nothing'].map(read)).toEqual([null, null, null, null]);
  });
});

describe('entries for the runner', () => {
  it('are added behind what is there, each under a delimiter of its own', () => {
    const path = file('env', 'OLD=1\n');
    const entries = [
      { name: 'A', value: 'x\ny' },
      { name: 'B', value: '' },
    ];
    appendEntries(path, entries);
    appendEntries(undefined, entries);
    const text = readFileSync(path, 'utf8');
    expect(Object.fromEntries(readVariables(text))).toEqual({ OLD: '1', A: 'x\ny', B: '' });
    expect(new Set(text.match(/<<.+/g)).size).toBe(2);
  });
});

describe('a program', () => {
  const program = (script: string) => ({ argv: ['sh', '-c', script], cwd: folder, environment: process.env });

  it('that is asked gives its answer, its code, and what kept it from starting', async () => {
    expect(await ask(program('cat; echo no >&2; exit 3'), 10_000, 'yes')).toMatchObject({
      code: 3,
      stderr: 'no\n',
    });
    expect((await ask(program('cat'), 10_000, 'yes')).stdout.toString()).toBe('yes');
    const nothing = { argv: ['./not-there'], cwd: folder, environment: {} };
    expect(await ask(nothing, 10_000)).toMatchObject({ code: 127 });
    expect(await ask(program('exec sleep 600'), 50)).toMatchObject({ code: 124 });
  });

  it('that is relayed has both its streams in one, and it is known whether the last line is whole', async () => {
    const out = new PassThrough();
    expect(await relay(program('echo a; echo b >&2; exit 4'), out)).toEqual({ code: 4, endsLine: true });
    out.end();
    expect((await out.toArray()).join('').split('\n').sort()).toEqual(['', 'a', 'b']);
    expect(await relay(program('printf c'), new PassThrough())).toEqual({ code: 0, endsLine: false });
    await expect(
      relay({ argv: ['./not-there'], cwd: folder, environment: {} }, new PassThrough()),
    ).rejects.toThrow();
  });
});
