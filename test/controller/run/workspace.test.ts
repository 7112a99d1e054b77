import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostPlaces } from '../../../controller/run/host-places.ts';
import { parseMountFlag } from '../../../controller/run/options.ts';
import { planWorkspace, readOnly } from '../../../controller/run/workspace.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'workspace-')));
  for (const folder of [
    'home/project/sub',
    'home/.ssh',
    'home/.config/sand',
    'home/.local/state/sand',
    'data',
  ]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, 'data/file'), '');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function plan(
  mounts: readonly string[],
  cwd = 'home/project',
  workdir: string | null = null,
  platform: NodeJS.Platform = 'linux',
) {
  const request = {
    mounts: mounts.map(parseMountFlag),
    workdir,
    cwd: join(root, cwd),
    home: join(root, 'home'),
    own: [join(root, 'home/.local/state/sand'), join(root, 'home/.config/sand')],
  };
  return planWorkspace(request, platform);
}

describe('planWorkspace', () => {
  it('mounts the working directory, writable, where it is', () => {
    const project = join(root, 'home/project');
    expect(plan([])).toEqual({
      mounts: [{ source: project, target: project, writable: true }],
      workdir: project,
    });
  });

  it('starts where the caller stands, as the guest sees it', () => {
    expect(plan([`${root}/home/project:/project`], 'home/project/sub').workdir).toBe('/project/sub');
    expect(plan([`${root}/data:/data`]).workdir).toBe('/data');
    expect(plan([`${root}/data/file:/one`]).workdir).toBe('/tmp');
    expect(plan([], 'home/project', '/else/../where').workdir).toBe('/where');
  });

  it('orders mounts so that none covers one inside it', () => {
    const targets = plan([`${root}/data:/w/data`, `${root}/home/project:/w`]).mounts.map(
      ({ target }) => target,
    );
    expect(targets).toEqual(['/w', '/w/data']);
  });

  it('resolves a symlink that is named from outside, and mounts what it leads to', () => {
    symlinkSync(join(root, 'data'), join(root, 'link'));
    expect(plan([join(root, 'link')]).mounts).toMatchObject([{ source: join(root, 'data') }]);
  });

  const refusals: readonly (readonly [string, () => unknown])[] = [
    ['the home', () => plan([join(root, 'home')])],
    ['the home as working directory', () => plan([], 'home')],
    ['what holds the home', () => plan([root])],
    ['the root', () => plan(['/'])],
    ['a system folder', () => plan(['/etc'])],
    [
      'the home by a symlink',
      () => {
        symlinkSync(join(root, 'home'), join(root, 'alias'));
        return plan([join(root, 'alias')]);
      },
    ],
    ['credentials', () => plan([join(root, 'home/.ssh')])],
    ['sand\u2019s audit logs', () => plan([join(root, 'home/.local/state/sand')])],
    ['what holds sand\u2019s audit logs', () => plan([join(root, 'home/.local/state')])],
    ['sand\u2019s approvals', () => plan([join(root, 'home/.config/sand')])],
    [
      'a link of the project that leads out of it',
      () => {
        symlinkSync(join(root, 'data'), join(root, 'home/project/out'));
        return plan(['./out']);
      },
    ],
    [
      'what holds credentials',
      () => {
        mkdirSync(join(root, 'home/.local/share/keyrings'), { recursive: true });
        return plan([join(root, 'home/.local/share')]);
      },
    ],
    ['what does not exist', () => plan(['./nothing'])],
    ['what is neither file nor folder', () => plan(['/dev/null'])],
    ['a place of sand\u2019s own', () => plan(['.:/etc/cron.d'])],
    ['a place that climbs into sand\u2019s own', () => plan(['.:/project/../proc/x'])],
    ['the guest\u2019s home as a place', () => plan([`.:${root}/home`])],
    ['one place twice', () => plan(['.:/aa', './sub:/bb', '.:/aa'])],
    ['a relative working directory', () => plan([], 'home/project', 'sub')],
  ];
  it.each(refusals)('refuses %s', (_, refused) => {
    expect(refused).toThrow(
      expect.objectContaining({ code: 'workspace-refused', hint: expect.stringMatching(/\S/) }),
    );
  });
});

describe('on a Mac', () => {
  const onMac = (source: string) => plan([source], 'home/project', null, 'darwin');
  const refused = expect.objectContaining({ code: 'workspace-refused' });

  it.each([
    'Library/Keychains',
    'Library/Application Support/Google/Chrome',
    'Library/Group Containers/x',
    'Library/LaunchAgents',
    '.config/gcloud',
  ])('%s of the home is refused, and so is what holds it', (name) => {
    mkdirSync(join(root, 'home', name), { recursive: true });
    expect(() => onMac(join(root, 'home', name))).toThrow(refused);
    if (name.startsWith('Library')) expect(() => onMac(join(root, 'home/Library'))).toThrow(refused);
  });

  // Folders of such names stand for what a file system without capitals finds there.
  it.each(['home/.SSH', 'HOME', 'home/.local/State/sand', 'home/library/Keychains'])(
    '%s is refused as what it spells',
    (name) => {
      mkdirSync(join(root, name), { recursive: true });
      expect(() => onMac(join(root, name))).toThrow(refused);
      expect(() => plan([join(root, name)])).not.toThrow();
    },
  );

  it('a link out of the project is one by whatever capitals the project is named', () => {
    symlinkSync(join(root, 'data'), join(root, 'home/project/out'));
    mkdirSync(join(root, 'home/PROJECT'));
    symlinkSync(join(root, 'data'), join(root, 'home/PROJECT/out'));
    expect(() => onMac(join(root, 'home/PROJECT/out'))).toThrow(/leads out of/);
  });

  it('a project in iCloud\u2019s folder, or among caches, is one', () => {
    const project = join(root, 'home/Library/Mobile Documents/project');
    mkdirSync(project, { recursive: true });
    expect(onMac(project).mounts).toMatchObject([{ source: project }]);
  });
});

describe('the places of a host', () => {
  it('are on a Mac those that links and volumes lead to as well', () => {
    const { crowded, programs } = hostPlaces('darwin');
    for (const path of [
      '/',
      '/private/etc',
      '/private/var',
      '/private/tmp',
      '/Volumes',
      '/System/Volumes/Data',
      '/Users',
    ])
      expect(crowded).toContain(path);
    expect(programs).toContain('/opt/homebrew');
    expect(hostPlaces('linux').crowded).not.toContain('/private');
  });
});

describe('readOnly', () => {
  it('leaves nothing of the host that can be written, whatever was asked', () => {
    const whole = readOnly(plan([`${root}/data:/data:rw`, `${root}/home/project`]));
    expect(whole.mounts.map(({ writable }) => writable)).toEqual([false, false]);
    expect(whole.workdir).toBe(join(root, 'home/project'));
  });
});
