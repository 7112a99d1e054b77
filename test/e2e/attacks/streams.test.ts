/** A guest makes more of the descriptors that its caller leaves it than reading from one and writing to two. */
import { spawn } from 'node:child_process';
import { chmodSync, closeSync, openSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, NODE, outputOf, type RunOutput, SAND, type Who, type World } from '../sand.ts';

describe.each(CALLERS)('the descriptors of the %s', (who) => {
  let world: World;

  beforeEach(() => {
    world = createWorld(who);
  });
  afterEach(() => world.remove());

  it('are refused where a standard one is a folder', async () => {
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

  it('end at the guest: a file on 3, another far above, and a connection', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const secret = world.file('../secret', 'secret-of-the-host');
    const opened = `exec 3<${secret} 251<${secret} 252<>/dev/tcp/127.0.0.1/${port}; exec "$@"`;
    const before = ['bash', '-c', opened, 'bash'];
    // The listing's own descriptor is the one that is not there any more.
    const listed = [
      'sh',
      '-c',
      'for fd in /proc/self/fd/*; do [ ! -e "$fd" ] || readlink -f "$fd"; done; echo /proc/self/fd/*',
    ];
    const output = await redirected(world, who, listed, ['pipe', 'pipe', 'pipe'], before);
    server.close();
    expect(output.code, output.stderr).toBe(0);
    expect(output.stdout).not.toContain('secret');
    expect(
      output.stdout
        .trim()
        .split('\n')
        .at(-1)
        ?.split(' ')
        .map((path) => path.split('/').at(-1)),
    ).toEqual(['0', '1', '2', '3']);
  });
});

function redirected(
  world: World,
  who: Who,
  command: readonly string[],
  stdio: readonly ('pipe' | number)[],
  before: readonly string[] = [],
): Promise<RunOutput> {
  const as = who === 'caller' ? [] : ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', '--'];
  const [file = '', ...args] = [...as, ...before, NODE, SAND, 'run', '--policy', 'offline', '--', ...command];
  const child = spawn(file, args, { cwd: world.workspace, env: world.environment, stdio: [...stdio] });
  return outputOf(child, '');
}
