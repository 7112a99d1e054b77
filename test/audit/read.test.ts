import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { READ_LIMITS } from '../../audit/limits.ts';
import { LineCutter } from '../../audit/lines.ts';
import { type ReadLine, readAuditLog } from '../../audit/read.ts';
import { verifyAuditLog } from '../../audit/verify.ts';
import { dns, FULL_ENTRIES, linesOf, temporaryDirectory } from './samples.ts';

async function readBytes(bytes: Uint8Array | string): Promise<ReadLine[]> {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  writeFileSync(path, bytes);
  return Array.fromAsync(readAuditLog(path));
}

function problems(lines: readonly ReadLine[]): readonly unknown[] {
  return lines.filter((line) => !line.ok).map(({ line, problem }) => [line, problem]);
}

const LOG = linesOf(FULL_ENTRIES).map((line) => `${line}\n`);

test('gives every event in order', async () => {
  const lines = await readBytes(LOG.join(''));
  expect(problems(lines)).toEqual([]);
  expect(lines.map((line) => line.ok && line.event.seq)).toEqual(LOG.map((_, at) => at + 1));
});

test('an empty file has no lines', async () => {
  expect(await readBytes('')).toEqual([]);
});

test('a corrupt line in the middle is told, and the reading goes on', async () => {
  const parts = [LOG[0] ?? '', '{"seq":2,\n', Uint8Array.of(0xff, 0x0a), LOG[1] ?? ''];
  const lines = await readBytes(Buffer.concat(parts.map((part) => Buffer.from(part))));
  expect(problems(lines)).toEqual([
    [2, 'not-json'],
    [3, 'not-utf8'],
  ]);
  expect(lines.at(-1)?.ok).toBe(true);
});

test('a torn last line is told apart from a corrupt one', async () => {
  const whole = LOG.slice(0, 2).join('');
  expect(problems(await readBytes(`${whole}${LOG[2]?.slice(0, 40)}`))).toEqual([[3, 'torn']]);
  expect(problems(await readBytes(`${whole}${LOG[2]?.slice(0, -1)}`))).toEqual([[3, 'torn']]);
  expect(problems(await readBytes(`${whole}${LOG[2]?.slice(0, 40)}\n`))).toEqual([[3, 'not-json']]);
});

test('a line over the bound is a problem and not memory', async () => {
  const huge = Buffer.alloc(3 * READ_LIMITS.lineBytes, 'x');
  const lines = await readBytes(
    Buffer.concat([Buffer.from(LOG[0] ?? ''), huge, Buffer.from(`\n${LOG[1]}`), huge]),
  );
  expect(problems(lines)).toEqual([
    [2, 'too-long'],
    [4, 'too-long'],
  ]);
  expect(lines.map((line) => line.ok)).toEqual([true, false, true, false]);
});

test('a schema that is newer than known is told', async () => {
  const lines = await readBytes(LOG.join('').replace('"schema":1', '"schema":7'));
  expect(problems(lines)).toEqual([[1, 'newer-schema']]);
  expect(lines[0]).toMatchObject({ detail: 'the log has schema version 7, this sand knows 1' });
});

test('a problem never repeats what the line says', async () => {
  const [line] = await readBytes('\u001b[31mhunter2\n');
  expect(JSON.stringify(line)).not.toMatch(/hunter2|\\u001b/);
});

test('lines come out the same however the bytes are cut into chunks', () => {
  const bytes = Buffer.from(`${LOG.join('')}\n\ntail`);
  const whole = cut([bytes]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }), (sizes) => {
      const chunks: Buffer[] = [];
      for (let at = 0, i = 0; at < bytes.length; i += 1) {
        const size = sizes[i % sizes.length] ?? 1;
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(cut(chunks)).toEqual(whole);
    }),
  );
});

function cut(chunks: readonly Buffer[]): readonly unknown[] {
  const cutter = new LineCutter();
  const lines = chunks.flatMap((chunk) =>
    cutter.push(chunk).map((raw) => ({ ...raw, bytes: String(raw.bytes) })),
  );
  const last = cutter.end();
  return [...lines, last === null ? null : { ...last, bytes: String(last.bytes) }];
}

test('any bytes as a file are survived', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const newlines = bytes.filter((byte) => byte === 10).length;
      const lines = await readBytes(bytes);
      expect(lines.length).toBe(newlines + (bytes.length > 0 && bytes.at(-1) !== 10 ? 1 : 0));
    }),
    { numRuns: 50 },
  );
});

test('a long log is read in little memory', async () => {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  const line = `${linesOf([dns()])[0]}\n`;
  writeFileSync(path, line.repeat(20_000));
  let events = 0;
  for await (const read of readAuditLog(path)) if (read.ok) events += 1;
  expect(events).toBe(20_000);
});

test('a signal ends the reading', async () => {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  writeFileSync(path, LOG.join(''));
  const signal = AbortSignal.abort();
  await expect(Array.fromAsync(readAuditLog(path, { signal }))).rejects.toThrow(/abort/i);
});

test('a FIFO or directory in the place of a log is refused and does not hang', async () => {
  const directory = temporaryDirectory();
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  await expect(Array.fromAsync(readAuditLog(join(directory, 'fifo')))).rejects.toThrow(/not a plain file/);
  await expect(Array.fromAsync(readAuditLog(directory))).rejects.toThrow();
  await expect(Array.fromAsync(readAuditLog(join(directory, 'none')))).rejects.toMatchObject({
    code: 'ENOENT',
  });
});

test('a log of the first version reads and verifies as it did when it was written', async () => {
  const path = new URL('fixtures/version-1.jsonl', import.meta.url).pathname;
  const kinds: string[] = [];
  for await (const line of readAuditLog(path)) kinds.push(line.ok ? line.event.kind : line.detail);
  expect(kinds).toEqual(FULL_ENTRIES.map(({ kind }) => kind));
  expect(await verifyAuditLog(path)).toMatchObject({ intact: true, ended: true, key: null });
});
