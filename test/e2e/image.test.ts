/**
 * Guests in the root of an image: a folder, an OCI archive and one without a shell, built here. What the image
 * says of its user, variables, entrypoint and working directory holds, and so does the policy; what the guest
 * writes is its own.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ociArchive } from '../controller/images/archives.ts';
import { ALLOWED, createOrigins, DENIED, type Origins } from './origins.ts';
import { CALLERS, createWorld, type RunOutput, type World } from './sand.ts';

const BUSYBOX = '/usr/bin/busybox';
const NO_BUSYBOX = existsSync(BUSYBOX) ? null : 'busybox-static is not installed';
const NO_TOOLS = ['skopeo', 'umoci'].every(installed) ? null : 'skopeo or umoci is not installed';
const NO_PODMAN = installed('podman') ? null : 'podman is not installed';
const APPLETS = [
  'chmod',
  'cp',
  'sh',
  'cat',
  'ls',
  'id',
  'env',
  'wget',
  'mount',
  'mv',
  'rm',
  'mkdir',
  'ln',
  'nslookup',
  'pwd',
  'stat',
];

function installed(tool: string): boolean {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function buildRoot(root: string): void {
  for (const folder of ['bin', 'etc', 'srv', 'home/app']) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:77:78::/home/app:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\napp:x:78:\n');
  writeFileSync(join(root, 'etc/motd'), 'of the image\n');
}

/** One layer with busybox; with `shell`, its applets as well. */
function archive(config: Readonly<Record<string, unknown>>, shell: boolean): Buffer {
  const passwd = 'root:x:0:0:root:/root:/bin/sh\napp:x:77:78::/home/app:/bin/sh\n';
  const folders = ['bin/', 'etc/', 'srv/'].map((name) => ({ name, type: 'folder' as const }));
  const links = APPLETS.map((name) => ({ name: `bin/${name}`, type: 'symlink' as const, to: 'busybox' }));
  const files = [
    { name: 'bin/busybox', content: readFileSync(BUSYBOX), mode: 0o755 },
    { name: 'etc/passwd', content: passwd },
    { name: 'etc/group', content: 'app:x:78:\n' },
  ];
  const only = { name: 'busybox', content: readFileSync(BUSYBOX), mode: 0o755 };
  return ociArchive({ layers: [shell ? [...folders, ...files, ...links] : [only]], config });
}

