/**
 * A guest works on its workspace to get out of it: through files that the host trusts, policy files, links, and
 * mounts of the next run.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outcomesFor, type Probe, runProbe } from '../attacks-support/probe.ts';
import { CALLERS, createWorld, outputOf, type World } from '../sand.ts';

const OFFLINE = 'version: 1\nname: nested\nrules: []\n';
const PROTECTED: Readonly<Record<string, string>> = {
  '.git/config': '[core]\n\trepositoryformatversion = 0\n',
  '.git/hooks/pre-commit.sample': '#!/bin/sh\n',
  '.gitmodules': '[submodule "x"]\n',
  '.envrc': 'export A=1\n',
  '.vscode/settings.json': '{}\n',
  '.idea/workspace.xml': '<x/>\n',
  '.claude/settings.json': '{}\n',
  '.mcp.json': '{}\n',
  '.husky/pre-commit': 'true\n',
  'sand.policy.yaml': OFFLINE,
};
const PROTECTED_PATHS = Object.keys(PROTECTED).map((path) =>
  /^\.(git\/hooks|vscode|idea|claude|husky)\//.test(path) ? path.replace(/\/[^/]*$/, '') : path,
);
const HOLDS = /^E(ROFS|BUSY|XDEV|ACCES|PERM|EXIST|ISDIR|NOTDIR|NOTEMPTY)$/;

describe.each(CALLERS)('the workspace of a guest of the %s', (who) => {
  let world: World;

  beforeEach(() => {
    world = createWorld(who);
  });
  afterEach(() => world.remove());

  const attack = (given: unknown, flags: readonly string[] = ['--policy', 'offline']): Promise<Probe> =>
    runProbe(world, 'workspace.py', given, flags);

  it('tells a policy file that the host has replaced, since the guest could write the new one', async () => {
    const policy = world.file('p.yaml', OFFLINE);
    const script = 'echo ready; read -r go; echo "# widened" >>p.yaml; true';
    const child = world.start(['run', '--policy', './p.yaml', '--', 'sh', '-c', script]);
    child.stdout?.once('data', () => {
      renameSync(world.file('saved.yaml', OFFLINE), policy);
      child.stdin?.write('go\n');
    });
    const { stderr } = await outputOf(child, null);
    expect(stderr).toMatch(/p\.yaml was replaced on the host while the guest ran/);
  });

  it('keeps what the host would run or trust as it is, however a guest goes about it', async () => {
    for (const [name, content] of Object.entries(PROTECTED)) world.file(name, content);
    const { outcomes } = await attack({ protected: PROTECTED_PATHS, parents: ['.git'] });
    for (const [name, outcome] of Object.entries(outcomes)) {
      // The harmless half of `exchange` is a file of the guest's own.
      if (name !== 'listing') expect(String(outcome), name).toMatch(HOLDS);
    }
    for (const [name, content] of Object.entries(PROTECTED))
      expect(readFileSync(join(world.workspace, name), 'utf8')).toBe(content);
    expect(readdirSync(world.workspace).filter((name) => name.endsWith('.away'))).toEqual([]);
  });

  it('keeps a policy file in force in its place when every folder above it is renamed, swapped or removed', async () => {
    world.file('policies/deep/p.yaml', OFFLINE);
    const given = { protected: ['policies/deep/p.yaml'], parents: ['policies/deep', 'policies'] };
    const { outcomes } = await attack(given, ['--policy', './policies/deep/p.yaml']);
    for (const [name, outcome] of Object.entries(outcomes))
      if (name !== 'listing') expect(String(outcome), name).toMatch(HOLDS);
    expect(readFileSync(join(world.workspace, 'policies/deep/p.yaml'), 'utf8')).toBe(OFFLINE);
  });

  it('keeps policy files that the one in force extends read-only too', async () => {
    world.file('shared/base.yaml', OFFLINE);
    world.file('p.yaml', 'version: 1\nname: top\nextends: [./shared/base.yaml]\n');
    const given = { protected: ['shared/base.yaml', 'p.yaml'], parents: ['shared'] };
    const { outcomes } = await attack(given, ['--policy', './p.yaml']);
    for (const [name, outcome] of Object.entries(outcomes))
      if (name !== 'listing') expect(String(outcome), name).toMatch(HOLDS);
  });

  it('moves aside, and tells, what a guest makes where the host would run or trust it', async () => {
    const make = {
      '.git/hooks/post-checkout': '#!/bin/sh\n',
      '.git/config': '[core]\n\tfsmonitor = ./evil\n\thooksPath = evil\n',
      '.envrc': 'evil\n',
      '.vscode/tasks.json': '{}\n',
      '.devcontainer/devcontainer.json': '{}\n',
      'sand.policy.yaml': 'version: 1\nmode: report\n',
      'sand.yaml': 'version: 1\n',
    };
    const { output } = await attack({ make, links: { '.mcp.json': '/etc/passwd', '.claude': '/tmp' } });
    const made = [
      '.git',
      '.envrc',
      '.vscode',
      '.devcontainer',
      'sand.policy.yaml',
      'sand.yaml',
      '.mcp.json',
      '.claude',
    ];
    for (const name of made) {
      expect(lstatSync(join(world.workspace, name), { throwIfNoEntry: false }), name).toBeUndefined();
      expect(output.stderr).toContain(join(world.workspace, `${name}.made-by-guest`));
    }
    const notices = (await world.events()).filter((event) => event.kind === 'notice');
    expect(notices.length).toBeGreaterThanOrEqual(made.length);
  });

  it('moves aside what appears inside a repository that has none of it yet', async () => {
    world.file('.git/HEAD', 'ref: refs/heads/main\n');
    const make = {
      '.git/hooks/post-checkout': 'evil\n',
      '.git/config': 'evil\n',
      '.git/config.worktree': 'evil\n',
      '.git/info/attributes': 'evil\n',
      '.git/commondir': 'evil\n',
    };
    await attack({ make });
    for (const name of Object.keys(make)) expect(existsSync(join(world.workspace, name)), name).toBe(false);
  });

  it('leaves a worktree’s .git file where it points', async () => {
    world.file('.git', 'gitdir: /nonexistent/worktrees/x\n');
    const { outcomes } = await attack({ protected: ['.git'] });
    for (const [name, outcome] of Object.entries(outcomes))
      if (name !== 'listing') expect(String(outcome), name).toMatch(HOLDS);
    expect(readFileSync(join(world.workspace, '.git'), 'utf8')).toBe('gitdir: /nonexistent/worktrees/x\n');
  });

  it('is not left by links, `..` or hard links', async () => {
    const secret = join(world.root, 'secret.txt');
    writeFileSync(secret, 'secret', { mode: 0o644 });
    const { outcomes } = await attack({
      links: { out: world.root, file: secret, up: '../..', shadow: '/etc/shadow', proc: '/proc/1/root' },
      hardlinks: ['/etc/hostname', '/usr/bin/env', '/proc/self/status'],
      reads: [secret, `../secret.txt`, '/proc/self/cwd/../secret.txt', `/proc/1/cwd/../secret.txt`],
    });
    expect(JSON.stringify(outcomes)).not.toContain('"secret"');
    expect(outcomes['through out']).toEqual(expect.not.arrayContaining(['secret.txt', 'state']));
    for (const outcome of Object.values(outcomesFor(outcomes, 'hard link ')))
      expect(String(outcome)).toMatch(/^E(XDEV|PERM|ROFS|NOENT|ACCES)$/);
    for (const outcome of Object.values(outcomesFor(outcomes, 'read ')))
      expect(String(outcome)).toMatch(/^E(NOENT|ACCES)$/);
  });

  it('moves aside a link above a protected file, and touches nothing behind it', async () => {
    const outside = join(world.root, 'outside');
    mkdirSync(outside);
    for (const name of ['attributes', 'hooks', 'config']) writeFileSync(join(outside, name), 'mine\n');
    world.file('.git/config', '');
    world.file('.git/info/exclude', '');
    const { outcomes } = await attack({ links: { '.git/info': outside } });
    expect(outcomes['symlink .git/info']).toBeNull();
    expect(lstatSync(join(world.workspace, '.git/info'), { throwIfNoEntry: false })).toBeUndefined();
    expect(lstatSync(join(world.workspace, '.git/info.made-by-guest')).isSymbolicLink()).toBe(true);
    expect(readdirSync(outside).sort()).toEqual(['attributes', 'config', 'hooks']);
  });

  it('moves aside a link in the place of a repository that has nothing protected yet', async () => {
    const outside = join(world.root, 'outside');
    mkdirSync(outside);
    for (const name of ['hooks', 'config']) writeFileSync(join(outside, name), 'mine\n');
    world.file('.git/HEAD', 'ref: refs/heads/main\n');
    await attack({ links: { '.git': outside } });
    expect(lstatSync(join(world.workspace, '.git'), { throwIfNoEntry: false })).toBeUndefined();
    expect(readdirSync(outside).sort()).toEqual(['config', 'hooks']);
  });

  it('does not open a folder outside where a link stands above a protected file', async () => {
    const outside = join(world.root, 'outside');
    mkdirSync(outside);
    chmodSync(outside, 0o777);
    writeFileSync(join(outside, 'attributes'), 'mine\n');
    writeFileSync(join(outside, 'p.yaml'), OFFLINE);
    world.file('.git/config', '');
    symlinkSync(outside, join(world.workspace, '.git/info'));
    symlinkSync(outside, join(world.workspace, 'policies'));
    const reached = ['.git/info/attributes', 'policies/p.yaml'];
    const flags = ['--policy', './policies/p.yaml'];
    const { outcomes } = await attack({ reads: reached, writes: [...reached, 'policies/new'] }, flags);
    expect(Object.keys(outcomes)).toHaveLength(6);
    for (const [name, outcome] of Object.entries(outcomes))
      if (name !== 'listing') expect(outcome, name).toBe('ENOENT');
    expect(readdirSync(outside).sort()).toEqual(['attributes', 'p.yaml']);
    expect(readFileSync(join(outside, 'attributes'), 'utf8')).toBe('mine\n');
  });

  it('is refused where it holds the audit log, the home or the machine', async () => {
    const own = { XDG_STATE_HOME: join(world.workspace, 'state') };
    const refused = { code: 2, stderr: expect.stringContaining('workspace-refused') };
    expect(
      await world.sand(['run', '--policy', 'offline', '--', 'true'], { environment: own }),
    ).toMatchObject(refused);
    const inside = { XDG_CONFIG_HOME: join(world.workspace, 'config') };
    expect(
      await world.sand(['run', '--policy', 'offline', '--', 'true'], { environment: inside }),
    ).toMatchObject(refused);
    for (const source of [
      '/',
      world.environment.HOME ?? '',
      world.root,
      '/etc',
      '/proc/self/root',
      join(world.root, 'state'),
    ]) {
      const output = await world.sand([
        'run',
        '--policy',
        'offline',
        '--mount',
        `${source}:/project/x`,
        '--',
        'true',
      ]);
      expect(output, source).toMatchObject(refused);
    }
  });

  it('does not lead out when the next run mounts a link that a guest made', async () => {
    const outside = join(world.root, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret.txt'), 'secret-of-the-host');
    await attack({ links: { data: outside } });
    const output = await world.sand([
      'run',
      '--policy',
      'offline',
      '--mount',
      './data:/project/data',
      '--',
      'cat',
      '/project/data/secret.txt',
    ]);
    expect(output.stdout).not.toContain('secret-of-the-host');
    expect(output).toMatchObject({ code: 2, stderr: expect.stringContaining('workspace-refused') });
  });
});
