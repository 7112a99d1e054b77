import { describe, expect, it } from 'vitest';
import { findVolume } from '../../../controller/volumes/keeping.ts';
import { parseVolumeFlag, planVolumes, volumeName } from '../../../controller/volumes/volume-flag.ts';

const context = {
  project: '/repo',
  cwd: '/repo/web',
  home: '/home/a',
  mounts: [
    { source: '/repo', target: '/code', writable: true },
    { source: '/repo/web/assets', target: '/assets', writable: false },
  ],
};
const plan = (...texts: readonly string[]) => planVolumes(texts.map(parseVolumeFlag), context);
const targets = (...texts: readonly string[]) => plan(...texts).map(({ target }) => target);

describe('parseVolumeFlag', () => {
  it.each([
    'node_modules',
    './a:/b',
    ':/a',
    'a:',
    'a:/b:ro',
    '-a:/b',
    'a b:/c',
    'a:~/x',
    `${'a'.repeat(33)}:/a`,
    'a:/b\n',
  ])('refuses %j with what to write', (text) => {
    expect(() => parseVolumeFlag(text)).toThrow(
      expect.objectContaining({
        code: 'usage',
        hint: expect.stringContaining('--volume node_modules:./node_modules'),
      }),
    );
  });
});

describe('planVolumes', () => {
  it('finds a relative place where the mounts show it', () => {
    expect(targets('a:node_modules')).toEqual(['/code/web/node_modules']);
    expect(targets('a:./x/../y')).toEqual(['/code/web/y']);
    expect(targets('a:assets/x')).toEqual(['/assets/x']);
    expect(planVolumes([{ name: 'a', target: './b', folder: '/repo' }], context)[0]?.target).toBe('/code/b');
  });

  it('takes an absolute place as the guest sees it, and those inside others last', () => {
    expect(targets('a:/srv/data/deep', 'b:/srv/data')).toEqual(['/srv/data', '/srv/data/deep']);
  });

  it('names them by their project, so that projects do not share', () => {
    expect(plan('a:/srv')[0]).toMatchObject({ name: volumeName('/repo', 'a'), label: 'a', project: '/repo' });
    expect(volumeName('/repo', 'a')).toMatch(/^sand-[0-9a-f]{16}-a$/);
    expect(volumeName('/other', 'a')).not.toBe(volumeName('/repo', 'a'));
  });

  it.each([
    [['a:../../x'], 'which no mount shows'],
    [['a:..'], 'two things are to stand at /code'],
    [['a:/'], "sand's own"],
    [['a:/.sand/bin'], "sand's own"],
    [['a:/proc/self'], "sand's own"],
    [['a:/home/a'], "sand's own"],
    [['a:/x', 'b:/x'], 'two things'],
    [['a:/x', 'a:/y'], 'named twice'],
  ])('refuses %j', (texts, message) => {
    expect(() => plan(...texts)).toThrow(
      expect.objectContaining({ code: 'workspace-refused', message: expect.stringContaining(message) }),
    );
  });
});

describe('findVolume', () => {
  const volumes = ['/repo', '/other'].map((project) => ({
    ...{ name: volumeName(project, 'a'), label: 'a', project, date: '' },
  }));

  it('knows the names of this project, and the whole names of all', () => {
    expect(findVolume(volumes, 'a', '/repo').project).toBe('/repo');
    expect(findVolume(volumes, volumeName('/other', 'a'), '/repo').project).toBe('/other');
    expect(() => findVolume(volumes, 'b', '/repo')).toThrow(
      expect.objectContaining({ code: 'volume-missing' }),
    );
  });
});
