import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunPlace } from '../../../audit/runs.ts';
import { removeBroken, removeGuest, viewGuest, viewGuests } from '../../../controller/guests/guests.ts';
import { createJournal, guestFolder } from '../../../controller/guests/journal.ts';
import { findGuest, registerGuest } from '../../../controller/guests/registry.ts';
import { name, placeIn, runsFolder, writeKilledState, writeState } from './places.ts';

const END = { exitCode: 0, cause: 'exit', at: '2026-11-21T20:16:00.000Z' } as const;
const PARTIAL = JSON.stringify({
  run: 'r',
  name: 'n',
  status: 'running',
  pid: 1,
  pidStart: '1',
  dnsPort: 0,
});
const LEFT = ['control.sock', 'output.jsonl', 'output.1.jsonl', 'run.json.new'];

/** A guest with all that one can own, and its log. */
function guestOf(runs: string, label: string, write: (run: RunPlace) => void, agoMs?: number): RunPlace {
  const run = placeIn(runs, agoMs);
  registerGuest(runs, name(label), run);
  const journal = createJournal(run);
  journal.note({ kind: 'folder', path: guestFolder(run) });
  journal.close();
  mkdirSync(join(guestFolder(run), 'deep'), { recursive: true });
  for (const file of [...LEFT, 'audit.jsonl', 'policy.yaml']) writeFileSync(join(run.directory, file), '');
  write(run);
  return run;
}

const standings = (runs: string) =>
  Object.fromEntries(viewGuests(runs).map(({ record, standing }) => [record.name, standing]));

describe('guests as they stand', () => {
  it('are told by their state and by whether its process lives', async () => {
    const runs = runsFolder();
    guestOf(runs, 'live', (run) => writeState(run));
    guestOf(runs, 'begun', (run) => writeState(run, { status: 'starting' }));
    guestOf(runs, 'over', (run) => writeState(run, { end: END }));
    guestOf(runs, 'killed', (run) => writeKilledState(run));
    expect(standings(runs)).toEqual({ live: 'running', begun: 'starting', over: 'ended', killed: 'broken' });
  });

  it.each(['', '{', 'null', '[]', '{}', '"running"', '{"run":1}', PARTIAL, '\0\0\0'])(
    'whose state is %j are broken, and no error',
    (text) => {
      const runs = runsFolder();
      guestOf(runs, 'web', (run) => writeFileSync(run.statePath, text), 0);
      expect(standings(runs)).toEqual({ web: 'broken' });
    },
  );

  it('whose state is cut at any byte are broken, and no error', async () => {
    const runs = runsFolder();
    const run = guestOf(runs, 'web', (place) => writeState(place));
    const whole = readFileSync(run.statePath);
    for (let length = 0; length < whole.length - 2; length += 7) {
      writeFileSync(run.statePath, whole.subarray(0, length));
      expect(standings(runs)).toEqual({ web: 'broken' });
    }
  });

  it('without any state begin, for a minute; then they are broken', async () => {
    const runs = runsFolder();
    guestOf(runs, 'young', () => {}, 1_000);
    guestOf(runs, 'old', () => {}, 120_000);
    expect(standings(runs)).toEqual({ young: 'starting', old: 'broken' });
    expect(await removeBroken(runs)).toEqual([]);
    expect(standings(runs)).toEqual({ young: 'starting' });
  });

  it('whose folder is gone are broken, and can be removed', async () => {
    const runs = runsFolder();
    const run = placeIn(join(runs, 'elsewhere'));
    registerGuest(runs, name('web'), { ...run, directory: join(runs, run.id) });
    expect(standings(runs)).toEqual({ web: 'broken' });
    expect(await removeBroken(runs)).toEqual([]);
    expect(viewGuests(runs)).toEqual([]);
  });
});

describe('removing', () => {
  it('a guest takes all that it owned and its name; its log, its policy and its state stay', async () => {
    const runs = runsFolder();
    const run = guestOf(runs, 'web', (place) => writeState(place, { end: END }));
    const record = findGuest(runs, 'web');
    if (record === null) throw new Error('no guest');
    expect(await removeGuest(runs, viewGuest(record))).toEqual([]);
    expect(readdirSync(run.directory).sort()).toEqual([
      'audit.jsonl',
      'journal.jsonl',
      'policy.yaml',
      'run.json',
    ]);
    expect(findGuest(runs, 'web')).toBeNull();
  });

  it('the broken ones touches no other', async () => {
    const runs = runsFolder();
    const live = guestOf(runs, 'live', (run) => writeState(run));
    const over = guestOf(runs, 'over', (run) => writeState(run, { end: END }));
    const killed = guestOf(runs, 'killed', (run) => writeKilledState(run));
    expect(await removeBroken(runs)).toEqual([]);
    expect(standings(runs)).toEqual({ live: 'running', over: 'ended' });
    for (const run of [live, over])
      for (const file of ['control.sock', 'output.jsonl', 'guest/deep'])
        expect(existsSync(join(run.directory, file))).toBe(true);
    for (const file of [...LEFT, 'guest']) expect(existsSync(join(killed.directory, file))).toBe(false);
  });

  it('what cannot be removed is told, and the others go', async () => {
    const runs = runsFolder();
    const stuck = guestOf(runs, 'a-stuck', (run) => writeKilledState(run), 9_000);
    guestOf(runs, 'killed', (run) => writeKilledState(run), 5_000);
    // A folder in the place of a file.
    const socket = join(stuck.directory, 'control.sock');
    rmSync(socket);
    mkdirSync(join(socket, 'x'), { recursive: true });
    expect(await removeBroken(runs)).toHaveLength(1);
    expect(standings(runs)).toEqual({ 'a-stuck': 'broken' });
  });
});
