/** `sand run` without a flag in a folder that has a `sand.yaml`: what it says holds, and whose word counts. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NO_TERMINAL, openTerminal } from './lifecycle/terminal-bridge.ts';
import { CALLERS, createWorld, type StartOptions, type World } from './sand.ts';

describe.each(CALLERS)('a sand.yaml of the %s', (who) => {
  let world: World;
  beforeEach(() => {
    world = createWorld(who);
    world.file('.git/HEAD', 'ref: refs/heads/main\n');
  });
  afterEach(() => world.remove());

  const run = (args: readonly string[] = [], options: StartOptions = {}) =>
    world.sand(['run', ...args], options);
  const write = (text: string, name = 'sand.yaml') => world.file(name, `version: 1\n${text}`);

  it('is all that a run needs', async () => {
    world.file('sub/data.txt', 'data\n');
    write(`policy: ./p.yaml
mounts: ['.:/project', './sub:/data:ro']
workdir: /project
environment: {MODE: test, PORT: 3000}
cache: true
timeout: 1m
backend: linux
phaseAfter: echo first > phase.txt
command: [sh, -c, 'pwd; echo $MODE $PORT; cat /data/data.txt; touch /data/x 2>/dev/null || echo read-only; cat phase.txt']
`);
    world.file(
      'p.yaml',
      'version: 1\nextends: [strict]\nphases:\n  setup: {rules: []}\n  run: {rules: [{deny: a.example.com}]}\n',
    );
    const { code, stdout, stderr } = await run(['--verbose']);
    expect([code, stdout]).toEqual([0, '/project\ntest 3000\ndata\nread-only\nfirst\n']);
    expect(stderr).toContain('sand:   environment.PORT: sand.yaml:5:27');
    expect(existsSync(join(world.root, 'cache/sand'))).toBe(true);
  });

  it('gives way to flags', async () => {
    write('policy: offline\nenvironment: {MODE: file}\ncommand: [sh, -c, "echo $MODE"]\n');
    expect(await run(['--env', 'MODE=flag'])).toMatchObject({ code: 0, stdout: 'flag\n' });
    const { code, stdout, stderr } = await run(['--verbose', '--policy', 'strict', '--', 'echo', 'other']);
    expect([code, stdout]).toEqual([0, 'other\n']);
    expect(stderr).toContain('sand: policy: strict (');
    expect(await run(['--no-project-file'])).toMatchObject({ code: 2 });
  });

  it('ends the command at its time', async () => {
    write('timeout: 1s\ncommand: [sleep, "50"]\n');
    expect(await run()).toMatchObject({ code: 124 });
  });

  it('is not used where it does not parse, nor in part', async () => {
    write('command: [touch, ran]\nmount: .\n');
    const { code, stderr } = await run();
    expect(code).toBe(2);
    expect(stderr).toContain('sand.yaml:3:1: sand.yaml has no key "mount"\n    Did you mean "mounts"?');
    expect(existsSync(join(world.workspace, 'ran'))).toBe(false);
  });

  it('names, limits and dresses the guest as the file says', async () => {
    write(
      'name: shaped\nuser: "4242"\nreadOnly: true\nresources: {disk: 64MiB}\ncommand: [sh, -c, "id -u; touch here 2>&1; touch /tmp/there && echo private"]\n',
    );
    const { code, stdout } = await run(['--project-file', 'sand.yaml']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^4242\n.*Read-only file system\nprivate\n$/),
    });
  });

  it('asks for no more than a plain run unless it is named, in CI least of all', async () => {
    mkdirSync(join(world.root, 'other'));
    writeFileSync(join(world.root, 'other/secret.txt'), 'secret\n');
    write(
      'mounts: [., "../other:/other"]\nenvironment: [TOKEN]\ncommand: [sh, -c, "cat /other/secret.txt; echo $TOKEN"]\n',
    );
    for (const CI of ['', '1']) {
      const refused = await run([], { environment: { CI, TOKEN: 'own' }, input: 'y\nyes\n' });
      expect(refused).toMatchObject({ code: 2, stdout: '' });
      expect(refused.stderr).toContain(
        `it mounts ${join(world.root, 'other')}, outside the repository, writable`,
      );
      expect(refused.stderr).toContain('it passes your own TOKEN to the guest');
      expect(refused.stderr).toContain('(project-unapproved)');
      expect(refused.stderr).toContain(`--project-file ${join(world.workspace, 'sand.yaml')}`);
    }
    const environment = { CI: '1', TOKEN: 'own' };
    const named = await run(['--project-file', 'sand.yaml'], { environment });
    expect(named).toMatchObject({ code: 0, stdout: 'secret\nown\n' });
  });

  it('cannot unlock what the host runs by a mount that names it', async () => {
    world.file('.git/hooks/pre-commit', '#!/bin/sh\n');
    write('mounts: [., ./.git]\ncommand: [sh, -c, "echo evil > .git/hooks/pre-commit"]\n');
    const refused = await run();
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain('where the host may run or trust what a guest writes');
    expect(readFileSync(join(world.workspace, '.git/hooks/pre-commit'), 'utf8')).toBe('#!/bin/sh\n');
  });

  it.each(['sand.yaml', 'deep/guest.yaml'])('is read-only in the guest, as %s too', async (name) => {
    const tried = [`echo x >> ${name}`, `rm -f ${name}`, `mv ${name} y`, `mv deep away`, `ln -sf /x ${name}`];
    const text = `command: [sh, -c, '${tried.join('; ')}; true']\n`;
    world.file('deep/more', '');
    write(text, name);
    expect(await run(name === 'sand.yaml' ? [] : ['--project-file', name])).toMatchObject({ code: 0 });
    expect(readFileSync(join(world.workspace, name), 'utf8')).toBe(`version: 1\n${text}`);
  });

  it('that a guest made does not count in the next run', async () => {
    const evil = 'version: 1\\nshares: ssh-agent\\ncommand: [touch, ran]\\n';
    const made = await run([
      '--',
      'sh',
      '-c',
      `mkdir sub; printf '${evil}' > sand.yaml; printf '${evil}' > sub/sand.yaml`,
    ]);
    expect(made.code).toBe(0);
    expect(existsSync(join(world.workspace, 'sand.yaml'))).toBe(false);
    expect(existsSync(join(world.workspace, 'sand.yaml.made-by-guest'))).toBe(true);
    const sub = { cwd: join(world.workspace, 'sub') };
    const refused = await run([], sub);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain('(project-unapproved)');
    write('policy: offline\n');
    world.file('sub/sand.yaml', 'version: 1\ncommand: [touch, ran]\n');
    const shadowing = await run([], sub);
    expect(shadowing.stderr).toContain(`it stands in place of ${join(world.workspace, 'sand.yaml')}`);
    expect(existsSync(join(world.workspace, 'sub/ran'))).toBe(false);
  });

  it.skipIf(NO_TERMINAL !== null)('is remembered by its content once a person has said yes', async () => {
    write('policy: ./p.yaml\ncommand: [echo, it-ran]\n');
    world.file('p.yaml', 'version: 1\nextends: [strict]\nrules:\n  - allow: wide.example.com\n');
    const open = () =>
      openTerminal(world.start([]).spawnargs.concat('run'), {
        cwd: world.workspace,
        environment: world.environment,
      });
    const no = open();
    await no.shows('asks for more than a run without it');
    await no.shows('wide.example.com');
    await no.shows('[y/N]');
    no.type('n\r');
    expect(await no.finished()).toMatchObject({ code: 2 });
    const yes = open();
    await yes.shows('[y/N]');
    yes.type('y\r');
    await yes.shows('it-ran');
    expect(await yes.finished()).toMatchObject({ code: 0 });
    expect(await run([], { environment: { CI: '1' } })).toMatchObject({ code: 0, stdout: 'it-ran\n' });
    world.file('p.yaml', 'version: 1\nextends: [strict]\nrules:\n  - allow: wider.example.com\n');
    expect(await run()).toMatchObject({ code: 2 });
  });
});