describe.skipIf(NO_BUSYBOX !== null).each(CALLERS)(
  `a guest of an image, of the %s ${NO_BUSYBOX ?? ''}`,
  (who) => {
    let origins: Origins;
    let world: World;
    let root: string;
    let policy: string;

    beforeAll(async () => {
      origins = await createOrigins();
      world = createWorld(who);
      root = join(world.root, 'image');
      buildRoot(root);
      policy = world.file(
        'policy.yaml',
        [
          'version: 1',
          'rules:',
          `  - allow: ${ALLOWED}`,
          `    http: [${origins.httpPort}]`,
          '    addresses: [127.0.0.1]',
          '',
        ].join('\n'),
      );
    });
    afterAll(async () => {
      world.remove();
      await origins.close();
    });

    const run = (
      image: string,
      command: readonly string[],
      flags: readonly string[] = [],
    ): Promise<RunOutput> =>
      world.sand([
        'run',
        ...['--image', image, '--policy', policy, '--dns-upstream', `127.0.0.1:${origins.dnsPort}`],
        ...flags,
        ...(command.length === 0 ? [] : ['--', ...command]),
      ]);
    const script = (text: string, flags: readonly string[] = []) => run(root, ['/bin/sh', '-c', text], flags);

    it('has its files, its user and its variables, and of the host nothing', async () => {
      const { stdout, stderr } = await script(
        'id -u; cat /etc/motd; echo $HOME $PATH; ls -d /usr /opt /var 2>&1; ls /',
      );
      expect(stderr).toBe('');
      const lines = stdout.split('\n');
      expect(lines.slice(0, 3)).toEqual([
        '0',
        'of the image',
        '/root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ]);
      expect(stdout.match(/No such file/g)).toHaveLength(3);
    });

    it('writes below its root for itself alone, and the next guest finds the image as it was', async () => {
      const first = await script('echo new >/etc/new; rm /etc/motd; mkdir /opt; ls /etc /opt');
      expect([first.code, first.stderr]).toEqual([0, '']);
      expect(first.stdout).toContain('new');
      expect(readdirSync(join(root, 'etc')).sort()).toEqual(['group', 'motd', 'passwd']);
      expect(existsSync(join(root, 'opt'))).toBe(false);
      expect((await script('cat /etc/motd; ls /etc/new /opt 2>&1')).stdout).toMatch(
        /^of the image\n.*\n.*\n$/,
      );
    });

    it('reaches what the policy allows and nothing else, with proxy variables and without', async () => {
      const url = (host: string) => `http://${host}:${origins.httpPort}/x`;
      const both = await script(
        [
          `wget -q -O - ${url(ALLOWED)}`,
          `wget -q -O - ${url(DENIED)} || echo refused`,
          'unset http_proxy HTTP_PROXY https_proxy all_proxy ALL_PROXY',
          `nslookup ${DENIED} >/dev/null || echo unknown`,
          `wget -q -T 5 -O - http://203.0.113.9/ || echo unreachable`,
        ].join('; '),
      );
      expect(both.stdout).toContain(`hello from ${ALLOWED}`);
      expect(both.stdout).toMatch(/refused\nunknown\nunreachable/);
      expect(origins.requests.some((request) => request.includes(DENIED))).toBe(false);
      const probes = (await world.events()).filter(({ kind }) => kind === 'probe');
      expect(probes.length).toBeGreaterThan(10);
      expect(probes.every((probe) => probe.kind === 'probe' && probe.passed)).toBe(true);
    });

    it('cannot replace what starts its next command', async () => {
      const { stdout, stderr } = await script(
        [
          'mv /run/sand /run/elsewhere',
          'mv /run /elsewhere',
          'mv /etc /elsewhere',
          'echo /evil.so >/etc/ld.so.preload',
          'rm -f /etc/ld.so.preload',
          'echo x >/run/sand/launch/bin/sh',
          'rm -f /run/sand/launch/ld.so',
          'ln -s /evil /run/sand/launch/lib/libc.so',
          'mount -t tmpfs none /run/sand',
          'echo over',
        ].join('; '),
      );
      expect(stdout).toBe('over\n');
      expect(stderr.trim().split('\n')).toHaveLength(9);
    });

    it('starts a later command by the host\u2019s programs, whatever an earlier one did to the image', async () => {
      const name = `image-${who === 'caller' ? 'caller' : 'ordinary'}`;
      const flags = ['run', '-d', '--name', name, '--image', root, '--policy', policy];
      const started = await world.sand([...flags, '--', '/bin/busybox', 'sleep', '300']);
      expect([started.code, started.stderr]).toEqual([0, '']);
      try {
        const evil = '#!/bin/busybox sh\necho evil >/ran\n';
        const planting = [
          'mkdir -p /usr/bin /lib64 /lib /usr/local/bin',
          `for at in /usr/bin /usr/local/bin; do for name in bwrap sh cat env readlink; do printf '${evil}' >$at/$name; chmod 755 $at/$name; done; done`,
          'rm /bin/sh /bin/cat /bin/env; ln -s /usr/bin/bwrap /bin/sh',
          'cp /bin/busybox /lib64/ld-linux-x86-64.so.2; echo x >/etc/ld.so.cache; echo /evil.so >/etc/ld.so.preload',
        ].join('; ');
        await world.sand(['exec', name, '--', '/bin/busybox', 'sh', '-c', planting]);
        const later = await world.sand(['exec', name, '--', '/bin/busybox', 'ls', '/ran', '/usr/bin/bwrap']);
        expect(later.stdout).toBe('/usr/bin/bwrap\n');
        expect(later.code).toBe(1);
      } finally {
        await world.sand(['stop', name]);
        await world.sand(['rm', name]);
      }
    });

    it('has the working directory at its place, and works in it', async () => {
      const { stdout } = await script('pwd; echo written >made');
      expect(stdout).toBe(`${world.workspace}\n`);
      expect(readFileSync(join(world.workspace, 'made'), 'utf8')).toBe('written\n');
    });

    it('of a hostile image leaves the host alone, or does not start', async () => {
      const hostile = join(world.root, 'hostile');
      const outside = join(world.root, 'outside');
      mkdirSync(outside);
      chmodSync(outside, 0o777);
      writeFileSync(join(outside, 'passwd'), 'before');
      buildRoot(hostile);
      for (const name of ['etc/resolv.conf', 'etc/hosts', 'etc/ld.so.preload'])
        symlinkSync(`/oldroot${outside}/${name.replace('/', '-')}`, join(hostile, name));
      symlinkSync(`../../../../oldroot${outside}/tmp`, join(hostile, 'tmp'));
      symlinkSync(`/oldroot${outside}/root`, join(hostile, 'root'));
      const output = await run(hostile, ['/bin/sh', '-c', 'cat /etc/resolv.conf; ls -d /oldroot']);
      expect(output.stdout).toContain('nameserver 198.18.0.1');
      expect(readdirSync(outside)).toEqual(['passwd']);
      symlinkSync('/oldroot/tmp', join(hostile, 'run'));
      expect((await run(hostile, ['/bin/sh'])).stderr).toContain('image-invalid');
      expect(readFileSync(join(outside, 'passwd'), 'utf8')).toBe('before');
    });

    it.skipIf(NO_TOOLS !== null)(
      `of an archive: what its configuration says holds ${NO_TOOLS ?? ''}`,
      async () => {
        const image = world.file('app.tar', '');
        const config = {
          User: 'app',
          Env: ['GREETING=from the image', 'http_proxy=http://198.51.100.1:1/', 'LD_PRELOAD=/evil.so'],
          Entrypoint: [
            '/bin/sh',
            '-c',
            'echo "$GREETING $http_proxy $0 $*"; id -u; id -g; pwd; echo $HOME $LD_PRELOAD',
          ],
          Cmd: ['zero', 'one'],
          WorkingDir: '/srv',
        };
        writeFileSync(image, archive(config, true));
        const own = await run(image, []);
        const proxy = 'http://198.18.0.1:3128';
        expect([own.stdout, own.stderr]).toEqual([
          `from the image ${proxy} zero one\n77\n78\n/srv\n/home/app /evil.so\n`,
          '',
        ]);
        const given = await run(image, ['a', 'b'], ['--workdir', '/etc', '--env', 'GREETING=mine']);
        expect(given.stdout).toBe(`mine ${proxy} a b\n77\n78\n/etc\n/home/app /evil.so\n`);
        const listed = await world.sand(['image', 'ls', '--json']);
        const [entry] = JSON.parse(listed.stdout);
        expect(entry).toMatchObject({
          name: image,
          digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
          config: { user: 'app' },
        });
        expect((await world.sand(['image', 'rm', entry.digest.slice(0, 19)])).code).toBe(0);
        expect((await world.sand(['image', 'ls'])).stdout).toBe('no image is kept for linux\n');
      },
    );

    it.skipIf(NO_TOOLS !== null)(
      `of an image without a shell or a library runs its one program ${NO_TOOLS ?? ''}`,
      async () => {
        const image = world.file('scratch.tar', '');
        writeFileSync(image, archive({ Entrypoint: ['/busybox'], User: '4321:4322' }, false));
        const listed = await run(image, ['id']);
        expect([listed.code, listed.stdout]).toEqual([0, 'uid=4321(sand) gid=4322(sand)\n']);
        expect((await run(image, ['ls', '/'])).stdout.split('\n')).not.toContain('bin');
      },
    );

    // An ordinary user's podman wants a passwd line and numbers of its own, which this one has not.
    it.skipIf(NO_PODMAN !== null || who !== 'caller')(
      `of podman\u2019s store is saved and unpacked, or said how to get ${NO_PODMAN ?? ''}`,
      async () => {
        const name = 'localhost/sand-e2e:1';
        const podman = (...args: readonly string[]) =>
          execFileSync('podman', args, { env: { ...process.env, ...world.environment }, stdio: 'pipe' });
        const packed = join(world.root, 'packed.tar');
        execFileSync('tar', ['-cf', packed, '-C', root, '.']);
        podman('import', '--quiet', packed, name);
        try {
          const output = await run(name, ['/bin/cat', '/etc/motd']);
          expect([output.code, output.stdout, output.stderr]).toEqual([0, 'of the image\n', '']);
        } finally {
          podman('rmi', name);
        }
        const gone = await run(name, ['/bin/sh']);
        expect([gone.code, gone.stderr]).toEqual([2, expect.stringContaining('podman pull')]);
      },
    );

    it.each([
      ['docker://alpine', 'podman pull alpine'],
      ['./none', 'does not exist'],
      ['/', 'holds more than an image'],
      ['.', 'lies in what it may write'],
    ])('is refused with what to do: %s', async (image, hint) => {
      const output = await run(image, ['/bin/sh']);
      expect([output.code, output.stderr]).toEqual([2, expect.stringContaining(hint)]);
    });
  },
);
