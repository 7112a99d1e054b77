import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FIRST_PREV, hashLine } from '../../audit/line.ts';
import { type AuditLog, createAuditLog, createAuditLogOn } from '../../audit/log.ts';
import { AuditUnavailable } from '../../audit/unavailable.ts';
import { verifyAuditLog } from '../../audit/verify.ts';
import { connection, dns, FULL_ENTRIES, runEnd, runStart, START_MS, temporaryDirectory } from './samples.ts';

const clock = () => START_MS;

function newLog(path: string): AuditLog {
  return createAuditLog({ path, guest: 'g1', clock });
}

test('a line is on the file when record returns, with our fields and no others of pino', () => {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  const log = newLog(path);
  expect(log.record(runStart())).toBe(1);
  const text = readFileSync(path, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  const first = JSON.parse(text);
  expect(first).toEqual({
    seq: 1,
    time: '2026-11-21T20:15:00.000Z',
    guest: 'g1',
    ...runStart(),
    prev: FIRST_PREV,
  });
  expect(Object.keys(first).slice(0, 4)).toEqual(['seq', 'time', 'guest', 'kind']);
  expect(Object.keys(first).at(-1)).toBe('prev');
  expect(log.record(dns())).toBe(2);
  const [line = '', second = ''] = readFileSync(path, 'utf8').split('\n');
  expect(JSON.parse(second).prev).toBe(hashLine(line));
  log.close();
});

test('a log of every kind verifies, and run-end counts what is before it', async () => {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  const log = newLog(path);
  for (const entry of FULL_ENTRIES) log.record(entry);
  log.close();
  expect(await verifyAuditLog(path)).toMatchObject({
    intact: true,
    events: FULL_ENTRIES.length,
    ended: true,
  });
});

test('the file is for its owner alone, whatever the umask', () => {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  const before = process.umask(0);
  try {
    newLog(path).close();
  } finally {
    process.umask(before);
  }
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a second writer is refused, also before the first line', () => {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  const log = newLog(path);
  expect(() => newLog(path)).toThrow(AuditUnavailable);
  log.record(runStart());
  expect(() => newLog(path)).toThrow(/exists already/);
  log.record(runEnd());
  log.close();
  expect(() => newLog(path)).toThrow(AuditUnavailable);
});

test('a link in the place of the log is not followed', () => {
  const directory = temporaryDirectory();
  const victim = join(directory, 'victim');
  symlinkSync(victim, join(directory, 'audit.jsonl'));
  expect(() => newLog(join(directory, 'audit.jsonl'))).toThrow(AuditUnavailable);
  expect(existsSync(victim)).toBe(false);
});

test('what others write into the file is never overwritten: it is opened to append', () => {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  const log = newLog(path);
  log.record(runStart());
  writeFileSync(path, 'x\n', { flag: 'a' });
  log.record(dns());
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines[1]).toBe('x');
  expect(JSON.parse(lines[2] ?? '').seq).toBe(2);
  log.close();
});

test.runIf(existsSync('/dev/full'))('a full disk makes record throw from then on', () => {
  const log = createAuditLogOn(openSync('/dev/full', 'a'), { path: '/dev/full', guest: 'g1', clock });
  expect(log.failed).toBeNull();
  expect(() => log.record(runStart())).toThrow(AuditUnavailable);
  expect(log.failed?.cause).toMatchObject({ code: 'ENOSPC' });
  expect(() => log.record(dns())).toThrow(AuditUnavailable);
  expect(log.events).toBe(0);
  log.close();
});

test('a descriptor that is gone makes record throw from then on', () => {
  const path = join(temporaryDirectory(), 'audit.jsonl');
  const descriptor = openSync(path, 'a');
  const log = createAuditLogOn(descriptor, { path, guest: 'g1', clock });
  log.record(runStart());
  closeSync(descriptor);
  expect(() => log.record(dns())).toThrow(/EBADF/);
  // A new file takes the number of the old descriptor; the log that failed must not write into it.
  const other = join(temporaryDirectory(), 'other');
  const reused = openSync(other, 'a');
  expect(() => log.record(dns())).toThrow(AuditUnavailable);
  expect(readFileSync(other, 'utf8')).toBe('');
  closeSync(reused);
});

test('a broken pipe makes record throw, though pino then swallows what it is given', async () => {
  const path = join(temporaryDirectory(), 'fifo');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const log = createAuditLogOn(openSync(path, 'a'), { path, guest: 'g1', clock });
  log.record(runStart());
  closeSync(reader);
  expect(() => log.record(dns())).toThrow(/EPIPE/);
  expect(() => log.record(dns())).toThrow(AuditUnavailable);
  log.close();
});

test('partial writes and EAGAIN lose no byte', async () => {
  const directory = temporaryDirectory();
  const [path, copy] = [join(directory, 'fifo'), join(directory, 'copy')];
  execFileSync('mkfifo', [path]);
  const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  // The reader begins late, so that the pipe (64 KiB) is full before; the lines hold ten times as much.
  const reader = spawn('sh', ['-c', 'sleep 0.2; exec cat "$0" >"$1"', path, copy]);
  const log = createAuditLogOn(descriptor, { path, guest: 'g1', clock });
  const long = 'x'.repeat(2000);
  for (let i = 0; i < 300; i += 1) log.record(connection({ path: `/${long}`, method: 'GET' }));
  log.close();
  await once(reader, 'close');
  expect(await verifyAuditLog(copy)).toMatchObject({ intact: true, events: 300, ended: false });
});

test('EAGAIN without end is a failure, not a hang', () => {
  const path = join(temporaryDirectory(), 'fifo');
  execFileSync('mkfifo', [path]);
  const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const log = createAuditLogOn(descriptor, { path, guest: 'g1', clock, busyRetries: 2 });
  const fill = () => {
    for (let i = 0; i < 1000; i += 1) log.record(runStart());
  };
  expect(fill).toThrow(/EAGAIN/);
  expect(log.failed).toBeInstanceOf(AuditUnavailable);
  log.close();
});

test('nothing is recorded after the seal or the close', () => {
  const directory = temporaryDirectory();
  const sealed = newLog(join(directory, 'sealed'));
  sealed.record(runEnd());
  expect(() => sealed.record(dns())).toThrow(AuditUnavailable);
  sealed.close();
  sealed.close();
  const closed = newLog(join(directory, 'closed'));
  closed.close();
  expect(() => closed.record(dns())).toThrow(AuditUnavailable);
  expect(readFileSync(join(directory, 'closed'), 'utf8')).toBe('');
});

test('SIGKILL leaves whole lines or one torn tail, and verify says so', async () => {
  const writer = new URL('fixtures/writer.ts', import.meta.url).pathname;
  for (let round = 0; round < 3; round += 1) {
    const path = join(temporaryDirectory(), 'audit.jsonl');
    const child = spawn(process.execPath, [writer, path], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    const deadline = Date.now() + 20_000;
    while ((!existsSync(path) || statSync(path).size < 50_000) && Date.now() < deadline) await delay(5);
    child.kill('SIGKILL');
    expect((await ended)[1]).toBe('SIGKILL');
    const bytes = readFileSync(path);
    const whole = bytes.filter((byte) => byte === 10).length;
    expect(whole).toBeGreaterThan(10);
    const found = await verifyAuditLog(path);
    if (bytes.at(-1) === 10) expect(found).toMatchObject({ intact: true, events: whole, ended: false });
    else expect(found).toMatchObject({ intact: false, line: whole + 1, problem: 'torn' });
  }
});
