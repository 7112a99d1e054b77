/** How fast audit lines are written, and a million of them read, verified and summed up, and in what memory. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEntry } from '../audit/event.ts';
import { createAuditLog } from '../audit/log.ts';
import { readOverview } from '../audit/overview.ts';
import { verifyAuditLog } from '../audit/verify.ts';

const EVENTS = 1_000_000;
const HOSTS = 500;

/** Prints one line a figure. */
export async function run(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'sand-bench-'));
  try {
    const path = join(directory, 'audit.jsonl');
    await measure('write', () => writeEvents(path));
    console.log(`audit: ${(statSync(path).size / EVENTS).toFixed(0)} bytes a line`);
    await measure('verify', () => verifyAuditLog(path));
    await measure('sum up', () => readOverview(path));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function writeEvents(path: string): void {
  const log = createAuditLog({ path, guest: 'bench', clock: Date.now });
  for (let i = 0; i < EVENTS; i += 1) log.record(decision(i));
  log.close();
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

async function measure(what: string, work: () => unknown): Promise<void> {
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 20);
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  clearInterval(watch);
  const rate = Math.round(EVENTS / seconds).toLocaleString('en');
  const memory = peak === 0 ? '' : `, at most ${(peak / 1024 ** 2).toFixed(0)} MiB resident`;
  console.log(
    `audit: ${what} ${EVENTS.toLocaleString('en')} events: ${seconds.toFixed(1)} s, ${rate} a second${memory}`,
  );
}
