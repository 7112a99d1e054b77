/**
 * Runs in a kernel whose control groups are all of version 2, as an ordinary user in a group of its own: prints, a JSON
 * line each, what it found and what its limits did. The test that started the kernel judges.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createCgroups, readUsage, removePlanned } from '../../../controller/resources/cgroup.ts';
import { judgeResources } from '../../../controller/resources/doctor.ts';
import { readCgroupFacts, systemResourceHost } from '../../../controller/resources/host.ts';
import { joiningArguments } from '../../../controller/resources/join.ts';
import { planCgroups } from '../../../controller/resources/plan.ts';
import { describeEvents } from '../../../controller/resources/usage.ts';
import { until } from '../lifecycle/conditions.ts';

/** Of a kernel that is a program on a loaded machine. */
const JOIN_DEADLINE_MS = 60_000;

/** A user-mode kernel does not get a process going again that had used up its time, so that limit is only set. */
const LIMITS = { cpus: 64, memoryMiB: 32, pids: 16, diskMiB: null };
/** In this order: what the second leaves running for a moment would keep the first from starting. */
const SCRIPTS = {
  memory: 'head -c 48m /dev/zero | tail -c 48m >/dev/null',
  pids: '(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do sleep 1 & done); :',
};

const [, , place = ''] = process.argv;
const tell = (what: string, value: unknown) => console.log(`SAND ${JSON.stringify({ place, what, value })}`);

function stateOf(base: string) {
  return {
    processes: readFileSync(`${base}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).length,
    enabled: readFileSync(`${base}/cgroup.subtree_control`, 'utf8').trim(),
    groups: readdirSync(base, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  };
}

async function run(procsFiles: readonly string[], script: string): Promise<number | string | null> {
  const [file = '', ...args] = [...joiningArguments(procsFiles), 'sh', '-c', script];
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
}

const facts = readCgroupFacts(systemResourceHost(process.env));
tell('doctor', judgeResources(facts));
const planned = planCgroups(facts, LIMITS, 'g1');
if (!planned.ok) tell('refused', planned);
else {
  const base = facts.places[0]?.directory ?? '';
  tell('before', stateOf(base));
  await createCgroups(planned.plan);
  tell('during', stateOf(base));
  for (const [name, script] of Object.entries(SCRIPTS)) {
    tell(`${name} ended`, await run(planned.plan.procsFiles, script));
  }
  const usage = readUsage(planned.plan.directories);
  tell('usage', usage);
  tell('cpu.max', readFileSync(`${planned.plan.directories[0]}/cpu.max`, 'utf8').trim());
  tell('events', describeEvents(usage, LIMITS));
  const left = spawn('sh', ['-c', 'echo 0 >"$1"; exec sleep 60', 'sh', ...planned.plan.procsFiles], {
    stdio: 'ignore',
  });
  const killed = new Promise((resolve) => left.on('exit', (_, signal) => resolve(signal)));
  const isIn = () => readFileSync(planned.plan.procsFiles[0] ?? '', 'utf8').includes(String(left.pid));
  await until('what is left to join', isIn, JOIN_DEADLINE_MS);
  await removePlanned(planned.plan);
  tell('left', await killed);
  tell('after', stateOf(base));
}
