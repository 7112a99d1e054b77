import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FIRST_PREV, hashLine } from '../../audit/line.ts';
import { createAuditLog } from '../../audit/log.ts';
import { isSignedBy, parseSigningKey, parseVerifyingKey, type SigningKey } from '../../audit/signature.ts';
import { type VerifyOptions, verifyAuditLog } from '../../audit/verify.ts';
import { connection, dns, runEnd, runStart, START_MS, temporaryDirectory } from './samples.ts';

function newKey(): { readonly signing: SigningKey; readonly pem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const signing = parseSigningKey(pem);
  if (signing === null) throw new Error('it is a key');
  return { signing, pem, publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

const OURS = newKey();
const OTHER = newKey();
const RUN = runStart().kind === 'run-start' ? runStart().run : '';

function linesSigned(key: SigningKey | null, run = RUN): readonly string[] {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  const options = { path, guest: run, clock: () => START_MS };
  const log = createAuditLog(key === null ? options : { ...options, key });
  for (const entry of [runStart({ run }), dns(), connection(), dns({ name: 'other.example' })])
    log.record(entry);
  log.record(runEnd());
  log.close();
  return readFileSync(path, 'utf8').trimEnd().split('\n');
}

function verifyLines(lines: readonly string[], options: VerifyOptions = {}) {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return verifyAuditLog(path, options);
}

function verifyingKey(pem: string) {
  const key = parseVerifyingKey(pem);
  if (key === null) throw new Error('it is a key');
  return key;
}

const byOurs = { key: verifyingKey(OURS.publicPem), run: RUN };

/** Lines of the same content, chained anew: what somebody writes who can write the file. */
function chained(lines: readonly string[]): readonly string[] {
  let prev = FIRST_PREV;
  return lines.map((line) => {
    const again = line.replace(/"prev":"[0-9a-f]{64}"\}$/, `"prev":"${prev}"}`);
    prev = hashLine(again);
    return again;
  });
}

test('a signed log holds by its public key, and by the private one', async () => {
  const lines = linesSigned(OURS.signing);
  expect(JSON.parse(lines[0] ?? '').key).toBe(OURS.signing.fingerprint);
  const fingerprint = OURS.signing.fingerprint;
  expect(await verifyLines(lines, byOurs)).toEqual({
    intact: true,
    events: 5,
    ended: true,
    key: fingerprint,
    signed: true,
  });
  expect(await verifyLines(lines, { key: verifyingKey(OURS.pem) })).toMatchObject({ signed: true });
  expect(await verifyLines(lines)).toMatchObject({ intact: true, key: fingerprint, signed: false });
});

test('each way to tamper with a signed log is found, also where the chain was made anew', async () => {
  const lines = linesSigned(OURS.signing);
  const [first = '', second = '', third = '', fourth = '', seal = ''] = lines;
  const unsigned = linesSigned(null);
  const verdict = async (tampered: readonly string[]) => {
    const found = await verifyLines(tampered, byOurs);
    return found.intact ? 'intact' : `${found.problem} at ${found.line}`;
  };
  const changed = second.replace('evil.example', 'good.example');
  const recounted = seal.replace('"events":4', '"events":3');
  const renumbered = (line: string, from: number) => line.replace(`"seq":${from}`, `"seq":${from - 1}`);
  expect({
    untouched: await verdict(lines),
    changed: await verdict([first, changed, third, fourth, seal]),
    changedAndChained: await verdict(chained([first, changed, third, fourth, seal])),
    sealChanged: await verdict([first, second, third, fourth, seal.replace('"exitCode":0', '"exitCode":1')]),
    deleted: await verdict([first, third, fourth, seal]),
    deletedAndChained: await verdict(
      chained([first, renumbered(third, 3), renumbered(fourth, 4), renumbered(recounted, 5)]),
    ),
    inserted: await verdict([first, second, second, third, fourth, seal]),
    reordered: await verdict([first, third, second, fourth, seal]),
    truncated: await verdict([first, second, third]),
    replacedByUnsigned: await verdict(unsigned),
    replacedByAnotherKeys: await verdict(linesSigned(OTHER.signing)),
    replacedByAnotherRun: await verdict(linesSigned(OURS.signing, '20261121-201500-zzzz')),
    signatureRemoved: await verdict([...lines.slice(0, 4), seal.replace(/"signature":"[^"]*",/, '')]),
    signatureOfAnother: await verdict([
      ...lines.slice(0, 4),
      seal.replace(
        /"signature":"[^"]*"/,
        () => /"signature":"[^"]*"/.exec(linesSigned(OTHER.signing)[4] ?? '')?.[0] ?? '',
      ),
    ]),
  }).toEqual({
    untouched: 'intact',
    changed: 'changed-before at 3',
    changedAndChained: 'bad-signature at 5',
    sealChanged: 'bad-signature at 5',
    deleted: 'gap at 2',
    deletedAndChained: 'bad-signature at 4',
    inserted: 'gap at 3',
    reordered: 'gap at 2',
    truncated: 'not-signed at 4',
    replacedByUnsigned: 'not-signed at 1',
    replacedByAnotherKeys: 'other-key at 1',
    replacedByAnotherRun: 'other-run at 1',
    signatureRemoved: 'not-signed at 5',
    signatureOfAnother: 'bad-signature at 5',
  });
});

test('what is no Ed25519 key is none', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { privateKey } = generateKeyPairSync('ed25519');
  const locked = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' });
  for (const pem of [
    '',
    'x',
    OURS.publicPem,
    rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    locked,
  ])
    expect(parseSigningKey(pem.toString())).toBeNull();
  for (const pem of ['', rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()])
    expect(parseVerifyingKey(pem)).toBeNull();
});

test('any bytes are survived, and signed by nobody', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(isSignedBy(bytes, byOurs.key)).toBe(false);
    }),
  );
});
