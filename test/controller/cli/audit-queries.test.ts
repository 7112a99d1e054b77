import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { AuditEntry, RunTotals } from '../../../audit/event.ts';
import { auditRoot } from '../../../audit/runs.ts';
import { type Criteria, EVERYTHING } from '../../../audit/selection.ts';
import { auditDiff } from '../../../controller/cli/audit-diff.ts';
import { auditExport, type ExportFormat, parseExportFormat } from '../../../controller/cli/audit-export.ts';
import { auditList } from '../../../controller/cli/audit-list.ts';
import { auditPrune } from '../../../controller/cli/audit-prune.ts';
import { auditShow } from '../../../controller/cli/audit-show.ts';
import { auditTail } from '../../../controller/cli/audit-tail.ts';
import { auditTop, parseTopOrder } from '../../../controller/cli/audit-top.ts';
import { expectGolden } from '../../audit/golden.ts';
import {
  ALLOWED,
  close,
  connection,
  dns,
  eventsOf,
  inbound,
  linesOf,
  runEnd,
  runStart,
  START_MS,
  temporaryDirectory,
} from '../../audit/samples.ts';

const RUN = '20261121-201500-k3f9';
const LATER = '20261122-080000-0000';
const BROKEN = '20261123-080000-0000';
const NOW = Date.UTC(2026, 11, 31);
const curl = { process: { pid: 17, command: 'curl -s https://evil.example/' } };

const FIRST: readonly AuditEntry[] = [
  runStart({ name: 'web' }),
  dns(),
  connection(curl),
  connection({ ...ALLOWED, connection: 2, host: 'api.example.com' }),
  close({ connection: 2 }),
  connection({ connection: 3, host: 'stats.telemetry.example', muted: true }),
  inbound(),
  close({ connection: 7, bytesIn: 100, bytesOut: 90_000 }),
  { kind: 'notice', code: 'policy-file-touched', detail: 'sand.policy.yaml' },
  runEnd(),
];
const SECOND: readonly AuditEntry[] = [
  runStart({ command: ['make', '\u001b[2Jall'] }),
  connection({ ...ALLOWED, connection: 1, host: 'api.example.com' }),
  close({ connection: 1, bytesIn: 100 }),
  connection({ connection: 2, host: 'new.example', suggestion: '- allow: new.example' }),
  connection({ ...ALLOWED, connection: 3, host: 'down.example', reason: 'upstream-refused' }),
];

function stateWith(runs: Readonly<Record<string, readonly AuditEntry[] | null>>): { XDG_STATE_HOME: string } {
  const env = { XDG_STATE_HOME: temporaryDirectory() };
  mkdirSync(auditRoot(env), { recursive: true });
  for (const [id, entries] of Object.entries(runs)) {
    mkdirSync(join(auditRoot(env), id));
    const text =
      entries === null
        ? null
        : linesOf(entries)
            .map((line) => `${line}\n`)
            .join('');
    if (text !== null) writeFileSync(join(auditRoot(env), id, 'audit.jsonl'), text);
  }
  return env;
}

const three = () => stateWith({ [RUN]: FIRST, [LATER]: SECOND, [BROKEN]: null });

function output(env: { XDG_STATE_HOME: string }, json = false, columns: number | null = null) {
  const written: string[] = [];
  const write = (text: string) => {
    written.push(text);
  };
  const options = { env, write, json, terminal: { columns, colour: false } };
  return { options, text: () => written.join(''), lines: () => written.join('').trimEnd().split('\n') };
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'none',
    (error: unknown) => Reflect.get(Object(error), 'code'),
  );
}

test('ls: each run with what became of its requests, also one whose log is missing', async () => {
  for (const [columns, golden] of [
    [null, 'runs.txt'],
    [80, 'runs-80.txt'],
  ] as const) {
    const { options, text } = output(three(), false, columns);
    expect(await auditList({ ...options, alive: ({ id }) => id === LATER })).toBe(0);
    expectGolden(golden, text());
  }
});

