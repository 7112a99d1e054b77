/**
 * Many guests at once, each with a policy and a log of its own: none reaches another, some lose their supervisors
 * to kill -9, the others go on, and at the end nothing of any is left.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runPlace } from '../../audit/runs.ts';
import { verifyAuditLog } from '../../audit/verify.ts';
import { readOutput } from '../../controller/guests/output.ts';
import { LINK } from '../../controller/links/namespace/topology.ts';
import { allGone, endGuests, guestsOf, type Listed, processesOf } from './background.ts';
import { hostListeners } from './lifecycle/remains.ts';
import { createWorld, type World } from './sand.ts';

const GUESTS = 50;
const KILLED = 10;
/** Starts at once: two cores carry no more. */
const BATCH = 5;
/** Of everything here on a loaded machine. */
const TIMEOUT_MS = 400_000;
const STEP_MS = 60_000;

/** Serves by every kind of socket, tries to reach the others when told, and says who came. */
const PROGRAM = `import json, os, select, socket, sys, threading, time, urllib.error, urllib.request
own, origin, ports = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
places = [socket.create_server(('', 8080)), socket.create_server(('::', 8080), family=socket.AF_INET6)]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('', 8081))
abstract = socket.socket(socket.AF_UNIX); abstract.bind('\\0guest-' + own); abstract.listen()
visits = []
def serve():
    while True:
        for ready in select.select(places + [udp, abstract], [], [])[0]:
            visits.append(str(ready))
            if ready is udp: udp.recv(100)
            else: ready.accept()[0].close()
threading.Thread(target=serve, daemon=True).start()
def fetch(path):
    try: return urllib.request.urlopen(f'http://host.sand:{origin}/{path}', timeout=20).read().decode()
    except urllib.error.HTTPError as error: return error.code
    except OSError as error: return type(error).__name__
def reach(family, kind, address):
    with socket.socket(family, kind) as s:
        s.settimeout(1)
        try:
            s.connect(address); s.send(b'GET / HTTP/1.0\\r\\n\\r\\n')
            return s.recv(20).decode('latin1') or 'closed'
        except OSError as error: return type(error).__name__
def wait(name):
    while not os.path.exists(name): time.sleep(0.2)
def say(**what): print(json.dumps(what), flush=True)
say(ready=own)
wait('go')
other = str((int(own) + 1) % ${GUESTS})
inet, stream = socket.AF_INET, socket.SOCK_STREAM
attempts = {
    'gateway': reach(inet, stream, ('${LINK.gateway4}', 8080)),
    'neighbour': reach(inet, stream, ('198.18.0.3', 8080)),
    'udp': reach(inet, socket.SOCK_DGRAM, ('${LINK.gateway4}', 8081)),
    'abstract': reach(socket.AF_UNIX, stream, '\\0guest-' + other),
    **{f'resolver of {at}': reach(inet, stream, ('${LINK.gateway4}', port)) for at, port in enumerate(json.load(open('ports')))},
}
say(own=fetch(own), other=fetch(other), attempts=attempts, hostname=socket.gethostname(),
    programs=sum(b'visits' in open(f'/proc/{p}/cmdline', 'rb').read() and not open(f'/proc/{p}/cmdline', 'rb').read().startswith(b'bwrap') for p in os.listdir('/proc') if p.isdigit()))
wait('go-on')
say(again=fetch(own), visits=visits)
while True: time.sleep(60)`;

let world: World;
const origin = createServer((request, response) => response.end(`origin of ${request.url?.slice(1)}`));
beforeAll(async () => {
  world = createWorld();
  await new Promise<void>((resolve) => origin.listen({ host: '127.0.0.1', port: 0 }, resolve));
});
afterAll(async () => {
  origin.close();
  await endGuests(world);
  world.remove();
});

const nameOf = (at: number) => `guest-${at}`;
const runsFolder = () => join(world.root, 'state/sand/runs');

async function start(at: number): Promise<void> {
  const { port } = origin.address() as AddressInfo;
  const policies = join(world.root, 'policies');
  mkdirSync(policies, { recursive: true });
  const policy = join(policies, `${at}.yaml`);
  const rule = `{allow: host.sand, http: [${port}], paths: [/${at}]}`;
  writeFileSync(policy, `version: 1\nname: policy-${at}\nrules:\n  - ${rule}\n`);
  const command = ['/usr/bin/python3', '-c', PROGRAM, String(at), String(port), '[]'];
  const output = await world.sand(['run', '-d', '--name', nameOf(at), '--policy', policy, '--', ...command]);
  expect(output, output.stderr).toMatchObject({ code: 0, stdout: `${nameOf(at)}\n` });
}

