/**
 * recipes/runner: a stand-in for a CI agent runs as a guest by the very unit, guest file and policy of the recipe; only
 * the places of the machine are replaced. What its jobs may and may not do, and what follows a death.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAuditLog } from '../../../audit/read.ts';
import { auditRoot, findRun } from '../../../audit/runs.ts';
import { until } from '../lifecycle/conditions.ts';
import { processes } from '../lifecycle/remains.ts';
import { CALLERS, createWorld, NODE, SAND, type World } from '../sand.ts';
import { createJobServer, type JobServer } from './job-server.ts';
import { type Managed, manage, parseUnit, type Unit } from './unit-file.ts';

const RECIPE = new URL('../../../recipes/runner/', import.meta.url).pathname;
const UNIT = readFileSync(join(RECIPE, 'sand-runner@.service'), 'utf8');
/** What no other process of this machine has on its command line. */
const MARK = `9${process.pid}`;

const ACTIONS = {
  python: 'import os\nprint("action in", os.environ["SAND"] != "")\n',
  composite: JSON.stringify({ steps: [{ run: 'echo one' }, { uses: 'python' }] }),
};

let world: World;
let server: JobServer;
let canary: { readonly port: number; touched(): number; close(): void };
let database: { readonly port: number; touched(): number; close(): void };
let unit: Unit;
let runner: Managed;
let state: string;

/** A service of the host that greets. */
async function createGreeter() {
  let touched = 0;
  const listener = createServer((socket) => {
    touched++;
    socket.on('error', () => {});
    socket.end('greetings\n');
  });
  await new Promise<void>((resolve) => listener.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, touched: () => touched, close: () => listener.close() };
}

