/** A guest makes more of the standard streams that its caller redirects than reading from one and writing to the others. */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, NODE, outputOf, type RunOutput, SAND, type Who, type World } from '../sand.ts';

describe.each(CALLERS)('the standard streams of the %s', (who) => {
  let world: World;
  let own: string;

  beforeEach(() => {
    world = createWorld(who);
    own = join(world.root, 'own.txt');
    writeFileSync(own, 'first line\n');
    const { uid } = statSync(world.workspace);
    chownSync(own, uid, uid);
  });
  afterEach(() => world.remove());

  it('are refused where one is a folder', async () => {
    writeFileSync(join(world.root, 'secret'), 'secret-of-the-host');
    chmodSync(join(world.root, 'secret'), 0o644);
    const folder = openSync(world.workspace, 'r');
    const output = await redirected(
      world,
      who,
      ['cat', '/proc/self/fd/0/../secret'],
      [folder, 'pipe', 'pipe'],
    );
    closeSync(folder);
    expect(output.stdout).not.toContain('secret-of-the-host');
    expect(output).toMatchObject({ code: 2, stderr: expect.stringContaining('workspace-refused') });
  });

  // By /proc/self/fd a file is opened anew, with whatever access its permissions give, on the host's own mount.
  it.fails('do not let a file that is only read be written', async () => {
    const file = openSync(own, 'r');
    await redirected(world, who, ['sh', '-c', 'echo evil >/proc/self/fd/0'], [file, 'pipe', 'pipe']);
    closeSync(file);
    expect(readFileSync(own, 'utf8')).toBe('first line\n');
  });

  it.fails('do not let a file that is only appended to be cut or read', async () => {
    const file = openSync(own, 'a');
    await redirected(world, who, ['sh', '-c', ': >/proc/self/fd/1'], ['pipe', file, 'pipe']);
    closeSync(file);
    expect(readFileSync(own, 'utf8')).toMatch(/^first line\n/);
  });
});

function redirected(
  world: World,
  who: Who,
  command: readonly string[],
  stdio: readonly ('pipe' | number)[],
): Promise<RunOutput> {
  const as = who === 'caller' ? [] : ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', '--'];
  const [file = '', ...args] = [...as, NODE, SAND, 'run', '--policy', 'offline', '--', ...command];
  const child = spawn(file, args, { cwd: world.workspace, env: world.environment, stdio: [...stdio] });
  return outputOf(child, '');
}