test('ls --json: a line a run; the totals of the seal where it holds them, else of the whole log', async () => {
  const totals: RunTotals = {
    ...{ denied: 9, wouldBeDenied: 0, failed: 0, allowed: 1, muted: 0, bytesOut: 1, bytesIn: 2 },
    topDenied: [{ host: 'a.example', port: 443, count: 9 }],
  };
  const env = stateWith({ [RUN]: [...FIRST.slice(0, -1), runEnd({ totals })], [LATER]: SECOND });
  const { options, lines } = output(env, true);
  await auditList(options);
  const [first, second] = lines().map((line) => JSON.parse(line));
  expect(first).toMatchObject({ run: RUN, guest: 'web', exitCode: 0, durationMs: 12_345, totals });
  expect(second).toMatchObject({
    ...{ run: LATER, guest: LATER, exitCode: null, running: false, events: 5, durationMs: 4_000 },
    totals: { denied: 1, failed: 1, allowed: 1, bytesIn: 100 },
  });
});

test('ls: filters, limits, and what there is none of', async () => {
  const listed = async (more: Partial<Parameters<typeof auditList>[0]>) => {
    const { options, lines } = output(three(), true);
    await auditList({ ...options, ...more });
    return lines().flatMap((line) => (line === '' ? [] : [JSON.parse(line).run]));
  };
  expect(await listed({ denied: true })).toEqual([RUN, LATER]);
  expect(await listed({ guest: 'web' })).toEqual([RUN]);
  expect(await listed({ guest: LATER })).toEqual([LATER]);
  expect(await listed({ limit: 2 })).toEqual([LATER, BROKEN]);
  expect(await listed({ denied: true, limit: 1 })).toEqual([LATER]);
  expect(await listed({ sinceMs: START_MS + 9_000 })).toEqual([RUN]);
  const cut = output(three());
  await auditList({ ...cut.options, limit: 1 });
  expect(cut.text()).toMatch(/\n2 older runs are not shown \(--limit\)\n$/);
  const none = output(stateWith({}));
  await auditList(none.options);
  expect(none.text()).toBe('No runs yet.\n');
  const unfit = output(three());
  await auditList({ ...unfit.options, guest: 'nobody' });
  expect(unfit.text()).toBe('No runs that fit.\n');
});

const shown = async (criteria: Partial<Criteria>, more: object = {}, run: string | undefined = RUN) => {
  const { options, text } = output(three());
  const code = await auditShow({
    ...options,
    ...{ run, all: false, criteria: { ...EVERYTHING, ...criteria } },
    ...more,
  });
  return { code, text: text().replace(/^[\s\S]*?\n\n/, '') };
};

test('show: what came in stands below, and processes where they are asked for', async () => {
  const { options, text } = output(three());
  await auditShow({ ...options, run: RUN, all: false });
  expectGolden('show.txt', text());
  const by = output(three());
  await auditShow({ ...by.options, run: RUN, all: false, byProcess: true });
  expectGolden('show-by-process.txt', by.text());
  expect((await shown({}, { byProcess: true }, LATER)).text).toContain('does not say which processes asked');
});

test('show: a filtered run, without findings that were not asked for', async () => {
  const denied = await shown({ denied: true });
  expect(denied.text).toContain('evil.example');
  expect(denied.text).not.toContain('api.example.com');
  expect(denied.text).not.toContain('policy-file-touched');
  expect((await shown({ bytesOver: 1_000_000 })).text).toMatch(/^VERDICT.*\nallowed {2}api\.example\.com/);
  expect((await shown({ bytesOver: 80_000 })).text).toContain('127.0.0.1:8080');
  expect((await shown({ rules: ['none'] })).text).toBe('No requests that fit to show.\n');
});

test('show: kinds that have no row, and --events, are shown event by event', async () => {
  const { options, text } = output(three());
  const kinds = { ...EVERYTHING, kinds: ['notice' as const] };
  expect(await auditShow({ ...options, run: RUN, all: false, criteria: kinds })).toBe(0);
  expect(text()).toBe('20:15:08.000  notice           policy-file-touched: sand.policy.yaml\n');
  const json = output(three(), true);
  const criteria = { ...EVERYTHING, denied: true };
  await auditShow({ ...json.options, run: RUN, all: false, events: true, criteria });
  expect(json.lines().map((line) => JSON.parse(line).seq)).toEqual([2, 3, 6]);
  const none = output(three());
  await auditShow({ ...none.options, run: RUN, all: false, criteria: { ...EVERYTHING, kinds: ['exec'] } });
  expect(none.text()).toBe('No events that fit.\n');
});

