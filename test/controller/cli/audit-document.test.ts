/** Runs every example of docs/audit.md, in its order; `UPDATE_GOLDEN=1` writes their output anew. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import { encodeLine, FIRST_PREV, hashLine } from '../../../audit/line.ts';
import { runPlace } from '../../../audit/runs.ts';
import { createProgram } from '../../../controller/cli/program.ts';
import { ALLOWED, close, connection, dns, inbound, runEnd, runStart } from '../../audit/samples.ts';

const DOCUMENT = fileURLToPath(new URL('../../../docs/audit.md', import.meta.url));
const rule = { id: 'web-app/allow:registry.example.com', file: 'sand.policy.yaml', line: 4 };
const registry = { ...ALLOWED, rule, host: 'registry.example.com' };

const BEFORE: readonly AuditEntry[] = [
  runStart({ run: '20261120-091200-0a7c', name: 'web', command: ['npm', 'ci'] }),
  connection({ ...registry, connection: 1 }),
  close({ connection: 1, host: 'registry.example.com', bytesOut: 4_100, bytesIn: 1_900_000 }),
  runEnd({ durationMs: 9_800 }),
];
const AFTER: readonly AuditEntry[] = [
  runStart({ name: 'web', command: ['npm', 'ci'] }),
  dns({ name: 'stats.example.net' }),
  connection({ ...registry, connection: 1 }),
  close({ connection: 1, host: 'registry.example.com', bytesOut: 4_300, bytesIn: 46_000_000 }),
  connection({ connection: 2, host: 'stats.example.net' }),
  connection({ connection: 3, host: 'stats.example.net' }),
  inbound({ connection: 4 }),
  close({ connection: 4, host: '127.0.0.1', port: 51_234, bytesOut: 12_000, bytesIn: 300 }),
  runEnd({ durationMs: 12_300 }),
];

/** Chained, a second apart. */
function linesFrom(entries: readonly AuditEntry[], startMs: number): readonly string[] {
  let prev = FIRST_PREV;
  return entries.map((entry, i) => {
    const sealed = entry.kind === 'run-end' ? { ...entry, events: i } : entry;
    const line = encodeLine(sealed, { seq: i + 1, timeMs: startMs + i * 1_000, guest: 'g', prev });
    prev = hashLine(line);
    return line;
  });
}

function writeRun(folder: string, id: string, entries: readonly AuditEntry[], startMs: number): void {
  const run = runPlace(join(folder, 'state/sand/runs'), id);
  mkdirSync(run.directory, { recursive: true, mode: 0o700 });
  const text = linesFrom(entries, startMs).map((line) => `${line}\n`);
  writeFileSync(run.auditPath, text.join(''));
}

async function runCommand(line: string): Promise<string> {
  let text = '';
  let code = 0;
  const program = createProgram({
    command: null,
    write: (some) => {
      text += some;
    },
    finish: (exit) => {
      code = exit;
    },
  });
  await program.parseAsync(line.split(' ').slice(1), { from: 'user' });
  return code === 0 ? text : `${text}[exit code ${code}]\n`;
}

it('docs/audit.md shows what its commands print', async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'audit-document-')));
  const env = { ...process.env };
  onTestFinished(() => {
    process.env = env;
    vi.useRealTimers();
    rmSync(folder, { recursive: true, force: true });
  });
  Object.assign(process.env, { HOME: folder, XDG_STATE_HOME: join(folder, 'state') });
  vi.useFakeTimers({ now: Date.UTC(2026, 11, 31), toFake: ['Date'] });
  writeRun(folder, '20261120-091200-0a7c', BEFORE, Date.UTC(2026, 10, 20, 9, 12));
  writeRun(folder, '20261121-201500-k3f9', AFTER, Date.UTC(2026, 10, 21, 20, 15));
  const document = readFileSync(DOCUMENT, 'utf8');
  let written = '';
  let at = 0;
  for (const block of document.matchAll(/```console\n\$ (.*)\n([\s\S]*?)```/g)) {
    const [whole, line = ''] = block;
    written += `${document.slice(at, block.index)}\`\`\`console\n$ ${line}\n${await runCommand(line)}\`\`\``;
    at = block.index + whole.length;
  }
  written += document.slice(at);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(DOCUMENT, written);
  expect(written).toBe(readFileSync(DOCUMENT, 'utf8'));
});
