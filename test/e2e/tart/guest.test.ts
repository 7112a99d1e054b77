/** A guest of the tart backend on its emulator: what of the host it sees, what of its commands comes out, and what is left of it. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { follow, until } from '../lifecycle/conditions.ts';
import { CAN_EMULATE, createTartWorld, TART, type TartWorld } from './tart-world.ts';

/** The emulator's calls are processes of their own, and there are a dozen to a run. */
const RUN_MS = 120_000;
const LINUX = 'ghcr.io/cirruslabs/ubuntu:latest';

describe.skipIf(!CAN_EMULATE)('a guest of the tart backend', { timeout: RUN_MS * 2 }, () => {
  let world: TartWorld;
  const run = (flags: readonly string[], command: readonly string[], input?: string) =>
    world.sand(['run', ...TART, '--policy', 'offline', ...flags, '--', ...command], {
      deadlineMs: RUN_MS,
      ...(input === undefined ? {} : { input }),
    });
  const shell = (script: string, ...flags: readonly string[]) => run(flags, ['sh', '-c', script]);
  const machines = (): readonly string[] =>
    JSON.parse(
      execFileSync('tart', ['list', '--source', 'local', '--format', 'json'], {
        env: { HOME: world.environment.HOME, PATH: world.environment.SAND_TOOL_PATH },
        stdio: ['ignore', 'pipe', 'ignore'],
      }).toString(),
    ).map(({ Name }: { readonly Name: string }) => Name);

  beforeAll(() => {
    world = createTartWorld();
    world.image(LINUX, { os: 'linux' });
  });
  afterEach(() => world.be({}));
  afterAll(() => world.end());

  it('has its folder at the host\u2019s own path, gives what it wrote, and ends with the command\u2019s status', async () => {
    world.file('in.txt', 'from the host');
    const { code, stdout, stderr } = await run(
      [],
      ['sh', '-c', 'pwd; cat in.txt; echo made > out.txt; cat; echo said >&2; exit 42'],
      'typed',
    );
    expect([code, stdout]).toEqual([42, `${world.workspace}\nfrom the hosttyped`]);
    expect(stderr).toContain('said\n');
    expect(stderr).not.toContain('\u001e');
    expect(readFileSync(join(world.workspace, 'out.txt'), 'utf8')).toBe('made\n');
    expect(machines()).toEqual([]);
    const events = await world.events();
    expect(events[0]).toMatchObject({
      backend: 'tart',
      isolation: 'vm',
      confinement: 'enforced',
      image: { digest: expect.stringMatching(/^sha256:/) },
    });
  });

  it.each([1, 2, 255])('tells a command\u2019s own %d from the tool\u2019s', async (status) => {
    expect(await shell(`exit ${status}`)).toMatchObject({ code: status });
  });

  it('is told apart from a stream that was cut, which the tool calls a success', async () => {
    world.be({ faults: [{ fault: 'cut-stream', ms: 12_000 }] });
    const { code, stderr } = await shell('sleep 600');
    expect(code).toBe(125);
    expect(stderr).toContain('did not run to its end');
    expect(machines()).toEqual([]);
  });

  it('does not wait for what the command has left with its output open', async () => {
    expect(await shell('sleep 600 & echo left')).toMatchObject({ code: 0, stdout: 'left\n' });
  });

  it('passes a signal on to the command', async () => {
    const child = world.start([
      ...['run', ...TART, '--policy', 'offline', '--', 'sh', '-c'],
      'trap "echo caught; exit 9" TERM; echo up; while :; do sleep 0.1; done',
    ]);
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said === 'up\n') child.kill('SIGTERM');
    });
    await new Promise((resolve) => child.once('close', resolve));
    expect(said).toBe('up\ncaught\n');
    expect(machines()).toEqual([]);
  });

  it.each([
    ['dies of it', 'yes', 141],
    ['goes on', "trap '' PIPE; yes 2>/dev/null | head -c 3m; exit 9", 9],
  ])('outlives whoever reads its output, and a command %s', async (_, script, code) => {
    const child = world.start(['run', ...TART, '--policy', 'offline', '--', 'sh', '-c', script]);
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(code);
    // Not left to whoever comes next.
    expect(machines()).toEqual([]);
    expect((await world.events()).at(-1)).toMatchObject({ kind: 'run-end', exitCode: code });
  });

  it('gets no write through a read-only mount, and a single file by itself', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sand-tart-'));
    try {
      writeFileSync(join(folder, 'a'), 'kept');
      writeFileSync(join(folder, 'alone'), 'alone');
      mkdirSync(join(folder, 'ro'));
      writeFileSync(join(folder, 'ro/b'), 'kept');
      const { stdout, stderr } = await shell(
        'cat /opt/ro/b; echo x > /opt/ro/b; sudo sh -c "echo x > /opt/ro/b"; cat /opt/alone',
        ...['--mount', `${folder}/ro:/opt/ro:ro`, '--mount', `${folder}/alone:/opt/alone:ro`],
      );
      expect(stdout).toBe('keptalone');
      expect(stderr).toMatch(/Read-only file system|Permission denied/);
      expect(readFileSync(join(folder, 'ro/b'), 'utf8')).toBe('kept');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses a mount inside of another, and a place that the guest has something at', async () => {
    mkdirSync(join(world.workspace, 'inner'), { recursive: true });
    const inner = await shell(
      'true',
      '--mount',
      '.',
      '--mount',
      `${world.workspace}/inner:${world.workspace}/inner:ro`,
    );
    expect(inner).toMatchObject({ code: 2, stderr: expect.stringContaining('(workspace-refused)') });
    const taken = await shell('true', '--mount', `${world.workspace}/inner:/Users`);
    expect(taken).toMatchObject({ code: 2, stderr: expect.stringContaining('has something at /Users') });
    expect(machines()).toEqual([]);
  });

  it('has protected files put back that it changed, and those that it made moved aside', async () => {
    mkdirSync(join(world.workspace, '.git/hooks'), { recursive: true });
    mkdirSync(join(world.workspace, '.vscode'), { recursive: true });
    writeFileSync(join(world.workspace, '.git/hooks/pre-commit'), 'honest');
    writeFileSync(join(world.workspace, '.vscode/settings.json'), '{}');
    const { code, stderr } = await shell(
      'echo evil > .git/hooks/pre-commit; rm -r .vscode; echo evil > .envrc; mkdir .husky',
    );
    expect(code).toBe(0);
    expect(readFileSync(join(world.workspace, '.git/hooks/pre-commit'), 'utf8')).toBe('honest');
    expect(readFileSync(join(world.workspace, '.git/hooks.made-by-guest/pre-commit'), 'utf8')).toBe('evil\n');
    expect(readFileSync(join(world.workspace, '.vscode/settings.json'), 'utf8')).toBe('{}');
    expect(existsSync(join(world.workspace, '.envrc'))).toBe(false);
    expect(existsSync(join(world.workspace, '.husky'))).toBe(false);
    expect(stderr).toContain('put back');
    const codes = (await world.events()).flatMap((event) => (event.kind === 'notice' ? [event.code] : []));
    expect(codes).toEqual(
      expect.arrayContaining([
        'protected-files-restored',
        'protected-file-changed',
        'protected-file-created',
      ]),
    );
  });

  it('undoes what somebody on the host changed meanwhile as well, and says how to take it back', async () => {
    mkdirSync(join(world.workspace, '.git'), { recursive: true });
    const config = join(world.workspace, '.git/config');
    writeFileSync(config, 'from before');
    const script = 'echo up; while ! test -e go; do sleep 0.1; done';
    const guest = follow(
      world.start(['run', ...TART, '--policy', 'offline', '--mount', '.', '--', 'sh', '-c', script]),
    );
    await guest.printed('up\n', RUN_MS);
    // By a rename, as editors and git do it.
    writeFileSync(`${config}.lock`, 'from the host');
    renameSync(`${config}.lock`, config);
    world.file('go', '');
    expect(await guest.ended(RUN_MS)).toBe(0);
    expect(guest.stderr()).toContain('what is changed there meanwhile, by it or by you, is put back');
    expect(readFileSync(config, 'utf8')).toBe('from before');
    expect(readFileSync(`${config}.made-by-guest`, 'utf8')).toBe('from the host');
    const [, command] = /and if it is yours, (mv .*)$/m.exec(guest.stderr()) ?? [];
    execFileSync('sh', ['-c', command ?? 'false']);
    expect(readFileSync(config, 'utf8')).toBe('from the host');
    expect(readFileSync(`${config}.before-guest`, 'utf8')).toBe('from before');
  });

  it('has protected files put back where the machine ran and the guest never came up', async () => {
    mkdirSync(join(world.workspace, '.git'), { recursive: true });
    const config = join(world.workspace, '.git/config');
    writeFileSync(config, 'honest');
    const other = mkdtempSync(join(tmpdir(), 'sand-tart-'));
    const mounts = ['--mount', '.', '--mount', `${other}:/Users`];
    const guest = follow(world.start(['run', ...TART, '--policy', 'offline', ...mounts, '--', 'true']));
    const state = world.environment.XDG_STATE_HOME ?? '';
    // Made when the copies are, just before the machine runs.
    await until('the machine', () =>
      readdirSync(state, { recursive: true }).some((name) => `${name}`.endsWith('/libexec/softnet')),
    );
    writeFileSync(config, 'evil');
    expect(await guest.ended(RUN_MS)).toBe(2);
    expect(guest.stderr()).toContain('has something at /Users');
    expect(guest.stderr()).toContain('is put back as it was');
    expect(readFileSync(config, 'utf8')).toBe('honest');
    expect(machines()).toEqual([]);
    rmSync(other, { recursive: true });
  });

  it('has what is muted refused and in the log, but not in the report at its end', async () => {
    const ask = (host: string) => `curl -s -m 20 -o /dev/null https://${host}/`;
    const { code, stderr } = await world.sand(
      [
        ...['run', ...TART, '--policy', 'offline', '--policy', 'group:macos-guest/quiet', '--'],
        ...['sh', '-c', `${ask('1-courier.push.apple.com')}; ${ask('wanted.example')}; exit 0`],
      ],
      { deadlineMs: RUN_MS },
    );
    expect(code).toBe(0);
    expect(stderr).toContain('1 destination was denied');
    expect(stderr).toContain('wanted.example');
    expect(stderr).not.toContain('push.apple.com');
    const decisions = (await world.events()).flatMap((event) => (event.kind === 'connection' ? [event] : []));
    expect(decisions.filter(({ host }) => host === '1-courier.push.apple.com')).not.toEqual([]);
    for (const { host, disposition, muted } of decisions) {
      expect([host, disposition, muted === true]).toEqual([host, 'refused', host !== 'wanted.example']);
    }
  });

  it('gets secrets and variables that no list of the host\u2019s processes shows', async () => {
    world.file('token', 'tok-1234');
    const seen = new Set<string>();
    const watch = setInterval(() => {
      const listed = execFileSync('ps', ['-eo', 'args']).toString();
      for (const word of ['tok-1234', 'value-5678']) if (listed.includes(word)) seen.add(word);
    }, 300);
    const { code, stdout } = await shell(
      'cat /var/run/secrets/token; echo " $KEY"; stat -c %a /var/run/secrets/token',
      ...['--secret', `token=${world.workspace}/token`, '--env', `KEY=value-5678`],
    ).finally(() => clearInterval(watch));
    expect([code, stdout]).toEqual([0, 'tok-1234 value-5678\n400\n']);
    // The caller's own command line has the variable; nothing else does.
    expect([...seen]).not.toContain('tok-1234');
  });

  it('serves a published port through its cable', async () => {
    const server = 'python3 -m http.server 8080 --bind 198.18.0.2 >/dev/null 2>&1 & echo up; sleep 600';
    const child = world.start([
      'run',
      ...TART,
      '--policy',
      'offline',
      '-p',
      '18080:8080',
      '--',
      'sh',
      '-c',
      server,
    ]);
    try {
      await new Promise<void>((resolve) => child.stdout?.once('data', () => resolve()));
      await answered(18_080);
    } finally {
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('close', resolve));
    }
    expect(machines()).toEqual([]);
  });

  it('takes commands by exec, and is gone after stop', async () => {
    const flags = ['-d', '--name', 'mac', '--mount', '.'];
    const up = await world.sand(['run', ...TART, '--policy', 'offline', ...flags], { deadlineMs: RUN_MS });
    expect(up).toMatchObject({ code: 0 });
    expect(machines()).toHaveLength(1);
    const exec = await world.sand(['exec', 'mac', '--env', 'A=b c', '--', 'sh', '-c', 'echo "$A"; exit 3'], {
      deadlineMs: RUN_MS,
    });
    expect(exec).toMatchObject({ code: 3, stdout: 'b c\n' });
    expect(await world.sand(['stop', 'mac'], { deadlineMs: RUN_MS })).toMatchObject({ code: 0 });
    expect(machines()).toEqual([]);
    await world.sand(['rm', 'mac']);
  });

  it('is refused as the third of macOS before that is started, and told which two run', async () => {
    const start = (name: string) =>
      world.sand(['run', ...TART, '--policy', 'offline', '-d', '--name', name], { deadlineMs: RUN_MS });
    const ups = [await start('one'), await start('two')];
    expect(ups.map(({ code }) => code)).toEqual([0, 0]);
    const third = await shell('true');
    expect(third).toMatchObject({ code: 125, stderr: expect.stringMatching(/two|2 guests of macOS/) });
    for (const machine of machines()) expect(third.stderr).toContain(machine);
    expect(machines()).toHaveLength(2);
    await world.sand(['rm', '--force', 'one', 'two'], { deadlineMs: RUN_MS });
    expect(machines()).toEqual([]);
  });

  it('shows its screen where that is wanted, and tells its address', async () => {
    const flags = ['-d', '--name', 'seen', '--vnc', '--display', '1280x800'];
    const up = await world.sand(['run', ...TART, '--policy', 'offline', ...flags], { deadlineMs: RUN_MS });
    expect(up).toMatchObject({ code: 0 });
    const inspected = await world.sand(['inspect', '--json']);
    expect(JSON.parse(inspected.stdout).guest).toMatchObject({ screen: expect.stringMatching(/^vnc:/) });
    expect(await world.sand(['ip'])).toMatchObject({ code: 0, stdout: '198.18.0.2\n' });
    await world.sand(['rm', '--force', 'seen'], { deadlineMs: RUN_MS });
  });

  it('is removed by the next sand where its supervisor was killed', async () => {
    const child = world.start([
      'run',
      ...TART,
      '--policy',
      'offline',
      '--',
      'sh',
      '-c',
      'echo up; sleep 600',
    ]);
    await new Promise<void>((resolve) => child.stdout?.once('data', () => resolve()));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    await world.sand(['prune'], { deadlineMs: RUN_MS });
    expect(machines()).toEqual([]);
  });

  it('may be one of Linux, whose shares are mounted', async () => {
    world.file('in.txt', 'shared');
    const { code, stdout } = await shell('uname -s; cat in.txt', '--image', LINUX);
    expect([code, stdout]).toEqual([0, 'Linux\nshared']);
  });
});

/** The server in the guest may be on its way. */
async function answered(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await get(port)).startsWith('HTTP/1.0 200')) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing answers at ${port}`);
}

function get(port: number): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket = createConnection(port, '127.0.0.1', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    socket.on('error', () => resolve('')).on('close', () => resolve(said));
  });
}
