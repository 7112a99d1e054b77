/**
 * A guest looks around on the host through what is mounted for it: credentials, logs, private files, sockets
 * and FIFOs by path, kernel settings, processes, and what its caller left open or exported.
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHostListeners, type HostListeners } from '../attacks-support/host-listeners.ts';
import { type Outcomes, outcomesFor, runProbe } from '../attacks-support/probe.ts';
import { CALLERS, createWorld, type World } from '../sand.ts';

const SECRET = 'e2e-secret-of-the-host';
const IN_HOME = [
  '.ssh/id_ed25519',
  '.aws/credentials',
  '.config/gh/hosts.yml',
  '.docker/config.json',
  '.netrc',
  '.git-credentials',
  '.bash_history',
  '.kube/config',
  '.gnupg/private-keys',
  'notes.txt',
];
const VARIABLES = [
  'AWS_SECRET_ACCESS_KEY',
  'GITHUB_TOKEN',
  'NPM_TOKEN',
  'SSH_AUTH_SOCK',
  'DBUS_SESSION_BUS_ADDRESS',
  'LD_PRELOAD_SECRET',
  'NODE_OPTIONS_SECRET',
  'KUBECONFIG',
];
const isRoot = process.getuid?.() === 0;

describe.each(CALLERS)('the host, as a guest of the %s sees it', (who) => {
  let world: World;
  let listeners: HostListeners;
  let outcomes: Outcomes;
  let sockets: readonly string[];
  let fifos: readonly string[];
  const folders: string[] = [];

  beforeAll(async () => {
    world = createWorld(who);
    const home = join(world.root, 'home');
    const owner = statSync(home);
    for (const name of IN_HOME) plant(join(home, name), owner.uid);
    writeFileSync(join(home, '.npmrc'), `//registry.example/:_authToken=${SECRET}\n`);
    plant(join(home, '.local/bin/tool'), owner.uid);
    plant(join(world.root, 'state/sand/runs/older/audit.jsonl'), owner.uid);
    plant(join(world.root, 'beside/secret'), owner.uid);
    chmodSync(join(home, '.local'), 0o755);
    for (const folder of ['/tmp', '/var/tmp', '/dev/shm'])
      folders.push(mkdtempSync(join(folder, 'sand-e2e-')));
    if (isRoot) {
      folders.push(mkdtempSync('/opt/sand-e2e-'), mkdtempSync('/usr/local/lib/sand-e2e-'));
      for (const folder of folders.slice(-2)) {
        chmodSync(folder, 0o755);
        plant(join(folder, 'one/two/three/secret'), 0);
        for (const open of ['one', 'one/two', 'one/two/three']) chmodSync(join(folder, open), 0o755);
      }
    }
    for (const folder of folders) chmodSync(folder, 0o777);
    sockets = [...folders, world.workspace, join(home, '.local/bin')].map((folder) =>
      join(folder, 'listening.sock'),
    );
    const relative = ['relative.sock', 'moved.sock', 'datagram.sock'].map((name) =>
      join(world.workspace, name),
    );
    fifos = folders.map((folder) => join(folder, 'pipe'));
    listeners = await createHostListeners(
      [
        ...sockets.map((path) => ({ path })),
        { path: 'relative.sock', folder: world.workspace },
        { path: 'before.sock', folder: world.workspace, renamed: 'moved.sock' },
        { path: join(world.workspace, 'datagram.sock'), datagram: true },
      ],
      fifos,
    );
    sockets = [...sockets, ...relative];
    const given = {
      secrets: [...IN_HOME, '.npmrc']
        .map((name) => join(home, name))
        .concat(
          join(world.root, 'beside/secret'),
          '/etc/shadow',
          '/proc/1/root/etc/shadow',
          `/proc/self/cwd/../beside/secret`,
        ),
      folders: [
        world.root,
        home,
        join(world.root, 'state'),
        join(world.root, 'config'),
        '/run',
        '/tmp',
        '/var/tmp',
        '/dev/shm',
        '/home',
        '/var',
      ],
      sockets: [
        ...sockets,
        '/run/docker.sock',
        '/var/run/docker.sock',
        '/run/dbus/system_bus_socket',
        '/run/containerd/containerd.sock',
        '/run/systemd/private',
        '/tmp/.X11-unix/X0',
      ],
      fifos,
      pids: [process.pid, process.ppid],
    };
    const variables = Object.fromEntries(VARIABLES.map((name) => [name, SECRET]));
    ({ outcomes } = await runProbe(world, 'files.py', given, ['--policy', 'offline'], {
      environment: variables,
    }));
  });
  afterAll(async () => {
    await listeners?.close();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    world.remove();
  });

  function plant(path: string, uid: number): void {
    const made = mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${SECRET}\n`, { mode: 0o600 });
    for (let at = path; made !== undefined && at.startsWith(made); at = dirname(at)) chownSync(at, uid, uid);
    chownSync(path, uid, uid);
  }

  it('shows no credential, history or note of its caller’s home, and an empty npmrc', () => {
    const { [join(world.root, 'home/.npmrc')]: npmrc, ...others } = outcomesFor(outcomes, 'read ');
    expect(npmrc).toBe('');
    expect(JSON.stringify(others)).not.toContain(SECRET);
    for (const [path, outcome] of Object.entries(others))
      expect(['ENOENT', 'EACCES', 'EPERM', ''], path).toContain(outcome);
  });

  it('shows no audit log, state or configuration of sand, and nothing beside the workspace', () => {
    expect(outcomes[`list ${world.root}`]).toEqual(['home', 'ws']);
    expect(outcomes[`list ${join(world.root, 'state')}`]).toBe('ENOENT');
    expect(outcomes[`list ${join(world.root, 'config')}`]).toBe('ENOENT');
    expect(outcomes[`list ${join(world.root, 'home')}`]).toEqual(['.local', '.npmrc']);
  });

  it('shows nothing that nobody could read, however deep it lies', () => {
    // Made by sand for this guest alone; and what tests that run beside this one have planted since.
    const own = ['group', 'hosts', 'nsswitch.conf', 'passwd', 'resolv.conf'].map((name) =>
      join('/etc', name),
    );
    const theirs = (path: string) =>
      path.includes('/sand-e2e-') && !folders.some((folder) => path.startsWith(folder));
    const readable = outcomes['readable though private'] as string[];
    expect(readable.filter((path) => !own.includes(path) && !theirs(path))).toEqual([]);
    expect(['EACCES', '']).toContain(outcomes['read /etc/shadow']);
  });

  it('shows nothing of /proc that only root may read, and no keyring', () => {
    expect(outcomes['readable though private in /proc']).toEqual([]);
    expect(['EACCES', '']).toContain(outcomes.keys);
  });

  it('writes no setting of the kernel and nothing of the system', () => {
    const writes = outcomesFor(outcomes, 'write ');
    expect(Object.keys(writes).length).toBeGreaterThan(10);
    for (const [path, outcome] of Object.entries(writes))
      expect(String(outcome), path).toMatch(/^E(ROFS|ACCES|PERM|NOENT|IO)$/);
    expect(outcomes['write /proc/sys/kernel/core_pattern']).toMatch(/^E(ROFS|ACCES)$/);
  });

  it('reaches no Unix socket by its path: in shared folders, the system, the home or the workspace', () => {
    for (const [path, outcome] of Object.entries(outcomesFor(outcomes, 'connect ')))
      expect(outcome, path).not.toBe('connected');
    expect(listeners.visits.filter((path) => path.endsWith('.sock'))).toEqual([]);
  });

  it('reaches no FIFO by its path', () => {
    for (const [path, outcome] of Object.entries(outcomesFor(outcomes, 'fifo ')))
      expect(outcome, path).not.toBe(6);
    expect(listeners.visits.filter((path) => path.endsWith('pipe'))).toEqual([]);
  });

  it('sees devices, folders and facts of the machine from a short list', () => {
    const devices = [
      'core',
      'fd',
      'full',
      'null',
      'ptmx',
      'pts',
      'random',
      'shm',
      'stderr',
      'stdin',
      'stdout',
      'tty',
      'urandom',
      'zero',
    ];
    expect(outcomes.devices).toEqual(devices);
    expect(outcomes.sys).toEqual([['devices'], ['system'], ['cpu']]);
    expect(outcomes['list /run']).toEqual(['user']);
  });

  it('sees no process but its own, and can neither signal nor trace one of the host', () => {
    // What holds the guest, what waits for the command, and the command.
    expect(outcomes.processes).toEqual([1, expect.any(Number), expect.any(Number)]);
    for (const pid of [process.pid, process.ppid]) {
      if (pid <= 9) continue;
      expect([outcomes[`kill ${pid}`], outcomes[`trace ${pid}`], outcomes[`pidfd of ${pid}`]]).toEqual([
        'ESRCH',
        'ESRCH',
        'ESRCH',
      ]);
      expect(outcomes[`memory of ${pid}`]).toBe('ENOENT');
    }
    expect(outcomes['shared memory']).toBe(1);
  });

  it('holds no descriptor of sand’s, and reads none of what holds it', () => {
    expect(Object.keys(outcomes['own descriptors'] as object).sort()).toEqual(['0', '1', '2']);
    expect(outcomes['descriptors of others']).toEqual(['EACCES', 'EACCES']);
  });

  it('knows no variable of its caller but those on the list, nor the host’s command lines', () => {
    expect(JSON.stringify([outcomes.environment, outcomes['variables of all processes']])).not.toContain(
      SECRET,
    );
    for (const name of VARIABLES) expect(outcomes.environment).not.toHaveProperty(name);
    expect(JSON.stringify(outcomes['arguments of all processes'])).not.toMatch(/sand\.js|holder|setpriv/);
  });

  it('has no terminal where its caller has none', () => {
    expect(outcomes.terminal).toBe('ENXIO');
  });
});

describe.each(CALLERS)('a listening socket in the workspace of the %s', (who) => {
  let world: World;

  beforeAll(() => {
    world = createWorld(who);
  });
  afterAll(() => world.remove());

  it('is out of the guest’s reach also where it was renamed after it was bound', async () => {
    const [path, renamed] = ['bound.sock.1', 'bound.sock'].map((name) => join(world.workspace, name)) as [
      string,
      string,
    ];
    const server = await createHostListeners([{ path, renamed }], []);
    const asked = `import socket; socket.socket(socket.AF_UNIX).connect('${renamed}'); print('connected')`;
    const output = await world.sand(['run', '--policy', 'offline', '--', '/usr/bin/python3', '-c', asked]);
    await server.close();
    expect(server.visits).toEqual([]);
    expect(output).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('Error') });
  });
});
