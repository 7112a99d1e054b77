import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SandError } from '../../../controller/errors.ts';
import { parseSecretFlags } from '../../../controller/run/secret-flag.ts';
import { readSecrets, SECRET_BYTES } from '../../../controller/run/secret-reading.ts';

const root = mkdtempSync(join(tmpdir(), 'sand-secrets-'));
const cwd = join(root, 'project');
mkdirSync(cwd);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const uid = process.getuid?.() ?? null;

function read(text: string, environ: Readonly<Record<string, string>> = {}, as: number | null = uid) {
  return readSecrets(parseSecretFlags([text]), { cwd, environ, uid: as });
}

function refusal(text: string, as: number | null = uid): string {
  try {
    read(text, {}, as);
  } catch (error) {
    if (error instanceof SandError) return `${error.code}: ${error.message}`;
  }
  return 'read';
}

describe('readSecrets', () => {
  it('gives the bytes as they are', () => {
    const bytes = Buffer.from([0, 255, 10, 13, 0]);
    writeFileSync(join(root, 'binary'), bytes);
    expect(read('key=../binary')).toEqual([{ name: 'key', content: bytes }]);
    writeFileSync(join(cwd, 'empty'), '');
    expect(read('key=empty')).toEqual([{ name: 'key', content: Buffer.alloc(0) }]);
  });

  it('gives the value of a variable, an empty one too, and refuses one that is not set', () => {
    expect(read('key=env:TOKEN', { TOKEN: 'é' })).toEqual([{ name: 'key', content: Buffer.from('é') }]);
    expect(read('key=env:TOKEN', { TOKEN: '' })).toEqual([{ name: 'key', content: Buffer.alloc(0) }]);
    expect(refusal('key=env:TOKEN')).toMatch(/^secret-unavailable: .*not set/);
  });

  it('takes what just fits, and nothing larger', () => {
    writeFileSync(join(root, 'full'), Buffer.alloc(SECRET_BYTES, 1));
    expect(read('key=../full')[0]?.content).toHaveLength(SECRET_BYTES);
    writeFileSync(join(root, 'over'), Buffer.alloc(SECRET_BYTES + 1, 1));
    expect(refusal('key=../over')).toMatch(/more than 64 KiB/);
    expect(() => read('key=env:TOKEN', { TOKEN: 'x'.repeat(SECRET_BYTES + 1) })).toThrow(/more than 64 KiB/);
  });

  it('does not wait for a FIFO, and takes no folder and no device', () => {
    execFileSync('mkfifo', [join(cwd, 'fifo')]);
    for (const path of ['fifo', '.', '/dev/zero'])
      expect([path, refusal(`key=${path}`)]).toEqual([
        path,
        expect.stringMatching(/is not a file|leads out/),
      ]);
    expect(refusal('key=missing')).toMatch(/does not exist/);
  });

  it('does not follow a link out of the project, and takes one that is named from outside', () => {
    writeFileSync(join(root, 'target'), 'content');
    symlinkSync('../target', join(cwd, 'link'));
    expect(refusal('key=./link')).toMatch(/leads out of the working directory/);
    symlinkSync('target', join(root, 'outside'));
    expect(read('key=../outside')).toHaveLength(1);
    writeFileSync(join(cwd, 'inside'), 'content');
    symlinkSync('inside', join(cwd, 'within'));
    expect(read('key=within')).toHaveLength(1);
  });

  it.skipIf(uid !== 0)('takes no file of another user but root’s', () => {
    const path = join(root, 'foreign');
    writeFileSync(path, 'content');
    chmodSync(path, 0o644);
    chownSync(path, 4_242, 4_242);
    expect(refusal('key=../foreign', 54_321)).toMatch(/belongs to another user/);
    chownSync(path, 0, 0);
    expect(refusal('key=../foreign', 54_321)).toBe('read');
  });
});