/** What a guest has said so far, line by line. */
async function saidBy({ run }: Listed): Promise<readonly Record<string, unknown>[]> {
  let text = '';
  for await (const { bytes } of readOutput(runPlace(runsFolder(), run))) text += bytes.toString('utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function allSaid(
  guests: readonly Listed[],
  lines: number,
): Promise<readonly Record<string, unknown>[]> {
  const said = new Map<string, Record<string, unknown>>();
  const look = async () => {
    for (const guest of guests) {
      const line = said.has(guest.name) ? undefined : (await saidBy(guest))[lines - 1];
      if (line !== undefined) said.set(guest.name, line);
    }
  };
  const deadline = performance.now() + STEP_MS;
  while (said.size < guests.length && performance.now() < deadline) {
    await look();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return guests.map(({ name }) => said.get(name) ?? { missing: name });
}

function memoryMiB(pids: readonly number[], field: 'Pss' | 'Rss'): number {
  const kilobytes = pids.map((pid) => {
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      return Number(new RegExp(`^${field}: +(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return Math.round(kilobytes.reduce((sum, some) => sum + some, 0) / 1024);
}

it(`${GUESTS} guests live beside each other, and ${KILLED} killed supervisors take only their own along`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const startedAt = performance.now();
  const seconds = () => ((performance.now() - startedAt) / 1_000).toFixed(1);
  for (let at = 0; at < GUESTS; at += BATCH)
    await Promise.all(Array.from({ length: Math.min(BATCH, GUESTS - at) }, (_, more) => start(at + more)));
  const guests = await guestsOf(world);
  expect(guests.map(({ name }) => name).sort()).toEqual(
    Array.from({ length: GUESTS }, (_, at) => nameOf(at)).sort(),
  );
  expect(new Set(guests.map(({ standing }) => standing))).toEqual(new Set(['running']));
  const supervisors = guests.map(({ pid }) => pid);
  const planters = guests.map(({ guest }) => guest.planter);
  console.log(
    `${GUESTS} guests up after ${seconds()} s; supervisors ${memoryMiB(supervisors, 'Rss')} MiB RSS, ` +
      `${memoryMiB(supervisors, 'Pss')} MiB PSS; planters ${memoryMiB(planters, 'Rss')} and ${memoryMiB(planters, 'Pss')} MiB`,
  );

  world.file('ports', JSON.stringify(guests.map(({ dnsPort }) => dnsPort)));
  world.file('go', '');
  const numbers = guests.map(({ name }) => name.slice('guest-'.length));
  for (const [at, line] of (await allSaid(guests, 2)).entries()) {
    expect(line, guests[at]?.name).toMatchObject({
      own: `origin of ${numbers[at]}`,
      other: 403,
      programs: 1,
    });
    for (const [place, outcome] of Object.entries(line.attempts ?? { none: 'no attempts' }))
      expect(String(outcome), `${place} of ${guests[at]?.name}`).toMatch(/Error$|^timeout$/);
  }

  const killed = guests.filter((_, at) => at % (GUESTS / KILLED) === 0);
  const rest = guests.filter((guest) => !killed.includes(guest));
  const [theirs, others] = [killed.flatMap(processesOf), rest.flatMap(processesOf)];
  for (const { pid } of killed) process.kill(pid, 'SIGKILL');
  await allGone(theirs, 10_000);
  world.file('go-on', '');
  for (const [at, line] of (await allSaid(rest, 3)).entries())
    expect(line).toEqual({ again: `origin of ${rest[at]?.name.slice('guest-'.length)}`, visits: [] });
  for (const guest of killed) expect((await saidBy(guest)).length).toBe(2);

  const pruned = await world.sand(['prune', '--json']);
  const { removed } = JSON.parse(pruned.stdout) as { removed: readonly object[] };
  expect(removed).toEqual(killed.map(({ name }) => ({ name, standing: 'broken' })));
  expect(readdirSync(join(world.root, 'state/sand/guests')).length).toBe(GUESTS - KILLED);

  await endGuests(world);
  await allGone(others, STEP_MS);
  expect(readdirSync(join(world.root, 'state/sand/guests'))).toEqual([]);
  const ports = guests.map(({ dnsPort }) => dnsPort);
  expect(hostListeners().filter(({ port }) => ports.includes(port))).toEqual([]);
  for (const { name, run } of guests) {
    const place = runPlace(runsFolder(), run);
    expect(readdirSync(place.directory).sort(), name).toEqual([
      'audit.jsonl',
      'journal.jsonl',
      'policy.yaml',
      'run.json',
    ]);
    const { intact } = await verifyAuditLog(place.auditPath);
    expect(intact, name).toBe(true);
    const log = readFileSync(place.auditPath, 'utf8');
    expect(log, name).toContain(`"policy-${name.slice('guest-'.length)}"`);
  }
  console.log(`done after ${seconds()} s`);
});
