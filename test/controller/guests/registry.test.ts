import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { findGuest, listGuests, registerGuest, releaseGuest } from '../../../controller/guests/registry.ts';
import { name, placeIn, runsFolder } from './places.ts';

const REGISTRY = fileURLToPath(new URL('../../../controller/guests/registry.ts', import.meta.url));
const RUNS = fileURLToPath(new URL('../../../audit/runs.ts', import.meta.url));
const folderOf = (runs: string) => join(dirname(runs), 'guests');

describe('names of guests', () => {
  it('are taken once, found, and free again', () => {
    const runs = runsFolder();
    const [one, other] = [placeIn(runs), placeIn(runs, 1_000)];
    expect(registerGuest(runs, name('web'), one)).toBe(true);
    expect(registerGuest(runs, name('web'), other)).toBe(false);
    expect(findGuest(runs, 'web')?.run.id).toBe(one.id);
    releaseGuest(runs, { name: name('web'), run: one });
    releaseGuest(runs, { name: name('web'), run: one });
    expect(findGuest(runs, 'web')).toBeNull();
    expect(registerGuest(runs, name('web'), other)).toBe(true);
  });

  it('lie where nobody else reads or writes', () => {
    const runs = runsFolder();
    registerGuest(runs, name('web'), placeIn(runs));
    expect(statSync(folderOf(runs)).mode & 0o777).toBe(0o700);
    expect(statSync(join(folderOf(runs), 'web')).mode & 0o777).toBe(0o600);
  });

  it('are not freed by a run that does not have them', () => {
    const runs = runsFolder();
    const [one, other] = [placeIn(runs), placeIn(runs, 1_000)];
    registerGuest(runs, name('web'), other);
    releaseGuest(runs, { name: name('web'), run: one });
    expect(findGuest(runs, 'web')?.run.id).toBe(other.id);
  });

  it('are given to one alone, however many processes ask at once', async () => {
    const runs = runsFolder();
    const ids = Array.from({ length: 4 }, (_, at) => placeIn(runs, at * 1_000).id);
    const script = `
      const { registerGuest } = await import(${JSON.stringify(REGISTRY)});
      const { runPlace } = await import(${JSON.stringify(RUNS)});
      const [runs, id] = process.argv.slice(1);
      console.log(registerGuest(runs, 'web', runPlace(runs, id)));`;
    const said = await Promise.all(
      ids.map((id) => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, runs, id])),
    );
    expect(said.map(({ stdout }) => stdout.trim()).sort()).toEqual(['false', 'false', 'false', 'true']);
    const holder = ids[said.findIndex(({ stdout }) => stdout.trim() === 'true')];
    expect(findGuest(runs, 'web')?.run.id).toBe(holder);
  });

  it.each(['', '\n', '../../etc', 'web', '{"run":1}', 'x'.repeat(100_000)])(
    'whose file holds %j are of no guest, and are listed as none',
    (content) => {
      const runs = runsFolder();
      mkdirSync(folderOf(runs), { recursive: true });
      writeFileSync(join(folderOf(runs), 'web'), content);
      expect(findGuest(runs, 'web')).toBeNull();
      expect(listGuests(runs)).toEqual([]);
    },
  );

  it.each(['../runs', '..', '.', '-f', '/etc/passwd', 'a/b', ''])(
    'such as %j reach no other file',
    (hostile) => {
      const runs = runsFolder();
      const run = placeIn(runs);
      registerGuest(runs, name('web'), run);
      expect(findGuest(runs, hostile)).toBeNull();
      releaseGuest(runs, { name: name(hostile), run });
      expect(readdirSync(folderOf(runs))).toEqual(['web']);
    },
  );

  it('are not taken through a link that lies in their place', () => {
    const runs = runsFolder();
    mkdirSync(folderOf(runs), { recursive: true });
    const elsewhere = join(dirname(runs), 'elsewhere');
    symlinkSync(elsewhere, join(folderOf(runs), 'web'));
    expect(registerGuest(runs, name('web'), placeIn(runs))).toBe(false);
    expect(statSync(elsewhere, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('are listed by the age of their runs; files of other names are passed over', () => {
    const runs = runsFolder();
    const [old, young] = [placeIn(runs, 3_000), placeIn(runs, 0)];
    registerGuest(runs, name('a-young'), young);
    registerGuest(runs, name('z-old'), old);
    writeFileSync(join(folderOf(runs), '.swp'), old.id);
    writeFileSync(join(folderOf(runs), 'UPPER'), old.id);
    mkdirSync(join(folderOf(runs), 'folder'));
    expect(listGuests(runs).map((guest) => guest.name)).toEqual(['z-old', 'a-young']);
    expect(listGuests(join(runs, 'nowhere/runs'))).toEqual([]);
  });
});
