/** What people do with a guest of the tart backend that runs: commands, files, ssh, ports, and what it is and has. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunOutput } from '../sand.ts';
import { CAN_EMULATE, createTartWorld, TART_MS, type TartWorld, USUAL_IMAGE } from './tart-world.ts';

const LINUX = 'ghcr.io/cirruslabs/ubuntu:latest';
const SYSTEMS = [
  { system: 'macOS', image: USUAL_IMAGE, home: '/Users/admin', kernel: 'Darwin' },
  { system: 'Linux', image: LINUX, home: '/home/admin', kernel: 'Linux' },
] as const;

const has = (program: string) =>
  spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH: '/usr/sbin:/usr/bin:/bin' } }).status === 0;
const HAS_SSH = has('sshd') && has('ssh') && has('scp');

describe.skipIf(!CAN_EMULATE).each(SYSTEMS)(
  'a guest of $system of the tart backend that runs',
  { timeout: TART_MS },
  ({ image, home, kernel }) => {
    let world: TartWorld;
    let port: number;
    const fine = async (...args: readonly string[]): Promise<RunOutput> => {
      const output = await world.sand(args);
      expect(output.code, output.stderr).toBe(0);
      return output;
    };
    beforeAll(async () => {
      world = createTartWorld();
      world.image(LINUX, { os: 'linux' });
      port = await freePort();
      await world.detach(
        'held',
        [
          ...['--image', image, '--mount', '.', '-p', `${port}:8080`, '--vnc', '--display', '1280x800'],
          ...['--cpus', '3', '--memory', '5GiB', '--disk', '70GiB'],
        ],
        ['sh', '-c', 'echo up; cd / && exec python3 -m http.server 8080 --bind 127.0.0.1 2>/dev/null'],
      );
    }, TART_MS);
    afterAll(() => world.end(), TART_MS);

    it('runs commands with streams, variables and a folder of their own', async () => {
      const script = 'uname -s; whoami; pwd; echo "$A"; cat; echo err >&2; exit 7';
      const ran = await world.sand(
        ['exec', '--env', 'A=b  c', '--workdir', home, 'held', '--', 'sh', '-c', script],
        { input: 'typed' },
      );
      expect(ran).toMatchObject({
        code: 7,
        stdout: `${kernel}\nadmin\n${home}\nb  c\ntyped`,
        stderr: 'err\n',
      });
      const nowhere = await world.sand(['exec', '--workdir', '/none', 'held', '--', 'true']);
      expect(nowhere).toMatchObject({
        code: 126,
        stderr: expect.stringContaining('sand: /none: no such folder'),
      });
      const missing = await world.sand(['exec', 'held', '--', 'no-such-program']);
      expect(missing).toMatchObject({ code: 127, stderr: 'sand: no-such-program: command not found\n' });
      expect(await world.sand(['exec', 'held', '--', '/etc/passwd'])).toMatchObject({ code: 126 });
    });

    it('gives files, and takes them', async () => {
      world.file('project/src/a.txt', 'one');
      await fine('cp', 'project', `held:${home}/in`);
      await fine('cp', 'project/src/a.txt', 'held:/tmp/b.txt');
      expect((await world.exec('held', `cat ${home}/in/src/a.txt /tmp/b.txt`)).stdout).toBe('oneone');
      mkdirSync(join(world.workspace, 'out'));
      await fine('cp', `held:${home}/in/.`, 'out');
      await fine('cp', 'held:/tmp/b.txt', 'out/c.txt');
      expect(readdirSync(join(world.workspace, 'out')).sort()).toEqual(['c.txt', 'src']);
      expect(readFileSync(join(world.workspace, 'out/c.txt'), 'utf8')).toBe('one');
      expect(await world.sand(['cp', 'held:/tmp/none', 'out'])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('(copy-failed)'),
      });
    });

    it.skipIf(!HAS_SSH)('is reached by ssh: commands, files, and servers on its loopback', async () => {
      const script = 'cat; echo "two  words" >&2; test "$HTTPS_PROXY" && exit 7';
      const ran = await world.sand(['ssh', 'held', '--', 'sh', '-c', script], { input: 'typed' });
      expect(ran).toMatchObject({ code: 7, stdout: 'typed', stderr: 'two  words\n' });
      const config = world.file('ssh-config', (await fine('ssh', '--config', 'held')).stdout);
      const client = (...args: readonly string[]) =>
        spawn(args[0] ?? '', args.slice(1), { cwd: world.workspace, env: world.environment });
      world.file('up', 'uploaded');
      expect(await once(client('scp', '-q', '-F', config, 'up', 'sand-held:up'), 'close')).toEqual([0, null]);
      expect((await world.exec('held', `cat ${home}/up`)).stdout).toBe('uploaded');
      const own = await freePort();
      const forward = `127.0.0.1:${own}:127.0.0.1:8080`;
      const forwarding = client(
        'ssh',
        '-F',
        config,
        '-o',
        'ExitOnForwardFailure=yes',
        '-N',
        '-L',
        forward,
        'sand-held',
      );
      try {
        await expect.poll(() => statusOf(own), { timeout: 30_000 }).toBe(200);
      } finally {
        forwarding.kill();
        await once(forwarding, 'close');
      }
    });

    it('has its published port served also where its server listens on loopback alone', async () => {
      await expect.poll(() => statusOf(port), { timeout: 30_000 }).toBe(200);
      const many = await Promise.all(Array.from({ length: 5 }, () => statusOf(port)));
      expect(many).toEqual([200, 200, 200, 200, 200]);
      const inbound = (await world.events()).filter(({ kind }) => kind === 'inbound');
      expect(inbound.length).toBeGreaterThan(5);
      expect(inbound).toContainEqual(expect.objectContaining({ disposition: 'forwarded' }));
    });

    it('is told of by ip, inspect and logs', async () => {
      expect((await fine('ip', 'held')).stdout).toBe('198.18.0.2\n');
      const { guest } = JSON.parse((await fine('inspect', '--json', 'held')).stdout);
      const [machine = ''] = world.machines();
      expect(guest).toEqual({
        machine,
        image,
        address: '198.18.0.2',
        screen: expect.stringMatching(/^vnc:\/\//),
      });
      expect((await fine('logs', 'held')).stdout).toBe('up\n');
    });

    it('has the processors, memory, disk and screen that were asked for', () => {
      const [machine = ''] = world.machines();
      const told = spawnSync('tart', ['get', machine, '--format', 'json'], {
        env: { HOME: world.home, PATH: world.environment.SAND_TOOL_PATH },
      });
      // 70 GiB are 75.2 of the tool's, and nothing less is given.
      expect(JSON.parse(told.stdout.toString())).toMatchObject({
        CPU: 3,
        Memory: 5120,
        Disk: 76,
        Display: '1280x800',
        Running: true,
      });
    });

    it('ends by its name, and nothing of it is left', async () => {
      await fine('stop', 'held');
      expect(world.machines()).toEqual([]);
      expect(await world.sand(['ip', 'held'])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('(guest-ended)'),
      });
      expect(await world.sand(['ssh', 'held'])).toMatchObject({
        stderr: expect.stringContaining('(guest-ended)'),
      });
    });
  },
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** 0 where nobody answers. */
async function statusOf(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } }).catch(
    () => null,
  );
  await answer?.text().catch(() => '');
  return answer?.status ?? 0;
}
