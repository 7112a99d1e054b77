import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseAuditKeyFlag, readAuditKey, readVerifyingKey } from '../../../controller/run/audit-key.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const PUBLIC = publicKey.export({ type: 'spki', format: 'pem' }).toString();

function world() {
  const root = mkdtempSync(join(tmpdir(), 'sand-key-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const folder of ['work', 'keys']) mkdirSync(join(root, folder));
  const put = (place: string, text: string, mode = 0o600) => {
    writeFileSync(join(root, place), text);
    chmodSync(join(root, place), mode);
    return join(root, place);
  };
  const caller = { cwd: join(root, 'work'), environ: { KEY: PEM }, uid: process.getuid?.() ?? null };
  const read = (text: string) => readAuditKey(parseAuditKeyFlag(text), [caller.cwd], caller);
  return { root, put, read, caller };
}

test('a file of the caller’s own, or a variable', () => {
  const { put, read } = world();
  const { fingerprint } = read(put('keys/audit.key', PEM));
  expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(read('env:KEY').fingerprint).toBe(fingerprint);
});

test('none that the guest sees, also behind a link', () => {
  const { root, put, read } = world();
  const inside = put('work/audit.key', PEM);
  expect(() => read(inside)).toThrow(/the guest sees .*work, and with it the key/);
  symlinkSync(inside, join(root, 'keys/link'));
  expect(() => read(join(root, 'keys/link'))).toThrow(/the guest sees/);
});

test.each([0o640, 0o604, 0o620])('none that others can read or write (%o)', (mode) => {
  const { put, read } = world();
  expect(() => read(put('keys/audit.key', PEM, mode))).toThrow(/others than you can read or write/);
});

test('nothing that is no key, and nothing of it in the message', () => {
  const { put, read } = world();
  expect(() => read(put('keys/public', PUBLIC))).toThrow(/not an Ed25519 private key/);
  expect(() => read(put('keys/text', 'hunter2-hunter2'))).toThrow(/^(?!.*hunter2)/);
  expect(() => read('env:NONE')).toThrow(/the variable NONE is not set/);
  expect(() => read('/nowhere/key')).toThrow(/does not exist/);
  for (const text of ['', 'env:', 'env:A B']) expect(() => read(text)).toThrow(/names no file/);
});

test('what checks a log is the public key, or the private one', () => {
  const { put, read, caller } = world();
  const { fingerprint } = read('env:KEY');
  for (const [name, text] of Object.entries({ public: PUBLIC, private: PEM }))
    expect(readVerifyingKey(put(`keys/${name}`, text), caller.cwd).fingerprint).toBe(fingerprint);
  expect(() => readVerifyingKey(put('keys/none', 'x'), caller.cwd)).toThrow(/not an Ed25519 key/);
  expect(() => readVerifyingKey('/nowhere/key', caller.cwd)).toThrow(/cannot be read \(ENOENT\)/);
});