beforeAll(async () => {
  const who = CALLERS.at(-1) ?? 'caller';
  world = createWorld(who);
  server = await createJobServer(ACTIONS);
  canary = await createGreeter();
  database = await createGreeter();
  const folder = join(world.root, 'srv');
  const own = (path: string) => {
    if (who === 'ordinary user') chownSync(path, 54_321, 54_321);
  };
  const program = join(world.root, 'sand');
  state = join(world.root, 'var');
  for (const path of [folder, `${folder}/web`, `${folder}/web/agent`]) mkdirSync(path);
  for (const name of ['sand.yaml', 'runner.policy.yaml']) cpSync(join(RECIPE, name), `${folder}/web/${name}`);
  const policy = readFileSync(`${folder}/web/runner.policy.yaml`, 'utf8')
    .replace('tcp: [5432]', `tcp: [${database.port}]`)
    .replace('rules:\n', `rules:\n  - {allow: host.sand, http: [${server.port}]}\n`);
  writeFileSync(`${folder}/web/runner.policy.yaml`, policy);
  cpSync(new URL('agent.py', import.meta.url), `${folder}/web/agent/agent.py`);
  writeFileSync(`${folder}/web/agent/run.sh`, '#!/bin/sh\nexec python3 /runner/agent/agent.py\n', {
    mode: 0o755,
  });
  writeFileSync(program, `#!/bin/sh\nexec ${NODE} ${SAND} "$@"\n`, { mode: 0o755 });
  for (const path of [
    `${folder}/web/work`,
    `${folder}/web/state`,
    state,
    `${state}/sand-runner`,
    `${state}/sand-runner/web`,
  ]) {
    mkdirSync(path, { mode: 0o700 });
    own(path);
  }
  // Its user's own: what keeps a job from changing it is the mount.
  for (const name of ['', 'agent.py', 'run.sh']) own(`${folder}/web/agent/${name}`);
  writeFileSync(`${folder}/web/state/server`, `http://host.sand:${server.port}`);
  chmodSync(`${folder}/web/state/server`, 0o644);
  unit = parseUnit(UNIT.replaceAll('/srv/sand-runner', folder).replaceAll('/usr/local/bin/sand', program), {
    i: 'web',
    S: state,
  });
  const as = who === 'caller' ? [] : ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', '--'];
  const { HOME = '' } = world.environment;
  // As the manager does for a system unit with User=.
  runner = manage(unit, as, { HOME, PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin' });
  await until('the agent', () => server.hellos() === 1, 40_000);
}, 120_000);

afterAll(async () => {
  await runner?.stop().catch(() => {});
  for (const one of [server, canary, database]) one?.close();
  world?.remove();
});

async function eventsOfLast() {
  const found = await findRun(auditRoot({ XDG_STATE_HOME: join(state, 'sand-runner/web') }));
  if (found.kind !== 'found') throw new Error('no run');
  const events = [];
  for await (const line of readAuditLog(found.run.auditPath)) if (line.ok) events.push(line.event);
  return events;
}

describe('a runner in a guest', () => {
  it('runs steps, actions and composite actions in the guest, and reaches a service of the host by its rule', async () => {
    const results = await server.run('build', [
      { run: 'echo "sand: $SAND"; echo built > artifact.txt' },
      { uses: 'python' },
      { uses: 'composite' },
      { run: `exec 3<>/dev/tcp/host.sand/${database.port}; head -n 1 <&3` },
      { run: 'exit 7' },
    ]);
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0, 7]);
    expect(results.map(({ output }) => output.trim())).toEqual([
      expect.stringMatching(/^sand: \S/),
      'action in True',
      'one\naction in True',
      'greetings',
      '',
    ]);
    expect(database.touched()).toBe(1);
    expect(readFileSync(join(unit.one('WorkingDirectory'), 'work/build/artifact.txt'), 'utf8')).toBe(
      'built\n',
    );
  });

  it('lets a job out to nothing else, and says so in the log while the runner goes on', async () => {
    const attempts = [
      'curl -sS --max-time 5 https://denied.example/',
      'curl -sS --max-time 5 --noproxy "*" https://denied.example/',
      `timeout 5 bash -c 'exec 3<>/dev/tcp/host.sand/${canary.port}; head -n 1 <&3 | grep .'`,
      `timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/${canary.port}'`,
      "timeout 5 bash -c 'exec 3<>/dev/tcp/192.0.2.1/443; head -c 1 <&3 | grep .'",
      'dig +tries=1 +time=2 @192.0.2.53 denied.example | grep -q "status: NOERROR"',
      'ip route add default via 198.18.0.9',
      'unshare --user --net true',
    ];
    const results = await server.run(
      'escape',
      attempts.map((run) => ({ run })),
    );
    expect(results.filter(({ code }) => code === 0)).toEqual([]);
    expect(canary.touched()).toBe(0);
    const denied = (await eventsOfLast()).filter((event) => 'verdict' in event && event.verdict === 'deny');
    expect(denied).toContainEqual(expect.objectContaining({ kind: 'connection', host: 'denied.example' }));
    expect(denied).toContainEqual(expect.objectContaining({ host: '192.0.2.1', port: 443 }));
    expect((await server.run('after', [{ run: 'echo alive' }]))[0]?.output).toBe('alive\n');
  });

  it('shows a job neither the guest file nor its policy nor the log, and lets it write nothing of the agent', async () => {
    const attempts = [
      'echo x >> /runner/agent/run.sh',
      'rm /runner/agent/agent.py',
      'mv /runner/agent /runner/other',
      `ls ${unit.one('WorkingDirectory')}/sand.yaml`,
      `ls ${state}`,
      `ls ${unit.one('WorkingDirectory')}/..`,
    ];
    const results = await server.run(
      'tamper',
      attempts.map((run) => ({ run })),
    );
    expect(results.filter(({ code }) => code === 0)).toEqual([]);
    expect(results[0]?.output).toContain('Read-only file system');
  });

  it('ends with all that a job left running when a job kills the agent, and comes up again with its state', async () => {
    const starts = runner.starts();
    const before = runner.main();
    server.give('kill', [{ run: `setsid sleep ${MARK} & kill -9 $PPID` }]);
    expect(await before.ended()).toBe(137);
    expect(processes().filter(({ commandLine }) => commandLine.includes(`sleep ${MARK}`))).toEqual([]);
    const results = await server.run('next', [{ run: 'cat ../build/artifact.txt; cat $RUNNER_STATE/done' }]);
    expect(results[0]).toEqual({ code: 0, output: 'built\nbuild\nescape\nafter\ntamper\n' });
    expect(runner.starts()).toBe(starts + 1);
  });

  it('comes up again under its name when sand itself is killed, and nothing of the guest outlives it', async () => {
    const before = runner.main();
    server.give('hold', [{ run: `sleep ${MARK}` }]);
    const held = () => processes().filter(({ commandLine }) => commandLine.includes(`sleep ${MARK}`));
    await until('the job', () => held().length > 0);
    process.kill(before.pid, 'SIGKILL');
    expect(await before.ended()).toBe(137);
    await until('the end of the guest', () => held().length === 0);
    expect(await server.run('again', [{ run: 'true' }])).toEqual([{ code: 0, output: '' }]);
  });

  it('lets the job under way come to its end when it is stopped', async () => {
    const folder = join(unit.one('WorkingDirectory'), 'work');
    server.give('last', [{ run: 'touch begun; until [ -e end ]; do sleep 0.05; done; echo whole' }]);
    await until(
      'the job',
      () => readdirSync(folder).includes('last') && readdirSync(`${folder}/last`).includes('begun'),
    );
    const ended = runner.stop();
    writeFileSync(`${folder}/last/end`, '');
    expect(await server.result('last')).toEqual([{ code: 0, output: 'whole\n' }]);
    expect(await ended).toBe(0);
    expect((await eventsOfLast()).at(-1)).toMatchObject({ kind: 'run-end', exitCode: 0 });
  });
});

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('the unit', () => {
  it.skipIf(!hasSystemd)(
    'is one that systemd-analyze finds nothing wrong with (needs the Debian package systemd)',
    () => {
      const folder = join(world.root, 'unit');
      mkdirSync(folder);
      const text = UNIT.replaceAll('/usr/local/bin/sand', '/bin/true');
      const verify = (name: string, content: string) => {
        writeFileSync(join(folder, `${name}@.service`), content);
        return spawnSync('systemd-analyze', ['verify', '--man=no', join(folder, `${name}@web.service`)], {
          encoding: 'utf8',
        });
      };
      expect(verify('sand-runner', text)).toMatchObject({ status: 0, stderr: '' });
      expect(verify('wrong', text.replace('KillMode=mixed', 'KillMode=mixt')).stderr).toMatch(/kill mode/i);
    },
  );

  it('keeps what a guest must not see out of the folder that it is given', () => {
    const folder = unit.one('WorkingDirectory');
    for (const entry of unit.all('Environment')) {
      expect(entry.split('=', 2)[1]?.startsWith(folder)).toBe(false);
    }
    expect(execFileSync('stat', ['-c', '%a', join(state, 'sand-runner/web')], { encoding: 'utf8' })).toBe(
      '700\n',
    );
  });
});
