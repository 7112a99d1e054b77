/** Folders of runs for the tests of guests, and states as a run writes them. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { newRunId, type RunPlace, runPlace } from '../../../audit/runs.ts';
import type { GuestName } from '../../../controller/guests/name.ts';
import { type RunState, writeRunState } from '../../../controller/run/run-state.ts';

/** The folder of the runs, in a folder of the test's own. */
export function runsFolder(): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'guests-')));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  return join(root, 'sand/runs');
}

/** Of a run that began so many milliseconds ago. */
export function placeIn(runs: string, agoMs = 3_600_000): RunPlace {
  let drawn = 0;
  const id = newRunId(
    () => Date.now() - agoMs,
    (below) => {
      drawn += 1;
      return (process.hrtime()[1] + drawn) % below;
    },
  );
  const run = runPlace(runs, id);
  mkdirSync(run.directory, { recursive: true, mode: 0o700 });
  return run;
}

export const name = (text: string) => text as GuestName;

type Told = Omit<RunState, 'run' | 'pid' | 'pidStart'>;

/** Of this very process, which lives. */
export function writeState(run: RunPlace, changes: Partial<Told> = {}): void {
  writeRunState(run, {
    name: run.id,
    status: 'running',
    startedAt: '2026-11-21T20:15:00.000Z',
    command: ['npm', 'run', 'dev'],
    detached: true,
    backend: 'linux',
    isolation: 'namespaces',
    confinement: 'enforced',
    dnsPort: 5300,
    policy: 'sha256:0',
    mounts: [],
    workdir: '/project',
    guest: {},
    ...changes,
  });
}

/** Of a process that is gone: its pid is this one's, and its start another. */
export function writeKilledState(run: RunPlace, changes: Partial<Told> = {}): void {
  writeState(run, changes);
  const state: unknown = JSON.parse(readFileSync(run.statePath, 'utf8'));
  writeFileSync(run.statePath, JSON.stringify(Object.assign({}, state, { pidStart: '1' })));
}
