/** What a guest of the apple-container backend sees of the host's files, and what of them it can change, as the guest's root. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

const HOOK = '#!/bin/sh\necho hook\n';

describe.skipIf(!CAN_EMULATE)(
  'files in a guest of the apple-container backend',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    beforeAll(() => {
      world = createAppleWorld();
      world.file('word.txt', 'a word\n');
      world.file('sub/inner.txt', 'inner\n');
      world.file('.git/config', '[core]\n');
      world.file('.git/HEAD', 'ref: refs/heads/main\n');
      world.file('.git/hooks/pre-commit', HOOK);
      world.file('sand.policy.yaml', 'version: 1\nname: own\nrules: []\n');
    });
    afterEach(() => world.nothingRemains());
    afterAll(() => world.end(), APPLE_MS);

    const sh = (flags: readonly string[], script: string) => world.run(flags, ['sh', '-c', script]);
    const read = (name: string) => readFileSync(join(world.workspace, name), 'utf8');

    it('the workspace is at its own path, writable, and what is written is there on the host', async () => {
      const { code, stdout } = await sh(
        [],
        'pwd; cat word.txt; echo new > made.txt; mkdir d && mv made.txt d/',
      );
      expect([code, stdout]).toEqual([0, `${world.workspace}\na word\n`]);
      expect(read('d/made.txt')).toBe('new\n');
    });

    it('nothing of it can be written with --read-only, nor what is mounted so', async () => {
      const tries =
        'echo x > word.txt; echo y > new.txt; rm -f word.txt; mount -o remount,rw . ; cat word.txt';
      const { stdout, stderr } = await sh(['--read-only'], tries);
      expect(stdout).toBe('a word\n');
      expect(stderr).toMatch(/Read-only file system/);
      expect(read('word.txt')).toBe('a word\n');
      const mounted = await sh(
        ['--mount', '.', '--mount', './sub:/given:ro'],
        'echo x > /given/inner.txt; echo own > sub/inner2.txt; cat /given/inner.txt',
      );
      expect(mounted.stdout).toBe('inner\n');
      expect(read('sub/inner2.txt')).toBe('own\n');
    });

    it('a single file is alone at its place, below a folder that is mounted as well, and without its neighbours', async () => {
      mkdirSync(join(world.root, 'private'), { recursive: true });
      const token = join(world.root, 'private/token');
      writeFileSync(token, 'one token\n');
      writeFileSync(join(world.root, 'private/other'), 'not for the guest\n');
      const flags = [
        '--mount',
        '.',
        '--mount',
        `${token}:/opt/given/token:ro`,
        '--mount',
        `${token}:${world.workspace}/sub/token:ro`,
      ];
      const { code, stdout, stderr } = await sh(
        flags,
        'cat /opt/given/token sub/token word.txt; ls /opt/given; echo x > /opt/given/token; find /.sand -type f | sort',
      );
      expect(stdout).toMatch(/^one token\none token\na word\ntoken\n/);
      expect(stdout).not.toContain('other');
      expect(stderr).toMatch(/Read-only file system/);
      expect(code).toBe(0);
      expect(readFileSync(token, 'utf8')).toBe('one token\n');
    });

    it('a single file that is writable is the host\u2019s own', async () => {
      const note = world.file('note.txt', 'old\n');
      const { code, stderr } = await sh(
        ['--mount', `${note}:/opt/note.txt`, '--workdir', '/'],
        'echo new > /opt/note.txt',
      );
      expect([code, stderr]).toEqual([0, '']);
      expect(read('note.txt')).toBe('new\n');
    });

    it('a path with a colon is refused, and says why', async () => {
      const folder = join(world.root, 'a:b');
      mkdirSync(folder, { recursive: true });
      const { code, stdout, stderr } = await world.run([], ['echo', 'ran'], { cwd: folder });
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain('(workspace-refused)');
      expect(stderr).toContain('colon');
    });

    it('what runs on the host later cannot be changed by the guest\u2019s root, by no way it has', async () => {
      const attacks = [
        'id -u',
        'echo evil > .git/hooks/pre-commit',
        'echo evil > .git/hooks/post-merge',
        'echo evil >> .git/config',
        'mv .git/config .git/config.old',
        'rm -f .git/hooks/pre-commit',
        'mv .git/hooks .git/hooks.old',
        'mv .git .git.old',
        'rm -rf .git/hooks',
        'ln -sfn /tmp .git/hooks',
        'echo evil > sand.policy.yaml',
        'mv sand.policy.yaml other.yaml',
        'rm -f sand.policy.yaml',
        'umount .git/hooks; umount -l .git/config; umount sand.policy.yaml',
        'mount -o remount,rw,bind .git/hooks; mount -o remount,rw .git/config',
        'mount --bind /tmp .git/hooks; mount -t tmpfs none .git/hooks',
        'unshare -m sh -c "umount .git/hooks; echo evil > .git/hooks/pre-commit"',
        'unshare -Urm sh -c "umount .git/hooks; echo evil > .git/hooks/pre-commit"',
        'nsenter -t 1 -m sh -c "umount -l $PWD/.git/hooks; echo evil > $PWD/.git/hooks/pre-commit"',
        'echo evil > /proc/1/root$PWD/.git/hooks/pre-commit',
        'chmod 777 .git/hooks/pre-commit; touch .git/hooks/new',
      ];
      const script = [...attacks.map((attack) => `{ ${attack}; } 2>/dev/null`), 'echo done'].join('\n');
      const { code, stdout } = await sh(['--policy', './sand.policy.yaml', '--user', '0'], script);
      expect([code, stdout]).toEqual([0, '0\ndone\n']);
      expect(read('.git/hooks/pre-commit')).toBe(HOOK);
      expect(read('.git/config')).toBe('[core]\n');
      expect(read('sand.policy.yaml')).toContain('name: own');
      const listed = await world.run([], ['find', '.git', 'sand.policy.yaml', '-type', 'f']);
      expect(listed.stdout.trim().split('\n').sort()).toEqual([
        '.git/HEAD',
        '.git/config',
        '.git/hooks/pre-commit',
        'sand.policy.yaml',
      ]);
    });

    it('a guard that cannot be put up keeps the guest from starting', async () => {
      world.show({ fault: 'drop-capability', value: 'SYS_ADMIN' });
      const { code, stdout, stderr } = await sh([], 'echo ran');
      expect([code, stdout]).toEqual([125, '']);
      expect(stderr).toMatch(/ {2}do: /);
      world.be({});
    });
  },
);
