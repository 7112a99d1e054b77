import { existsSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunPlace } from '../../../audit/runs.ts';
import {
  createJournal,
  guestFolder,
  readJournal,
  removeJournalled,
} from '../../../controller/guests/journal.ts';
import { placeIn, runsFolder } from './places.ts';

const fileOf = (run: RunPlace) => join(run.directory, 'journal.jsonl');

/** A folder with something in it, outside of what a journal may name. */
function precious(path: string): string {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'kept'), '');
  return path;
}

function note(run: RunPlace, ...paths: readonly string[]): void {
  const journal = createJournal(run);
  for (const path of paths) journal.note({ kind: 'folder', path });
  journal.close();
}

describe('a journal', () => {
  it('names what is to be removed, and removing it twice is fine', async () => {
    const run = placeIn(runsFolder());
    const folder = guestFolder(run);
    note(run, folder);
    precious(join(folder, 'deep/er'));
    expect(readJournal(run)).toEqual([{ kind: 'folder', path: folder }]);
    expect(await removeJournalled(run)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
    expect(await removeJournalled(run)).toEqual([]);
    expect(existsSync(run.directory)).toBe(true);
  });

  it('has a guest removed by its backend, unless that has written down that it is gone', async () => {
    const run = placeIn(runsFolder());
    const journal = createJournal(run);
    // No such backend: whoever asks for it fails, and that shows.
    for (const name of ['one', 'other']) journal.note({ kind: 'guest', backend: 'none', name });
    expect(await removeJournalled(run)).toHaveLength(2);
    journal.note({ kind: 'guest-gone', backend: 'none', name: 'one' });
    expect(await removeJournalled(run)).toHaveLength(1);
    journal.note({ kind: 'guest-gone', backend: 'none', name: 'other' });
    expect(await removeJournalled(run)).toEqual([]);
    journal.close();
  });

  it('that is not there, or was never written, removes nothing', async () => {
    const run = placeIn(runsFolder());
    expect(await removeJournalled(run)).toEqual([]);
    createJournal(run).close();
    expect(await removeJournalled(run)).toEqual([]);
  });

  it('cut at any byte gives the whole lines before, and nothing else', async () => {
    const run = placeIn(runsFolder());
    const paths = ['one', 'two', 'thrée'].map((part) => join(guestFolder(run), part));
    note(run, ...paths);
    const whole = readFileSync(fileOf(run));
    for (let length = whole.length; length >= 0; length--) {
      truncateSync(fileOf(run), length);
      const lines = whole.subarray(0, length).toString('utf8').split('\n').length - 1;
      expect(readJournal(run).map((entry) => entry.kind === 'folder' && entry.path)).toEqual(
        paths.slice(0, lines),
      );
    }
  });

  it('of any text is survived', async () => {
    const run = placeIn(runsFolder());
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.json())), (lines) => {
        writeFileSync(fileOf(run), lines.map((line) => `${line}\n`).join(''));
        readJournal(run);
      }),
    );
  });

  it('removes nothing but what lies in its own run, whatever it names', async () => {
    const runs = runsFolder();
    const [run, other] = [placeIn(runs), placeIn(runs, 1_000)];
    const outside = precious(join(dirname(runs), 'outside'));
    precious(guestFolder(other));
    precious(join(run.directory, 'a'));
    const hostile = [
      '/',
      outside,
      runs,
      run.directory,
      `${run.directory}/`,
      `${run.directory}/.`,
      `${run.directory}/..`,
      `${run.directory}/a/..`,
      `${run.directory}/a/../..`,
      `${run.directory}/a/../../../outside`,
      `${run.directory}//..`,
      `${run.directory}-other`,
      guestFolder(other),
      '../outside',
      'outside',
      '',
      '.',
    ];
    note(run, ...hostile);
    await removeJournalled(run);
    for (const path of [
      join(outside, 'kept'),
      join(guestFolder(other), 'kept'),
      join(run.directory, 'a/kept'),
    ])
      expect(existsSync(path), path).toBe(true);
  });

  it('follows no link: one that it names goes, and what it leads to stays', async () => {
    const runs = runsFolder();
    const run = placeIn(runs);
    const outside = precious(join(dirname(runs), 'outside'));
    precious(join(outside, 'inner'));
    symlinkSync(outside, guestFolder(run));
    note(run, join(guestFolder(run), 'inner'));
    await removeJournalled(run);
    expect(existsSync(join(outside, 'inner/kept'))).toBe(true);
    note(run, guestFolder(run));
    await removeJournalled(run);
    expect(existsSync(guestFolder(run))).toBe(false);
    expect(existsSync(join(outside, 'kept'))).toBe(true);
  });

  it('reaches its own folders also where the state folder is itself a link', async () => {
    const runs = runsFolder();
    const run = placeIn(runs);
    const linked = join(dirname(runs), 'linked');
    symlinkSync(runs, linked);
    const through = { ...run, directory: join(linked, run.id) };
    precious(guestFolder(run));
    note(through, guestFolder(through));
    expect(await removeJournalled(through)).toEqual([]);
    expect(existsSync(guestFolder(run))).toBe(false);
  });
});
