import { readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { readLogEnds } from '../../audit/ends.ts';
import type { AuditEvent } from '../../audit/event.ts';
import { followAuditLog } from '../../audit/follow.ts';
import { createAuditLog } from '../../audit/log.ts';
import { readAuditLog } from '../../audit/read.ts';
import { listSegments, segmentPath } from '../../audit/segments.ts';
import { AuditUnavailable } from '../../audit/unavailable.ts';
import { verifyAuditLog } from '../../audit/verify.ts';
import { dns, runEnd, runStart, START_MS, temporaryDirectory } from './samples.ts';

const clock = () => START_MS;
const SEGMENT_BYTES = 2_000;

function newPath(): string {
  return join(temporaryDirectory(), 'audit.jsonl');
}

/** A sealed log of `count` questions between start and seal. */
function write(path: string, count: number, segmentBytes = SEGMENT_BYTES): void {
  const log = createAuditLog({ path, guest: 'g1', clock, segmentBytes });
  log.record(runStart());
  for (let i = 0; i < count; i++) log.record(dns({ name: `h${i}.example` }));
  log.record(runEnd());
  log.close();
}

async function readAll(path: string): Promise<readonly AuditEvent[]> {
  const events: AuditEvent[] = [];
  for await (const line of readAuditLog(path)) if (line.ok) events.push(line.event);
  return events;
}

const fileOf = (path: string, segment: number) => readFileSync(segmentPath(path, segment), 'utf8');

test('a log goes on in the next file, in whole lines, and reads as one', async () => {
  const path = newPath();
  write(path, 50);
  const segments = await listSegments(path);
  expect(segments.length).toBeGreaterThan(3);
  expect(segments).toEqual(segments.map((_, at) => at + 1));
  for (const segment of segments) {
    const text = fileOf(path, segment);
    expect(text.endsWith('\n')).toBe(true);
    expect(text.length).toBeLessThanOrEqual(SEGMENT_BYTES);
    expect(statSync(segmentPath(path, segment)).mode & 0o777).toBe(0o600);
  }
  expect((await readAll(path)).map(({ seq }) => seq)).toEqual(Array.from({ length: 52 }, (_, i) => i + 1));
  expect(await verifyAuditLog(path)).toMatchObject({ intact: true, events: 52, ended: true });
  const ends = await readLogEnds(path);
  expect([ends.first?.kind, ends.last?.kind]).toEqual(['run-start', 'run-end']);
});

test('a line that is longer than a file gets one of its own', async () => {
  const path = newPath();
  write(path, 5, 10);
  expect(await listSegments(path)).toHaveLength(7);
  expect(await verifyAuditLog(path)).toMatchObject({ intact: true, events: 7, ended: true });
});

test('names beside the log are no files of it', async () => {
  const path = newPath();
  write(path, 0);
  for (const name of ['audit.1.jsonl', 'audit.02.jsonl', 'audit.x.jsonl', 'output.2.jsonl', 'audit.jsonl.2'])
    writeFileSync(join(dirname(path), name), 'x\n');
  expect(await listSegments(path)).toEqual([1]);
});

test.each([
  ['a file that is there already', (next: string) => writeFileSync(next, '')],
  ['a link', (next: string) => symlinkSync('/etc/hostname', next)],
])('%s in the next file’s place ends the log: nothing more is allowed', async (_, plant) => {
  const path = newPath();
  const log = createAuditLog({ path, guest: 'g1', clock, segmentBytes: SEGMENT_BYTES });
  plant(segmentPath(path, 2));
  const fill = () => {
    for (let i = 0; i < 50; i++) log.record(dns());
  };
  expect(fill).toThrow(AuditUnavailable);
  expect(log.failed).not.toBeNull();
  expect(() => log.record(dns())).toThrow(AuditUnavailable);
  log.close();
  rmSync(segmentPath(path, 2));
  expect(await verifyAuditLog(path)).toMatchObject({ intact: true, events: log.events, ended: false });
});

test('a file that was taken away, changed or cut is found, and named', async () => {
  const broken = async (harm: (path: string, last: number) => void) => {
    const path = newPath();
    write(path, 50);
    const last = (await listSegments(path)).at(-1) ?? 0;
    harm(path, last);
    return verifyAuditLog(path);
  };
  const remove = (segment: number) => (path: string) => rmSync(segmentPath(path, segment));
  expect(await broken(remove(2))).toMatchObject({ intact: false, problem: 'file-missing', segment: 2 });
  expect(await broken((path, last) => rmSync(segmentPath(path, last)))).toMatchObject({
    intact: true,
    ended: false,
  });
  const change = (path: string) =>
    writeFileSync(segmentPath(path, 2), fileOf(path, 2).replace('"rcode":"NXDOMAIN"', '"rcode":"NOERROR"'));
  expect(await broken(change)).toMatchObject({
    intact: false,
    problem: 'changed-before',
    segment: 2,
    line: 2,
  });
  const cut = (path: string) => writeFileSync(segmentPath(path, 2), fileOf(path, 2).slice(0, -5));
  expect(await broken(cut)).toMatchObject({ intact: false, problem: 'torn', segment: 2 });
  const swap = (path: string) => {
    const [second, third] = [fileOf(path, 2), fileOf(path, 3)];
    writeFileSync(segmentPath(path, 2), third);
    writeFileSync(segmentPath(path, 3), second);
  };
  expect(await broken(swap)).toMatchObject({ intact: false, problem: 'gap', segment: 2, line: 1 });
});

test('whoever follows a log while it grows over many files loses and doubles no line', async () => {
  const path = newPath();
  const count = 3_000;
  const log = createAuditLog({ path, guest: 'g1', clock, segmentBytes: SEGMENT_BYTES });
  log.record(runStart());
  const seen: number[] = [];
  const steps: string[] = [];
  const following = (async () => {
    for await (const step of followAuditLog(path)) {
      steps.push(step.kind);
      if (step.kind === 'lines') for (const line of step.lines) if (line.ok) seen.push(line.event.seq);
    }
  })();
  for (let i = 0; i < count; i++) {
    log.record(dns({ name: `h${i}.example` }));
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  log.record(runEnd());
  log.close();
  await following;
  expect(seen).toEqual(Array.from({ length: count + 2 }, (_, i) => i + 1));
  expect(steps.at(-1)).toBe('sealed');
  expect(readdirSync(dirname(path)).length).toBeGreaterThan(100);
});
