/**
 * How fast audit lines are written, and a million of them read, verified and summed up, and in what memory; beside
 * the same lines written and read without chain and schema.
 */
import { closeSync, createReadStream, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { AuditEntry } from '../audit/event.ts';
import { createAuditLog } from '../audit/log.ts';
import { readOverview } from '../audit/overview.ts';
import { verifyAuditLog } from '../audit/verify.ts';
import { processorMs } from './process-figures.ts';
import { formatFigure, formatRatio, formatTable } from './table.ts';
import { Workplace } from './workplace.ts';

export const name = 'audit';
export const summary = 'a million audit lines: written, verified, summed up, and the memory that takes';

const EVENTS = 1_000_000;
/** Writing is measured in turns of this many lines, the log and the plain file alternating. */
const TURN = 50_000;
const HOSTS = 500;

interface Measured {
  readonly title: string;
  ms: number;
  cpuMs: number;
  peakBytes: number;
}

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  const folder = join(workplace.folder, 'log');
  mkdirSync(folder, { mode: 0o700 });
  const path = join(folder, 'audit.jsonl');
  const [write, plainWrite] = await writeBoth(path, join(folder, 'plain.jsonl'));
  const plainRead = create('read lines and JSON.parse');
  const verify = create('verify the chain');
  const sum = create('read by the schema and sum up');
  await measure(plainRead, () => readPlain(path));
  await measure(verify, () => verifyAuditLog(path));
  await measure(sum, () => readOverview(path));
  const beside: readonly (readonly [Measured, Measured])[] = [
    [write, plainWrite],
    [plainWrite, plainWrite],
    [verify, plainRead],
    [sum, plainRead],
    [plainRead, plainRead],
  ];
  const size = Math.round(statSync(path).size / EVENTS);
  process.stdout.write(
    formatTable({
      head: ['', 'lines/s', 'CPU µs a line', 'peak MiB', 'time ÷ plain'],
      rows: beside.map(([one, plain]) => [
        one.title,
        formatFigure((EVENTS / one.ms) * 1_000),
        formatFigure((one.cpuMs * 1_000) / EVENTS),
        formatFigure(one.peakBytes / 1024 ** 2),
        formatRatio(one.ms / plain.ms),
      ]),
      notes: [`${EVENTS.toLocaleString('en')} lines of ${size} bytes, each passed to the kernel on its own`],
    }),
  );
}

function create(title: string): Measured {
  return { title, ms: 0, cpuMs: 0, peakBytes: 0 };
}

async function writeBoth(path: string, plainPath: string): Promise<readonly [Measured, Measured]> {
  const write = create('write, chained');
  const plain = create('write, JSON.stringify alone');
  const log = createAuditLog({ path, guest: 'bench', clock: Date.now });
  const descriptor = openSync(plainPath, 'a', 0o600);
  for (let from = 0; from < EVENTS; from += TURN) {
    await measure(write, () => {
      for (let at = from; at < from + TURN; at += 1) log.record(decision(at));
    });
    await measure(plain, () => {
      for (let at = from; at < from + TURN; at += 1)
        writeSync(descriptor, `${JSON.stringify(decision(at))}\n`);
    });
  }
  closeSync(descriptor);
  log.close();
  return [write, plain];
}

async function readPlain(path: string): Promise<void> {
  for await (const line of createInterface({ input: createReadStream(path) })) JSON.parse(line);
}

function decision(i: number): AuditEntry {
  return {
    kind: 'connection',
    connection: i,
    asker: 'guest',
    verdict: i % 10 === 0 ? 'deny' : 'allow',
    reason: i % 10 === 0 ? 'no-rule' : 'allowed-by-rule',
    disposition: i % 10 === 0 ? 'refused' : 'forwarded',
    rule: { id: 'strict/allow:**.example.com', file: 'preset:strict', line: 12 },
    policy: `sha256:${'ab'.repeat(32)}`,
    via: 'connect',
    host: `h${i % HOSTS}.example.com`,
    port: 443,
    protocol: 'https',
    address: '203.0.113.7',
    sni: `h${i % HOSTS}.example.com`,
    alpn: ['h2', 'http/1.1'],
  };
}

async function measure(measured: Measured, work: () => unknown): Promise<void> {
  const watch = setInterval(() => watchMemory(measured), 20);
  const cpu = processorMs(process.pid);
  const start = performance.now();
  await work();
  measured.ms += performance.now() - start;
  measured.cpuMs += processorMs(process.pid) - cpu;
  clearInterval(watch);
  watchMemory(measured);
}

function watchMemory(measured: Measured): void {
  measured.peakBytes = Math.max(measured.peakBytes, process.memoryUsage().rss);
}