test('--guest: the last run of that guest, removed or not; never beside a run', async () => {
  const env = stateWith({ '20261120-000000-aaaa': FIRST, [RUN]: FIRST, [LATER]: SECOND });
  const { options, text } = output(env, true);
  await auditShow({ ...options, guest: 'web', all: false });
  expect(JSON.parse(text()).run).toBe(RUN);
  expect(await codeOf(auditShow({ ...options, guest: 'none', all: false }))).toBe('run-missing');
  expect(await codeOf(auditShow({ ...options, guest: 'web', run: RUN, all: false }))).toBe('usage');
});

test('tail takes the same filters, followed or not', async () => {
  for (const follow of [false, true]) {
    const { options, lines } = output(three(), true);
    const criteria = { ...EVERYTHING, denied: true };
    expect(await auditTail({ ...options, run: RUN, follow, criteria })).toBe(0);
    expect(lines().map((line) => JSON.parse(line).seq)).toEqual([2, 3, 6]);
  }
});

test('top: a table, its limit, its order, and the same numbers as JSON', async () => {
  const { options, text } = output(three());
  expect(await auditTop({ ...options, runs: [RUN, LATER, RUN], by: 'denied', all: false })).toBe(0);
  expectGolden('top.txt', text());
  const json = output(three(), true);
  await auditTop({ ...json.options, runs: [RUN, LATER], by: parseTopOrder('bytes'), all: true, limit: 1 });
  expect(JSON.parse(json.text())).toMatchObject({
    ...{ runs: [RUN, LATER], by: 'bytes', hosts: 5, mutedCount: 0, faults: 0 },
    rows: [{ host: 'api.example.com', requests: 2, bytesIn: 2_000_100, bytesOut: 3_000 }],
  });
  expect(await codeOf(auditTop({ ...options, runs: [RUN, BROKEN], by: 'bytes', all: false }))).toBe(
    'audit-broken',
  );
  expect(() => parseTopOrder('size')).toThrow('there is no such order');
});

test('diff: 1 and a line a difference; 0 where there is none', async () => {
  const { options, text } = output(three());
  expect(await auditDiff({ ...options, before: RUN, after: LATER, all: false })).toBe(1);
  expectGolden('diff.txt', text());
  const same = output(three(), true);
  expect(await auditDiff({ ...same.options, before: RUN, after: RUN, all: true })).toBe(0);
  expect(JSON.parse(same.text())).toEqual({
    ...{ before: RUN, after: RUN, different: false, appeared: [], vanished: [], changed: [] },
  });
  expect(await codeOf(auditDiff({ ...options, before: RUN, after: '2026', all: false }))).toBe('run-missing');
});

const exporting = async (format: ExportFormat, more: object = {}, env = three()) => {
  const { options, text } = output(env);
  const told: string[] = [];
  const code = await auditExport({
    ...options,
    ...{ run: RUN, format, told: (line: string) => void told.push(line) },
    ...more,
  });
  return { code, text: text(), told };
};

test('export: json is an array of the events, jsonl the log itself, and each takes filters', async () => {
  const { text } = await exporting('json');
  expect(JSON.parse(text)).toEqual(eventsOf(FIRST));
  const log = linesOf(FIRST).map((line) => `${line}\n`);
  expect((await exporting('jsonl')).text).toBe(log.join(''));
  expect(
    (await exporting('jsonl', { criteria: { ...EVERYTHING, denied: true } })).text.split('\n'),
  ).toHaveLength(4);
  const none = { criteria: { ...EVERYTHING, rules: ['none'] } };
  expect(JSON.parse((await exporting('json', none)).text)).toEqual([]);
  for (const format of ['csv', 'ocsf', 'otlp'] as const) expect((await exporting(format)).text).not.toBe('');
  expect(() => parseExportFormat('xml')).toThrow('there is no such format');
});

test('export: lines that are no events are told, and the others exported', async () => {
  const env = three();
  const path = join(auditRoot(env), RUN, 'audit.jsonl');
  writeFileSync(path, readFileSync(path, 'utf8').replace('\n', '\nx\n'));
  const { code, text, told } = await exporting('json', {}, env);
  expect([code, JSON.parse(text).length, told]).toEqual([
    1,
    FIRST.length,
    ['line 2 is unreadable and not exported'],
  ]);
});

