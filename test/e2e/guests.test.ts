/** Guests that stay: started, listed, joined, read, ended and removed by the real command. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../audit/event.ts';
import { readAuditLog } from '../../audit/read.ts';
import { verifyAuditLog } from '../../audit/verify.ts';
import { allGone, detach, endGuests, guestOf, guestsOf, processesOf } from './background.ts';
import { follow, until } from './lifecycle/conditions.ts';
import { processes } from './lifecycle/remains.ts';
import { NO_TERMINAL, openTerminal } from './lifecycle/terminal-bridge.ts';
import { CALLERS, createWorld, type World } from './sand.ts';

const LOOP = 'while :; do sleep 0.1; done';

describe.each(CALLERS)('a guest in the background of the %s', (who) => {
  let world: World;
  beforeAll(() => {
    world = createWorld(who);
  });
  afterEach(() => endGuests(world));
  afterAll(() => world.remove());

  const folderOf = (run: string) => join(world.root, 'state/sand/runs', run);
  const namesFolder = () => join(world.root, 'state/sand/guests');
  const exec = (guest: string, script: string, input = '') =>
    world.sand(['exec', guest, '--', 'sh', '-c', script], { input });
  async function eventsOf(run: string): Promise<readonly AuditEvent[]> {
    const events: AuditEvent[] = [];
    for await (const line of readAuditLog(join(folderOf(run), 'audit.jsonl')))
      if (line.ok) events.push(line.event);
    return events;
  }

  it('is told by its name, listed, and lives on without the command that started it', async () => {
    expect(await detach(world, 'web', ['sh', '-c', LOOP])).toMatchObject({ stdout: 'web\n', stderr: '' });
    const listed = await world.sand(['ls']);
    expect(listed.stdout).toMatch(
      /^NAME +STANDING +BACKEND +STARTED \(UTC\) +COMMAND\nweb +running +linux +\d{4}-/,
    );
    const guest = await guestOf(world, 'web');
    expect(guest.standing).toBe('running');
    const supervisor = processes().find(({ pid }) => pid === guest.pid);
    expect(supervisor?.commandLine).toMatch(/sand\.js supervise$/);
    expect((await world.sand(['inspect', 'web', '--json'])).stdout).toContain('"standing":"running"');
  });

  it('without a command is held, and takes commands', async () => {
    const { stdout } = await world.sand(['run', '-d', '--policy', 'offline', '--json']);
    const { guest, run } = JSON.parse(stdout) as { guest: string; run: string };
    expect(guest).toBe(run);
    expect(await exec(guest, 'echo here')).toMatchObject({ code: 0, stdout: 'here\n', stderr: '' });
    expect(await exec(run.slice(0, -1), 'echo by its beginning')).toMatchObject({ code: 0 });
    expect(await world.sand(['stop', guest])).toMatchObject({ code: 0, stdout: `${guest}\n` });
    expect(await guestOf(world, guest)).toMatchObject({
      standing: 'ended',
      end: { cause: 'stop', exitCode: 0 },
    });
  });

  it('keeps its name to itself until it is removed', async () => {
    await detach(world, 'web', ['true']);
    await world.sand(['wait', 'web']);
    const second = await world.sand(['run', '--name', 'web', '--policy', 'offline', '--', 'true']);
    expect(second).toMatchObject({ code: 2, stdout: '' });
    expect(second.stderr).toContain('(guest-exists)');
    expect((await guestsOf(world)).length).toBe(1);
    await world.sand(['rm', 'web']);
    const third = await world.sand(['run', '--name', 'web', '--policy', 'offline', '--', 'true']);
    expect(third).toMatchObject({ code: 0 });
    expect(readdirSync(namesFolder())).toEqual([]);
  });

  it.each(['../x', '-d'])('is not named %j', async (name) => {
    const { code, stderr } = await world.sand(['run', '-d', `--name=${name}`, '--', 'true']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('(usage)')]);
    expect(await guestsOf(world)).toEqual([]);
  });

  it('that cannot come up says why, and leaves nothing', async () => {
    const broken = world.file('broken.yaml', 'version: 1\nrules: nonsense\n');
    const { code, stdout, stderr } = await world.sand([
      'run',
      '-d',
      '--name',
      'web',
      '--policy',
      broken,
      '--',
      'true',
    ]);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining('(policy-invalid)')]);
    const busy = await world.sand(['run', '-d', '--name', 'one', '--policy', 'offline']);
    expect(busy.code).toBe(0);
    const { dnsPort } = await guestOf(world, 'one');
    const taken = await world.sand([
      'run',
      '-d',
      '--name',
      'two',
      '--policy',
      'offline',
      '--dns-port',
      String(dnsPort),
    ]);
    expect([taken.code, taken.stderr]).toEqual([125, expect.stringContaining('(port-in-use)')]);
    expect((await guestsOf(world)).map(({ name }) => name)).toEqual(['one']);
  });

  it('gives its commands their streams, exit codes and signals', async () => {
    await detach(world, 'web', []);
    expect(await exec('web', 'cat; echo err >&2; exit 7', 'given')).toMatchObject({
      code: 7,
      stdout: 'given',
      stderr: 'err\n',
    });
    expect(await exec('web', 'kill -KILL $$')).toMatchObject({ code: 137 });
    expect(await world.sand(['exec', 'web', '--', 'no-such'])).toMatchObject({ code: 127 });
    const trapping = follow(
      world.start(['exec', 'web', '--', 'sh', '-c', `trap 'echo got; exit 42' TERM; echo up; ${LOOP}`]),
    );
    await trapping.printed('up');
    trapping.child.kill('SIGTERM');
    expect(await trapping.ended()).toBe(42);
    expect(trapping.stdout()).toBe('up\ngot\n');
    const flags = ['--env', 'WORD=said', '--workdir', '/tmp'];
    const given = await world.sand(['exec', ...flags, 'web', '--', 'sh', '-c', 'echo $WORD; pwd']);
    expect(given.stdout).toBe('said\n/tmp\n');
  });

  it('ends a command whose sand is killed, and goes on', async () => {
    await detach(world, 'web', []);
    const command = follow(world.start(['exec', 'web', '--', 'sh', '-c', 'echo up; exec sleep 7171']));
    await command.printed('up');
    command.child.kill('SIGKILL');
    await until('its end', () => !processes().some(({ commandLine }) => commandLine === 'sleep 7171'));
    expect(await exec('web', 'echo on')).toMatchObject({ stdout: 'on\n' });
  });

  it('is one place for all its commands: files, processes, loopback', async () => {
    await detach(world, 'web', ['sh', '-c', 'echo first > /tmp/word; echo mine > ~/own; exec sleep 8181']);
    await until('the first command', () =>
      processes().some(({ commandLine }) => commandLine === 'sleep 8181'),
    );
    const seen = await exec(
      'web',
      'cat /tmp/word ~/own; cat /proc/[0-9]*/cmdline | tr "\\0" " " | grep -c "sleep 8181"',
    );
    expect(seen.stdout).toMatch(/^first\nmine\n[1-9]/);
    await exec('web', 'echo second > /tmp/word');
    expect((await exec('web', 'cat /tmp/word')).stdout).toBe('second\n');
    expect(existsSync('/tmp/word')).toBe(false);
  });

  it('is under one policy, and every command is probed and on record before it runs', async () => {
    await detach(world, 'web', []);
    const { run } = await guestOf(world, 'web');
    const denied = await exec('web', 'curl -sS -m 5 https://example.com; echo "curl=$?"');
    expect(denied.stdout).not.toContain('curl=0');
    await world.sand(['exec', 'web', '--', 'sh', '-c', 'exit 3', '--token', 'hush-hush']);
    await world.sand(['stop', 'web']);
    const events = await eventsOf(run);
    const begins = events.findIndex(({ kind }) => kind === 'exec');
    expect(events.slice(begins - 3, begins).map(({ kind }) => kind)).toEqual(['probe', 'probe', 'probe']);
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'connection', host: 'example.com', verdict: 'deny' }),
    );
    expect(events.filter(({ kind }) => kind === 'exec-end')).toMatchObject([
      { exec: 1, exitCode: 0 },
      { exec: 2, exitCode: 3 },
    ]);
    expect(JSON.stringify(events)).not.toContain('hush-hush');
    expect(events[0]).toMatchObject({ kind: 'run-start', name: 'web' });
    expect(events.at(-1)).toMatchObject({ kind: 'run-end', cause: 'stop' });
    expect(await verifyAuditLog(join(folderOf(run), 'audit.jsonl'))).toMatchObject({
      intact: true,
      ended: true,
    });
  });

  it('keeps what its own commands print, and follows it to the end', async () => {
    await detach(world, 'web', [
      'sh',
      '-c',
      'echo out; echo err >&2; printf "\\377\\0"; read x < /tmp/go; echo end',
    ]);
    await exec('web', 'mkfifo /tmp/go 2>/dev/null; echo not kept');
    const logs = follow(world.start(['logs', '-f', 'web']));
    await logs.printed('err');
    expect(logs.stdout()).not.toContain('end');
    await world.sand(['stop', 'web']);
    expect(await logs.ended()).toBe(0);
    const bytes = world.start(['logs', 'web']);
    const chunks: Buffer[] = [];
    bytes.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => bytes.on('close', resolve));
    expect(Buffer.concat(chunks).subarray(0, 6)).toEqual(Buffer.from([...Buffer.from('out\n'), 255, 0]));
    const lines = (await world.sand(['logs', '--json', 'web'])).stdout.trim().split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ stream: 'stdout', time: expect.stringMatching(/Z$/) });
  });

  it('is waited for, and its exit code is the waiter\u2019s', async () => {
    await detach(world, 'web', ['sh', '-c', 'sleep 1; exit 9']);
    expect(await world.sand(['wait', 'web'])).toMatchObject({ code: 9, stdout: '' });
    const { stdout } = await world.sand(['wait', '--json', 'web']);
    expect(JSON.parse(stdout)).toMatchObject({ guest: 'web', exitCode: 9, cause: 'exit' });
    expect(await exec('web', 'true')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('(guest-ended)'),
    });
  });

  it('is stopped: SIGTERM to all that runs in it, SIGKILL after the grace', async () => {
    await detach(world, 'polite', ['sh', '-c', `trap 'echo bye; exit 5' TERM; echo up; ${LOOP}`]);
    await detach(world, 'stubborn', ['sh', '-c', `trap '' TERM; echo up; ${LOOP}`]);
    const joined = follow(
      world.start(['exec', 'polite', '--', 'sh', '-c', `trap 'echo told; exit 6' TERM; echo up; ${LOOP}`]),
    );
    await joined.printed('up');
    const all = [await guestOf(world, 'polite'), await guestOf(world, 'stubborn')].flatMap(processesOf);
    const { stdout } = await world.sand(['stop', '--json', '--grace', '1s', 'polite', 'stubborn']);
    expect(JSON.parse(stdout)).toEqual({ stopped: ['polite', 'stubborn'] });
    expect((await world.sand(['logs', 'polite'])).stdout).toBe('up\nbye\n');
    await joined.ended();
    expect(joined.stdout()).toContain('told');
    expect(await guestOf(world, 'polite')).toMatchObject({
      standing: 'ended',
      end: { exitCode: 5, cause: 'stop' },
    });
    expect(await guestOf(world, 'stubborn')).toMatchObject({ end: { exitCode: 137, cause: 'stop' } });
    await allGone(all);
    expect(await world.sand(['stop', 'polite'])).toMatchObject({ code: 0 });
  });

  it('is removed when it has ended, and not before', async () => {
    await detach(world, 'web', ['sh', '-c', LOOP]);
    await detach(world, 'over', ['true']);
    await world.sand(['wait', 'over']);
    const refused = await world.sand(['rm', 'over', 'web']);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('(guest-running)')]);
    expect((await guestsOf(world)).length).toBe(2);
    const { run } = await guestOf(world, 'web');
    const removed = await world.sand(['rm', '--json', '--force', 'over', 'web']);
    expect(JSON.parse(removed.stdout)).toEqual({ removed: ['over', 'web'] });
    expect(await guestsOf(world)).toEqual([]);
    expect(readdirSync(folderOf(run)).sort()).toEqual([
      'audit.jsonl',
      'journal.jsonl',
      'policy.yaml',
      'run.json',
    ]);
    expect(await world.sand(['rm', 'web'])).toMatchObject({ code: 2 });
    expect((await world.sand(['ls'])).stdout).toMatch(/^No guests/);
  });

  it('has no environment in any file, nor on any command line', async () => {
    await detach(world, 'web', ['sh', '-c', LOOP], ['--env', 'TOKEN=hush-9f3a7c']);
    expect((await exec('web', 'echo "token=$TOKEN"')).stdout).toBe('token=hush-9f3a7c\n');
    await world.sand(['exec', '--env', 'OTHER=hush-77b1', 'web', '--', 'true']);
    const root = join(world.root, 'state');
    for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      const path = join(root, entry);
      if (statSync(path).isFile()) expect(readFileSync(path, 'latin1'), path).not.toContain('hush-');
      expect(statSync(path).mode & 0o077, path).toBe(0);
    }
    const { guest, pid } = await guestOf(world, 'web');
    const lines = processes().filter((one) => processesOf({ pid, guest } as never).includes(one.pid));
    expect(lines.length).toBeGreaterThan(3);
    for (const { commandLine } of lines) expect(commandLine).not.toContain('hush-');
  });

  it('has a whole state at any moment', async () => {
    const torn: string[] = [];
    let seen = 0;
    const timer = setInterval(() => {
      for (const run of existsSync(join(world.root, 'state/sand/runs')) ? readdirSync(folderOf('')) : []) {
        if (!existsSync(join(folderOf(run), 'run.json'))) continue;
        const text = readFileSync(join(folderOf(run), 'run.json'), 'utf8');
        seen += 1;
        try {
          JSON.parse(text);
        } catch {
          torn.push(text);
        }
      }
    }, 2);
    await detach(world, 'web', []);
    await world.sand(['rm', '--force', 'web']);
    clearInterval(timer);
    expect(torn).toEqual([]);
    expect(seen).toBeGreaterThan(20);
  });

  it('whose supervisor is killed is cut off at once, shows as broken, and is removed', async () => {
    const script = `trap '' TERM HUP; ${LOOP}`;
    await detach(world, 'web', ['sh', '-c', script]);
    const joined = follow(world.start(['exec', 'web', '--', 'sh', '-c', `echo up; ${script}`]));
    await joined.printed('up');
    const guest = await guestOf(world, 'web');
    const all = processesOf(guest);
    expect(all.length).toBeGreaterThan(6);
    process.kill(guest.pid, 'SIGKILL');
    await allGone(all, 5_000);
    expect(await joined.ended()).not.toBe(0);
    expect((await world.sand(['ls'])).stdout).toMatch(/^web +broken/m);
    for (const command of [
      ['exec', 'web', '--', 'true'],
      ['shell', 'web'],
      ['stop', 'web'],
      ['wait', 'web'],
    ])
      expect(await world.sand(command), command.join(' ')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/killed[\s\S]*\(guest-ended\)[\s\S]*sand prune/),
      });
    const { stdout } = await world.sand(['prune', '--json']);
    expect(JSON.parse(stdout)).toEqual({ removed: [{ name: 'web', standing: 'broken' }] });
    expect(readdirSync(namesFolder())).toEqual([]);
    expect(readdirSync(folderOf(guest.run)).sort()).toEqual([
      'audit.jsonl',
      'journal.jsonl',
      'policy.yaml',
      'run.json',
    ]);
  });

  it('whose supervisor was killed gives its name to the next start', async () => {
    await detach(world, 'web', []);
    const guest = await guestOf(world, 'web');
    process.kill(guest.pid, 'SIGKILL');
    await allGone([guest.pid]);
    await detach(world, 'web', []);
    expect((await guestsOf(world)).map(({ name, standing }) => [name, standing])).toEqual([
      ['web', 'running'],
    ]);
    expect(existsSync(join(folderOf(guest.run), 'control.sock'))).toBe(false);
  });

  it('that is in the foreground takes commands too, and its name goes with it', async () => {
    const run = follow(
      world.start(['run', '--name', 'front', '--policy', 'offline', '--', 'sh', '-c', 'echo up; read x']),
    );
    await run.printed('up');
    expect(await exec('front', 'echo beside')).toMatchObject({ code: 0, stdout: 'beside\n' });
    expect(await world.sand(['logs', 'front'])).toMatchObject({ code: 2 });
    run.child.stdin?.end('x\n');
    expect(await run.ended()).toBe(0);
    expect(await guestsOf(world)).toEqual([]);
  });

  it('keeps each command\u2019s memory, and the way around its filter, from the others', async () => {
    await detach(world, 'web', ['sleep', '600'], ['--env', 'TOKEN=hush']);
    const program = readFileSync(new URL('attacks-support/neighbour-commands.py', import.meta.url), 'utf8');
    const { stdout, stderr } = await world.sand(['exec', 'web', '--', '/usr/bin/python3', '-c', program]);
    expect(stderr).toBe('');
    const found = JSON.parse(stdout) as Record<string, Record<string, readonly [string, string]>>;
    const programs = Object.keys(found).map((title) => title.split(' ')[1]);
    expect(programs).toEqual(expect.arrayContaining(['cat', 'bwrap', 'sleep']));
    for (const [title, attempts] of Object.entries(found))
      for (const [attempt, [outcome]] of Object.entries(attempts))
        expect(outcome, `${attempt} of ${title}: ${attempts[attempt]}`).toBe('refused');
  });

  it('loses a command, and nothing more, when one kills another\u2019s waiting process', async () => {
    await detach(world, 'web', []);
    const other = follow(world.start(['exec', 'web', '--', 'sh', '-c', 'echo up; exec sleep 600']));
    await other.printed('up');
    const kill =
      'for p in /proc/[0-9]*; do grep -q sleep $p/cmdline && grep -qa ^bwrap $p/cmdline && kill -9 $(basename $p); done; kill -9 1; echo alive';
    expect((await exec('web', kill)).stdout).toBe('alive\n');
    expect(await other.ended()).toBe(125);
    expect(await exec('web', 'echo on')).toMatchObject({ code: 0, stdout: 'on\n' });
    expect(await guestOf(world, 'web')).toMatchObject({ standing: 'running' });
  });

  describe.skipIf(NO_TERMINAL !== null)('on a terminal', () => {
    const open = (...args: readonly string[]) =>
      openTerminal([...world.start([]).spawnargs, ...args], {
        cwd: world.workspace,
        environment: world.environment,
      });

    it('has a shell with job control', async () => {
      await detach(world, 'web', []);
      const terminal = open('shell', '--env', 'ENV=', 'web');
      await terminal.shows('$ ');
      terminal.type('sleep 7373\n');
      const sleeper = await until('sleep', () =>
        processes().find(({ commandLine }) => commandLine === 'sleep 7373'),
      );
      terminal.type('\x1a');
      await until('the stop', () => processes().find(({ pid }) => pid === sleeper.pid)?.state === 'T');
      terminal.type('fg\n');
      await until('its life', () => processes().find(({ pid }) => pid === sleeper.pid)?.state === 'S');
      terminal.type('\x03');
      terminal.type('echo "sta""tus=$?"; tty; exit 4\n');
      await terminal.shows('status=130');
      await terminal.shows('/dev/');
      expect(await terminal.finished()).toEqual({ code: 4, restored: true });
    });

    it('gives a command its size, and Ctrl-C', async () => {
      await detach(world, 'web', []);
      const terminal = open(
        'exec',
        'web',
        '--',
        'sh',
        '-c',
        `stty size; trap 'echo got; exit 42' INT; echo up; ${LOOP}`,
      );
      await terminal.shows('24 80');
      await terminal.shows('up');
      terminal.type('\x03');
      await terminal.shows('got');
      expect(await terminal.finished()).toEqual({ code: 42, restored: true });
    });
  });
});
