import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FOLDER_VOLUMES, openVolumes } from '../../../controller/volumes/volume-folders.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sand-volumes-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const where = () => ({ home, environ: {} });
const volume = (label: string) => ({
  name: `sand-0123-${label}`,
  target: `/srv/${label}`,
  label,
  project: '/repo',
});
const sourceOf = (label: string) => openVolumes([volume(label)], where())[0]?.source ?? '';

describe('volumes as folders', () => {
  it('are made once, kept, listed and removed', async () => {
    const source = sourceOf('b');
    writeFileSync(join(source, 'file'), 'kept');
    expect(sourceOf('b')).toBe(source);
    expect(readdirSync(source)).toEqual(['file']);
    sourceOf('a');
    const listed = await FOLDER_VOLUMES.list(where());
    expect(listed.map(({ label, project, name }) => [label, project, name])).toEqual([
      ['a', '/repo', 'sand-0123-a'],
      ['b', '/repo', 'sand-0123-b'],
    ]);
    await FOLDER_VOLUMES.remove('sand-0123-b', where());
    expect((await FOLDER_VOLUMES.list(where())).map(({ label }) => label)).toEqual(['a']);
    expect(readdirSync(join(home, '.cache/sand/volumes'))).toEqual(['sand-0123-a']);
  });

  it('are closed to other users of this host', () => {
    expect(statSync(join(sourceOf('a'), '..')).mode & 0o777).toBe(0o700);
  });

  it('are none where there is nothing of that kind', async () => {
    expect(await FOLDER_VOLUMES.list(where())).toEqual([]);
    sourceOf('a');
    writeFileSync(join(home, '.cache/sand/volumes/sand-0123-a/volume.json'), '{');
    expect(await FOLDER_VOLUMES.list(where())).toEqual([]);
  });
});
