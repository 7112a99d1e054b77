/**
 * Real servers of the distribution, reached from a guest by `tcp` rules: SSH (with a key, with the caller's
 * agent, and git over it), PostgreSQL and Redis. Each is started here on 127.0.0.1 and ended by pid.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOrigins, type Origins } from './origins.ts';
import { createWorld, type RunOutput, type World } from './sand.ts';

const READY_DEADLINE_MS = 20_000;
const POSTGRES = ['15', '16', '17', '18']
  .map((version) => `/usr/lib/postgresql/${version}/bin`)
  .find((path) => existsSync(path));
const IS_ROOT = process.getuid?.() === 0;
/** nobody: PostgreSQL refuses to run as root. */
const UNPRIVILEGED = 65_534;

let origins: Origins;
let world: World;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  origins = await createOrigins();
  world = createWorld();
  folder = mkdtempSync(join(tmpdir(), 'sand-servers-'));
  chmodSync(folder, 0o755);
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
  world.remove();
  await origins.close();
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function started(
  port: number,
  file: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<void> {
  const child = spawn(file, args, { stdio: 'ignore', env: { ...process.env, ...environment } });
  children.push(child);
  const deadline = Date.now() + READY_DEADLINE_MS;
  while (Date.now() < deadline) {
    if (await accepts(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${file} did not listen on ${port}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function inGuest(
  port: number,
  script: string,
  flags: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<RunOutput> {
  world.file(
    'p.yaml',
    `version: 1\nname: servers\nrules:\n  - allow: server.origin.test\n    tcp: [${port}]\n    addresses: [127.0.0.1]\n`,
  );
  const own = ['run', '--policy', './p.yaml', '--dns-upstream', `127.0.0.1:${origins.dnsPort}`, ...flags];
  return world.sand([...own, '--', 'sh', '-c', script], { environment });
}

describe.skipIf(!IS_ROOT || !existsSync('/usr/sbin/sshd'))('SSH through a tcp rule', () => {
  let port: number;

  beforeAll(async () => {
    port = await freePort();
    const key = (name: string) =>
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
    key('host');
    key('user');
    writeFileSync(join(folder, 'authorized'), execFileSync('cat', [join(folder, 'user.pub')]));
    writeFileSync(
      join(folder, 'sshd_config'),
      `ListenAddress 127.0.0.1\nPort ${port}\nHostKey ${folder}/host\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nAuthorizedKeysFile ${folder}/authorized\n`,
    );
    mkdirSync('/run/sshd', { recursive: true });
    await started(port, '/usr/sbin/sshd', ['-D', '-f', join(folder, 'sshd_config')]);
    execFileSync('git', ['init', '-q', '--bare', join(folder, 'repository.git')]);
  });

  const ssh = (more: string) =>
    `ssh -p ${port} -o StrictHostKeyChecking=no -o BatchMode=yes ${more} root@server.origin.test`;

  it('works with a key that lies in the workspace', async () => {
    const key = world.file('id', execFileSync('cat', [join(folder, 'user')]).toString());
    chmodSync(key, 0o600);
    const run = await inGuest(port, `${ssh('-i ./id')} echo over ssh`);
    expect(run.stdout).toBe('over ssh\n');
    rmSync(key);
  });

  it('works with the caller’s agent when it is shared, and git with it; and not when it is not', async () => {
    const socket = join(folder, 'agent.sock');
    children.push(spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' }));
    const deadline = Date.now() + READY_DEADLINE_MS;
    while (!existsSync(socket) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const environment = { SSH_AUTH_SOCK: socket };
    execFileSync('ssh-add', ['-q', join(folder, 'user')], {
      env: { ...process.env, ...environment },
      stdio: 'ignore',
    });
    const clone = `GIT_SSH_COMMAND='ssh -o StrictHostKeyChecking=no' git clone -q ssh://root@server.origin.test:${port}${folder}/repository.git cloned 2>&1 && ls -d cloned/.git`;
    const shared = await inGuest(
      port,
      `${ssh('')} echo by agent; ${clone}`,
      ['--share', 'ssh-agent'],
      environment,
    );
    expect(shared.stdout).toContain('by agent\n');
    expect(shared.stdout).toContain('cloned/.git');
    const alone = await inGuest(port, `${ssh('')} echo by agent`, [], environment);
    expect(alone.stdout).toBe('');
    expect(alone.stderr).toContain('Permission denied');
  });

  it('is recorded with its bytes both ways', async () => {
    const events = await world.events();
    expect(events).toContainEqual(
      expect.objectContaining({
        kind: 'connection',
        host: 'server.origin.test',
        port,
        protocol: 'tcp',
        verdict: 'allow',
      }),
    );
    const close = events.find((event) => event.kind === 'close');
    expect(close).toMatchObject({ bytesIn: expect.any(Number) });
    expect(close?.kind === 'close' && close.bytesIn).toBeGreaterThan(500);
  });
});

describe.skipIf(!IS_ROOT || POSTGRES === undefined || !existsSync('/usr/bin/psql'))(
  'PostgreSQL through a tcp rule',
  () => {
    it('answers psql', async () => {
      const port = await freePort();
      const data = join(folder, 'postgres');
      mkdirSync(data);
      chownSync(data, UNPRIVILEGED, UNPRIVILEGED);
      const as = [`--reuid=${UNPRIVILEGED}`, `--regid=${UNPRIVILEGED}`, '--clear-groups', '--'];
      execFileSync('setpriv', [...as, `${POSTGRES}/initdb`, '-D', data, '-A', 'trust', '-U', 'guest'], {
        stdio: 'ignore',
      });
      await started(port, 'setpriv', [
        ...as,
        `${POSTGRES}/postgres`,
        '-D',
        data,
        '-p',
        String(port),
        '-h',
        '127.0.0.1',
        '-k',
        data,
      ]);
      const run = await inGuest(
        port,
        `psql -h server.origin.test -p ${port} -U guest -d postgres -tAc 'select 6 * 7'`,
      );
      expect(run).toMatchObject({ stdout: '42\n', code: 0 });
    });
  },
);

describe.skipIf(!existsSync('/usr/bin/redis-server'))('Redis through a tcp rule', () => {
  it('answers redis-cli, also many pipelined commands', async () => {
    const port = await freePort();
    await started(port, 'redis-server', [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--dir',
      folder,
    ]);
    const many = 'i=0; while [ $i -lt 2000 ]; do echo "INCR counter"; i=$((i+1)); done';
    const cli = `redis-cli -h server.origin.test -p ${port}`;
    const run = await inGuest(port, `${cli} ping; (${many}) | ${cli} >/dev/null; ${cli} get counter`);
    expect(run.stdout).toBe('PONG\n2000\n');
  });
});
