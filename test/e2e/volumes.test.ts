/** Volumes of the linux backend: kept for the next guest of the project, and in no folder of its own on the host. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, type World } from './sand.ts';

describe.each(CALLERS)('volumes of the linux backend, as %s', (who) => {
  let world: World;
  beforeAll(() => {
    world = createWorld(who);
  });
  afterAll(() => world.remove());

  const VOLUME = ['--volume', 'node_modules:./node_modules'];
  const run = (args: readonly string[], script: string, cwd = world.workspace) =>
    world.sand(['run', '--backend', 'linux', ...args, '--', 'sh', '-c', script], { cwd });

  it('are kept for the next guest, and hide what the host has there', async () => {
    world.file('node_modules/of-the-host', '');
    const first = await run(VOLUME, 'ls -A node_modules; echo kept > node_modules/a');
    expect([first.code, first.stdout, first.stderr]).toEqual([0, '', '']);
    expect(readdirSync(join(world.workspace, 'node_modules'))).toEqual(['of-the-host']);
    const second = await run(VOLUME, 'cat node_modules/a');
    expect([second.code, second.stdout]).toEqual([0, 'kept\n']);
    expect((await run([], 'ls node_modules')).stdout).toBe('of-the-host\n');
  });

  it('are those of their project', async () => {
    world.file('other/file', '');
    const other = await run(VOLUME, 'ls -A node_modules', join(world.workspace, 'other'));
    expect([other.code, other.stdout]).toEqual([0, '']);
  });

  it('are listed and removed by name', async () => {
    const listed: { readonly project: string }[] = JSON.parse(
      (await world.sand(['volume', 'ls', '--json', '--backend', 'linux'])).stdout,
    );
    expect(listed.map(({ project }) => project)).toEqual([world.workspace, join(world.workspace, 'other')]);
    const removed = await world.sand(['volume', 'rm', 'node_modules', '--backend', 'linux']);
    expect([removed.code, removed.stdout]).toEqual([0, `removed node_modules of ${world.workspace}\n`]);
    expect((await run(VOLUME, 'ls -A node_modules')).stdout).toBe('');
    const missing = await world.sand(['volume', 'rm', 'nothing', '--backend', 'linux']);
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('volume-missing')]);
  });

  it('are not for a guest that is to write nothing, nor over what is sand’s', async () => {
    expect((await run([...VOLUME, '--read-only'], 'true')).stderr).toContain(
      '--volume keeps what the guest writes',
    );
    expect((await run(['--volume', 'a:/etc/b'], 'true')).code).toBe(2);
    expect(existsSync(join(world.root, 'cache/sand/volumes/a'))).toBe(false);
  });
});
