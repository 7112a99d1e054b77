import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditRoot, runPlace } from '../../../audit/runs.ts';
import { parseGuestName } from '../../../controller/guests/name.ts';
import { registerGuest } from '../../../controller/guests/registry.ts';
import {
  planRemoval,
  removeLeftovers,
  removeRun,
  surveyRuns,
} from '../../../controller/guests/run-removal.ts';
import { linesOf, runEnd, runStart, temporaryDirectory } from '../../audit/samples.ts';

const OLD = '20261121-201500-k3f9';
const NOW = Date.UTC(2026, 11, 31);
const SEALED = linesOf([runStart(), runEnd()]);

function runsFolder(): string {
  const root = auditRoot({ XDG_STATE_HOME: temporaryDirectory() });
  mkdirSync(root, { recursive: true });
  return root;
}

function writeRun(root: string, id: string, lines: readonly string[] = SEALED): string {
  const { directory, auditPath } = runPlace(root, id);
  mkdirSync(directory, { recursive: true });
  writeFileSync(auditPath, lines.map((line) => `${line}\n`).join(''));
  return directory;
}

/** The state of a run whose supervisor is this very process, or nobody. */
function writeState(directory: string, more: object): void {
  const state = {
    ...{ run: OLD, name: OLD, status: 'running', pid: process.pid, pidStart: '0', dnsPort: 1 },
    ...{ startedAt: '2026-11-21T20:15:00.000Z', backend: 'b', detached: false, command: [] },
    ...more,
  };
  writeFileSync(join(directory, 'run.json'), JSON.stringify(state));
}

/** As `run-state.ts` tells this process from a later one of its number. */
function ownStart(): string {
  const text = readFileSync('/proc/self/stat', 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

const surveyed = async (root: string) => {
  const { ended, kept } = await surveyRuns(root, NOW);
  return { ended: ended.map(({ run }) => run.id), kept: kept.map(({ run, why }) => [run.id, why]) };
};

test('a sealed run has ended; so has one whose supervisor is gone', async () => {
  const root = runsFolder();
  writeRun(root, OLD);
  writeState(writeRun(root, '20261121-201500-k3f8', SEALED.slice(0, 1)), { pidStart: '1' });
  expect(await surveyed(root)).toEqual({ ended: ['20261121-201500-k3f8', OLD], kept: [] });
});

test.skipIf(process.platform !== 'linux')('a live run stays, sealed or not', async () => {
  const root = runsFolder();
  writeState(writeRun(root, OLD), { pidStart: ownStart() });
  expect(await surveyed(root)).toEqual({ ended: [], kept: [[OLD, 'runs']] });
});

test('a guest that is not removed stays, though it has ended', async () => {
  const root = runsFolder();
  writeRun(root, OLD);
  const name = parseGuestName('web');
  if (!name.ok) throw new Error(name.problem);
  registerGuest(root, name.value, runPlace(root, OLD));
  expect(await surveyed(root)).toEqual({ ended: [], kept: [[OLD, 'is a guest that is not removed']] });
});

test('a run that comes up stays; one that never did goes in time', async () => {
  const root = runsFolder();
  const directory = writeRun(root, OLD, []);
  for (const path of [join(directory, 'audit.jsonl'), directory]) utimesSync(path, NOW / 1000, NOW / 1000);
  expect(await surveyed(root)).toEqual({ ended: [], kept: [[OLD, 'runs']] });
  const { ended } = await surveyRuns(root, NOW + 3_600_000);
  expect(ended).toHaveLength(1);
});

test('a state that does not read keeps a run without its seal', async () => {
  const root = runsFolder();
  writeFileSync(join(writeRun(root, OLD, SEALED.slice(0, 1)), 'run.json'), 'x');
  writeFileSync(join(writeRun(root, '20261121-201500-k3fa'), 'run.json'), 'x');
  expect(await surveyed(root)).toEqual({
    ended: ['20261121-201500-k3fa'],
    kept: [[OLD, 'cannot be told to have ended']],
  });
});

test('links and foreign names beside the runs are neither surveyed nor removed', async () => {
  const root = runsFolder();
  const outside = join(temporaryDirectory(), 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), 'x');
  symlinkSync(outside, join(root, '20261121-201500-link'));
  symlinkSync(outside, join(root, '20261121-201500-k3f9.removed'));
  mkdirSync(join(root, 'notes.removed'));
  writeFileSync(join(root, 'notes'), 'x');
  writeFileSync(join(root, '20261121-201500-file'), 'x');
  mkdirSync(join(root, 'not-a-run'));
  const before = readdirSync(root);
  expect(await surveyed(root)).toEqual({ ended: [], kept: [] });
  await removeLeftovers(root);
  expect(readdirSync(root)).toEqual(before);
  expect(existsSync(join(outside, 'precious'))).toBe(true);
});

test('a link that took the place of a run since it was surveyed is not removed, nor what it leads to', async () => {
  const root = runsFolder();
  const outside = temporaryDirectory();
  writeFileSync(join(outside, 'precious'), 'x');
  symlinkSync(outside, join(root, OLD));
  expect(await removeRun(runPlace(root, OLD))).toBe('is no folder any more');
  expect(existsSync(join(root, OLD))).toBe(true);
  expect(existsSync(join(outside, 'precious'))).toBe(true);
});

test('links inside a run go, what they lead to stays and does not count', async () => {
  const root = runsFolder();
  const outside = temporaryDirectory();
  writeFileSync(join(outside, 'precious'), 'x'.repeat(100_000));
  const directory = writeRun(root, OLD);
  symlinkSync(outside, join(directory, 'link'));
  symlinkSync(join(outside, 'precious'), join(directory, 'audit.2.jsonl'));
  const { ended } = await surveyRuns(root, NOW);
  expect(ended[0]?.bytes).toBeLessThan(10_000);
  expect(await removeRun(runPlace(root, OLD))).toBeNull();
  expect(readdirSync(root)).toEqual([]);
  expect(existsSync(join(outside, 'precious'))).toBe(true);
});

test('what a removal that was cut short has left goes with the next', async () => {
  const root = runsFolder();
  mkdirSync(join(root, `${OLD}.removed`, 'guest'), { recursive: true });
  await removeLeftovers(root);
  expect(readdirSync(root)).toEqual([]);
});

const at = (id: string, endedMs: number, bytes: number) => ({ run: runPlace('/r', id), endedMs, bytes });
const A = at('20261121-201500-000a', 1_000, 10);
const B = at('20261121-201500-000b', 2_000, 20);
const C = at('20261121-201500-000c', 3_000, 30);
const KEPT = { run: runPlace('/r', '20261121-201500-000d'), bytes: 40, why: 'runs' } as const;

test('by age; until under the cap, oldest first; by both', () => {
  const runs = { ended: [A, B, C], kept: [KEPT] };
  const plan = (beforeMs: number | null, mostBytes: number | null) =>
    planRemoval(runs, { beforeMs, mostBytes });
  expect(plan(null, null)).toEqual([]);
  expect(plan(2_000, null)).toEqual([A]);
  expect(plan(null, 100)).toEqual([]);
  expect(plan(null, 99)).toEqual([A]);
  expect(plan(null, 70)).toEqual([A, B]);
  expect(plan(2_500, 90)).toEqual([A, B]);
  expect(plan(null, 0)).toEqual([A, B, C]);
});
