/** What a caller gives a guest of the apple-container backend: secrets, variables, shares; what it gets, and where none of it may be seen. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { follow, until } from '../lifecycle/conditions.ts';
import { processes } from '../lifecycle/remains.ts';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

const SECRET = 'sesame-of-the-file';
const FROM_VARIABLE = 'sesame-of-the-variable';
const VALUE = 'sesame-of-the-flag';
const PLANTED = /sesame-of-the-(file|variable|flag)/;

describe.skipIf(!CAN_EMULATE)(
  'what a guest of the apple-container backend is given',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    beforeAll(() => {
      world = createAppleWorld();
      world.file('../home/deploy.key', SECRET);
    });
    afterEach(() => world.nothingRemains());
    afterAll(() => world.end(), APPLE_MS);

    const flags = ['--secret', 'key=../home/deploy.key', '--secret', 'token=env:API_TOKEN', '--env', 'GIVEN'];
    const environment = { API_TOKEN: FROM_VARIABLE, GIVEN: VALUE };

    it('secrets are files in memory, of its user alone; a variable is what it was', async () => {
      const script = `cd /run/secrets; cat key token; echo; stat -c '%a %u %F' . key token; stat -f -c %T key; echo "$GIVEN"`;
      const { stdout, stderr } = await world.run([...flags, '--user', '1234:1235'], ['sh', '-c', script], {
        environment,
      });
      expect(stderr).not.toMatch(/ {2}do: /);
      expect(stdout).toBe(
        `${SECRET}${FROM_VARIABLE}\n700 1234 directory\n400 1234 regular file\n400 1234 regular file\ntmpfs\n${VALUE}\n`,
      );
    });

    it('none of it is on a command line, in a process of the host but the tool\u2019s call that carries it, or on a disk', async () => {
      const run = follow(
        world.start(
          [
            'run',
            '--backend',
            'apple-container',
            '--policy',
            'offline',
            ...flags,
            '--',
            'sh',
            '-c',
            'unset GIVEN; echo up; exec env -u GIVEN sleep 600',
          ],
          { environment },
        ),
      );
      await run.printed('up', APPLE_MS);
      for (const { pid, commandLine } of processes()) {
        // Of the guest's machine, and the emulator's way into it.
        if (!isOnHost(pid) || commandLine.includes('/container-emulator/entry-')) continue;
        expect(commandLine).not.toMatch(PLANTED);
        // The caller put it there itself.
        if (pid === run.pid) continue;
        const found =
          read(`/proc/${pid}/environ`).match(/[^\0]*sesame-of-the-(file|variable|flag)/)?.[0] ?? null;
        const allowed = / exec .*SANDENV_GIVEN/.test(commandLine) || found === null;
        expect([commandLine, found, allowed]).toEqual([commandLine, found, true]);
        if (found !== null) expect(found).toBe(`SANDENV_GIVEN=${VALUE}`);
      }
      const written = textsBelow(world.root).filter(([path]) => path !== join(world.root, 'home/deploy.key'));
      expect(written.length).toBeGreaterThan(2);
      expect(written.filter(([, content]) => PLANTED.test(content)).map(([path]) => path)).toEqual([]);
      run.child.kill('SIGTERM');
      await run.ended(APPLE_MS);
      expect((await world.events()).find(({ kind }) => kind === 'run-start')).toMatchObject({
        secrets: ['key', 'token'],
      });
    });

    it('settings that are shared are read where its tools look, and nothing beside them is there', async () => {
      const home = (name: string, text: string) => {
        mkdirSync(join(world.home, '.ssh'), { recursive: true });
        writeFileSync(join(world.home, name), text);
      };
      home('.gitconfig', '[user]\n\tname = A Caller\n');
      home('.npmrc', 'fund=false\nsave-prefix=shared-prefix\n');
      home('.ssh/known_hosts', 'known.origin.test ssh-ed25519 AAAA\n');
      home('.ssh/id_ed25519', 'PRIVATE');
      const script = [
        'git config user.name',
        'cat "$NPM_CONFIG_USERCONFIG" | tail -1',
        'echo "$GIT_SSH_COMMAND" | sed "s/.*UserKnownHostsFile=//" | xargs cat',
        'find /.sand -type f -exec cat {} + 2>/dev/null | grep -ac PRIVATE',
        'echo more >> "$GIT_CONFIG_GLOBAL" || echo read-only',
      ].join('; ');
      const { stdout } = await world.run(
        ['--share', 'gitconfig,known-hosts,npmrc', '--workdir', '/'],
        ['sh', '-c', script],
      );
      expect(stdout).toBe(
        'A Caller\nsave-prefix=shared-prefix\nknown.origin.test ssh-ed25519 AAAA\n0\nread-only\n',
      );
    });

    it('an agent that is shared can be asked, and one that is not cannot', async () => {
      const socket = join(world.root, 'agent.sock');
      const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
      await until('the agent', () => existsSync(socket));
      const asked = { environment: { SSH_AUTH_SOCK: socket } };
      const script = 'ssh-add -l; echo "code=$?"';
      const shared = await world.run(['--share', 'ssh-agent'], ['sh', '-c', script], asked);
      // It has no keys, and says so.
      expect(shared.stdout).toContain('code=1');
      const alone = await world.run([], ['sh', '-c', script], asked);
      expect(alone.stdout).toContain('code=2');
      agent.kill();
    });

    it('what is to be shared and is not there keeps it from starting', async () => {
      const { code, stdout, stderr } = await world.run(['--share', 'ssh-agent'], ['echo', 'ran']);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain('(share-unavailable)');
    });
  },
);

function textsBelow(folder: string): readonly (readonly [string, string])[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path, read(path)] as const);
}

function isOnHost(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`) === readlinkSync('/proc/self/ns/pid');
  } catch {
    return false;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
