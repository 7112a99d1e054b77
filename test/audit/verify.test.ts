import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashLine } from '../../audit/line.ts';
import { type Verification, verifyAuditLog } from '../../audit/verify.ts';
import { connection, dns, FULL_ENTRIES, linesOf, runEnd, runStart, temporaryDirectory } from './samples.ts';

async function verify(lines: readonly string[]): Promise<Verification> {
  return verifyText(lines.map((line) => `${line}\n`).join(''));
}

async function verifyText(text: string): Promise<Verification> {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  writeFileSync(path, text);
  return verifyAuditLog(path);
}

const LOG = linesOf([runStart(), dns(), connection(), dns({ name: 'other.example' }), runEnd()]);
const [first = '', second = '', third = '', fourth = '', seal = ''] = LOG;

test('a whole log is intact and sealed', async () => {
  expect(await verify(LOG)).toMatchObject({ intact: true, events: 5, ended: true });
  expect(await verify(linesOf(FULL_ENTRIES))).toMatchObject({ intact: true, ended: true });
});

test('a cut tail, whole lines or all of them, shows as the missing seal', async () => {
  expect(await verify(LOG.slice(0, -1))).toMatchObject({ intact: true, events: 4, ended: false });
  expect(await verify(LOG.slice(0, 1))).toMatchObject({ intact: true, events: 1, ended: false });
  expect(await verify([])).toMatchObject({ intact: true, events: 0, ended: false });
});

test('a torn last line is named', async () => {
  expect(await verifyText(`${first}\n${second.slice(0, 30)}`)).toMatchObject({
    intact: false,
    line: 2,
    problem: 'torn',
  });
  expect(await verifyText(`${first}\n${second}`)).toMatchObject({ intact: false, line: 2, problem: 'torn' });
});

test('a changed line is found at the line after it', async () => {
  const changed = second.replace('evil.example', 'good.example');
  expect(await verify([first, changed, third])).toMatchObject({
    intact: false,
    line: 3,
    problem: 'changed-before',
  });
});

test('a change that keeps the meaning is found, too: the bytes count', async () => {
  const changed = second.replace('"kind":"dns"', '"kind": "dns"');
  expect(await verify([first, changed, third])).toMatchObject({ line: 3, problem: 'changed-before' });
});

test('a line that is taken out, put in, or moved is found', async () => {
  expect(await verify([first, third, fourth])).toMatchObject({ line: 2, problem: 'gap' });
  expect(await verify([first, second, second, third])).toMatchObject({ line: 3, problem: 'gap' });
  expect(await verify([first, third, second])).toMatchObject({ line: 2, problem: 'gap' });
});

test('a cut head is found', async () => {
  expect(await verify(LOG.slice(1))).toMatchObject({ line: 1, problem: 'first-line-missing' });
});

test('a renumbered line without its chain is found', async () => {
  const renumbered = third.replace('"seq":3', '"seq":2');
  expect(await verify([first, renumbered])).toMatchObject({ line: 2, problem: 'changed-before' });
});

test('a run-end whose count does not fit is found', async () => {
  const forged = seal
    .replace('"seq":5', '"seq":2')
    .replace(/"prev":"[0-9a-f]+"/, `"prev":"${hashLine(first)}"`);
  expect(await verify([first, forged])).toMatchObject({ line: 2, problem: 'wrong-count' });
});

test('a line after the seal is found', async () => {
  const late = second
    .replace('"seq":2', '"seq":6')
    .replace(/"prev":"[0-9a-f]+"/, `"prev":"${hashLine(seal)}"`);
  expect(await verify([...LOG, late])).toMatchObject({ line: 6, problem: 'after-seal' });
});

test('a line that is no event is named', async () => {
  expect(await verify([first, 'null', third])).toMatchObject({ line: 2, problem: 'unreadable' });
  expect(await verify([first.replace('"schema":1', '"schema":2')])).toMatchObject({
    line: 1,
    problem: 'newer-schema',
  });
});

test('no change of one byte before the last line goes unseen', async () => {
  const text = LOG.map((line) => `${line}\n`).join('');
  const bytes = Buffer.from(text);
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: bytes.length - seal.length - 2 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, flip) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        const path = join(temporaryDirectory(), 'audit.jsonl');
        writeFileSync(path, changed);
        expect((await verifyAuditLog(path)).intact).toBe(false);
      },
    ),
    { numRuns: 100 },
  );
});