test('export: a file is whole or not there, and what stood there before stays', async () => {
  const env = three();
  const folder = temporaryDirectory();
  const file = join(folder, 'out.json');
  expect(await exporting('json', { output: file }, env)).toMatchObject({ code: 0, text: '' });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toHaveLength(FIRST.length);
  expect(readdirSync(folder)).toEqual(['out.json']);
  const abort = AbortSignal.abort();
  await expect(exporting('csv', { output: file, signal: abort }, env)).rejects.toThrow();
  expect(await codeOf(exporting('csv', { output: file, run: BROKEN }, env))).toBe('audit-broken');
  expect(readdirSync(folder)).toEqual(['out.json']);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toHaveLength(FIRST.length);
  expect(await codeOf(exporting('csv', { output: join(folder, 'no/x') }, env))).toBe('output-failed');
  mkdirSync(join(folder, 'full'));
  writeFileSync(join(folder, 'full', 'x'), '');
  expect(await codeOf(exporting('csv', { output: join(folder, 'full') }, env))).toBe('output-failed');
  expect(readdirSync(folder).sort()).toEqual(['full', 'out.json']);
});

test('export: a link in the place of the file is replaced, and what it leads to is untouched', async () => {
  const folder = temporaryDirectory();
  writeFileSync(join(folder, 'precious'), 'x');
  symlinkSync(join(folder, 'precious'), join(folder, 'out.csv'));
  await exporting('csv', { output: join(folder, 'out.csv') });
  expect(readFileSync(join(folder, 'precious'), 'utf8')).toBe('x');
  expect(readFileSync(join(folder, 'out.csv'), 'utf8')).toMatch(/^seq,time/);
});

test('export waits for a slow reader', async () => {
  const many = [runStart(), ...Array.from({ length: 2_000 }, () => connection())];
  let pending = 0;
  let most = 0;
  const env = stateWith({ [RUN]: many });
  const write = (text: string) => {
    pending += text.length;
    most = Math.max(most, pending);
  };
  const drain = async () => {
    pending = 0;
  };
  const options = { env, write, json: false, drain, told: () => {} };
  await auditExport({ ...options, run: RUN, format: 'jsonl' });
  expect(most).toBeLessThan(256 * 1024);
});

test('prune says what went and how much, and a dry run only says it', async () => {
  const env = stateWith({ [RUN]: FIRST, [LATER]: [...SECOND, runEnd()] });
  const prune = async (more: object) => {
    const { options, text } = output(env);
    const code = await auditPrune({ ...options, dryRun: false, nowMs: NOW, ...more });
    return [code, text()] as const;
  };
  const [code, text] = await prune({ olderThan: '1d', dryRun: true });
  expect(code).toBe(0);
  expect(text.replace(/[\d.]+ (KiB|B)/g, 'N')).toBe(
    `${LATER}  ended 2026-11-21 20:15  N\n${RUN}  ended 2026-11-21 20:15  N\n2 runs would be removed, N; N left\n`,
  );
  expect(readdirSync(auditRoot(env))).toHaveLength(2);
  expect((await prune({ olderThan: '365d' }))[1]).toMatch(/^0 runs removed, 0 B; /);
  expect((await prune({ maxSize: '4KiB' }))[1]).toMatch(/\n1 run removed/);
  expect(readdirSync(auditRoot(env))).toEqual([RUN]);
  const json = output(env, true);
  await auditPrune({ ...json.options, olderThan: '1d', dryRun: false, nowMs: NOW });
  expect(JSON.parse(json.text())).toMatchObject({
    ...{ dryRun: false, over: false, leftBytes: 0, failed: [] },
    removed: [{ run: RUN, ended: '2026-11-21T20:15:09.000Z' }],
  });
  expect(existsSync(auditRoot(env))).toBe(true);
});

test('prune wants to be told which, and says when the cap cannot be met', async () => {
  const { options } = output(three());
  expect(await codeOf(auditPrune({ ...options, dryRun: false, nowMs: NOW }))).toBe('usage');
  const env = stateWith({ [RUN]: FIRST });
  mkdirSync(join(env.XDG_STATE_HOME, 'sand', 'guests'));
  writeFileSync(join(env.XDG_STATE_HOME, 'sand', 'guests', 'web'), `${RUN}\n`);
  const over = output(env);
  expect(await auditPrune({ ...over.options, maxSize: '0', dryRun: false, nowMs: NOW })).toBe(1);
  expect(over.text()).toContain(
    'that is more than 0: what is left runs, or is a guest that is not removed\n',
  );
  expect(readdirSync(auditRoot(env))).toEqual([RUN]);
});
