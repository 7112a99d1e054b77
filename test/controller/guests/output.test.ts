import { appendFileSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunPlace } from '../../../audit/runs.ts';
import { createOutputLog, decodeChunk, encodeChunk, readOutput } from '../../../controller/guests/output.ts';
import { placeIn, runsFolder } from './places.ts';

const place = () => placeIn(runsFolder());

async function read(run: RunPlace, follow?: () => boolean): Promise<readonly string[]> {
  const said: string[] = [];
  for await (const { bytes } of readOutput(run, follow)) said.push(bytes.toString('utf8'));
  return said;
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `chunk ${from + at} ${'.'.repeat(50)}`);

describe('the output of a guest', () => {
  it('is kept byte for byte, each stream by its name', async () => {
    const run = place();
    const log = createOutputLog(run);
    const chunks = ['plain\n', 'ünïcode', Buffer.from([0, 255, 10, 128, 13]), '\u001b[31m\n', ''];
    for (const chunk of chunks) expect(log.write('stderr', Buffer.from(chunk))).toBeNull();
    log.close();
    const said = [];
    for await (const { stream, bytes } of readOutput(run)) said.push([stream, bytes]);
    expect(said).toEqual(chunks.map((chunk) => ['stderr', Buffer.from(chunk)]));
    expect(statSync(join(run.directory, 'output.jsonl')).mode & 0o777).toBe(0o600);
  });

  it('of any bytes comes back as it was', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const line = encodeChunk('stdout', Buffer.from(bytes), 0);
        expect(line).not.toContain('\n');
        expect(decodeChunk(line)?.bytes).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it.each(['', '{', 'null', '[]', '{"time":"t","stream":"x","text":""}', '{"stream":"stdout","text":""}'])(
    'passes over the line %j, which is none of its own',
    async (line) => {
      const run = place();
      const log = createOutputLog(run);
      log.write('stdout', Buffer.from('before'));
      appendFileSync(join(run.directory, 'output.jsonl'), `${line}\n`);
      log.write('stdout', Buffer.from('after'));
      log.close();
      expect(decodeChunk(line)).toBeNull();
      expect(await read(run)).toEqual(['before', 'after']);
    },
  );

  it('is bounded: the older half goes, the rest is whole and in order', async () => {
    const run = place();
    const log = createOutputLog(run, { bytes: 1_000 });
    const all = numbers(0, 100);
    for (const chunk of all) log.write('stdout', Buffer.from(chunk));
    log.close();
    for (const file of ['output.jsonl', 'output.1.jsonl'])
      expect(readFileSync(join(run.directory, file)).length).toBeLessThanOrEqual(1_000);
    const kept = await read(run);
    expect(kept.length).toBeGreaterThan(5);
    expect(kept).toEqual(all.slice(-kept.length));
  });

  it('of one chunk that is larger than a file is kept all the same', async () => {
    const run = place();
    const log = createOutputLog(run, { bytes: 100 });
    log.write('stdout', Buffer.from('x'.repeat(1_000)));
    log.close();
    expect(await read(run)).toEqual(['x'.repeat(1_000)]);
    expect(existsSync(join(run.directory, 'output.1.jsonl'))).toBe(false);
  });

  it('is followed over files that are put aside: nothing is lost and nothing comes twice', async () => {
    const run = place();
    const log = createOutputLog(run, { bytes: 1_000 });
    for (const chunk of numbers(0, 4)) log.write('stdout', Buffer.from(chunk));
    let written = 4;
    // Each look finds a file and a half more: it was put aside once or twice since.
    const said = await read(run, () => {
      if (written >= 60) return false;
      for (const chunk of numbers(written, written + 8)) log.write('stdout', Buffer.from(chunk));
      written += 8;
      return true;
    });
    log.close();
    expect(said).toEqual(numbers(0, written));
  });

  it('is read on over a file that is put aside in the middle of it', async () => {
    const run = place();
    const log = createOutputLog(run, { bytes: 1_000 });
    for (const chunk of numbers(0, 12)) log.write('stdout', Buffer.from(chunk));
    const said: string[] = [];
    let written = 12;
    for await (const { bytes } of readOutput(run)) {
      said.push(bytes.toString('utf8'));
      if (said.length % 6 !== 0 || written >= 40) continue;
      for (const chunk of numbers(written, written + 4)) log.write('stdout', Buffer.from(chunk));
      written += 4;
    }
    log.close();
    expect(said).toEqual(numbers(0, said.length));
    expect(said.length).toBeGreaterThan(12);
  });

  it('that is not there is none, and what comes later is followed', async () => {
    const run = place();
    expect(await read(run)).toEqual([]);
    let looks = 0;
    const said = await read(run, () => {
      looks += 1;
      if (looks === 2) {
        const log = createOutputLog(run);
        log.write('stdout', Buffer.from('late'));
        log.close();
      }
      return looks < 3;
    });
    expect(said).toEqual(['late']);
  });

  it('tells once that it is not kept, and never raises', () => {
    const run = place();
    const log = createOutputLog(run);
    log.close();
    expect(log.write('stdout', Buffer.from('x'))).toMatch(/EBADF/);
    expect(log.write('stdout', Buffer.from('x'))).toBeNull();
  });
});
