/** Ends that no command wants and every user makes: a reader that goes, a folder that is gone. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createWorld, NODE, SAND, type World } from './sand.ts';

const DEADLINE_MS = 30_000;

let world: World;

beforeAll(async () => {
  world = createWorld();
  await world.sand(['run', '--policy', 'offline', '--', 'true']);
});
afterAll(() => world.remove());

const shell = (script: string) =>
  spawnSync('bash', ['-c', script, 'bash', NODE, SAND], {
    cwd: world.workspace,
    env: world.environment,
    encoding: 'utf8',
    timeout: DEADLINE_MS,
  });

it('a log is shown to a reader that goes, without a word of it', () => {
  const { stdout, stderr } = shell('"$1" "$2" audit tail --no-follow | head -1');
  expect(stdout.trim().split('\n')).toHaveLength(1);
  expect(stderr).toBe('');
});

it('a working directory that was removed is told as such', () => {
  mkdirSync(join(world.workspace, 'gone'));
  const { status, stderr } = shell('cd gone && rmdir ../gone && "$1" "$2" run --policy offline -- true');
  expect(stderr).toContain('(workspace-refused)');
  expect(status).toBe(2);
});
