/** A policy file that changes while a guest runs: what it adds is allowed, what it drops is ended, a bad one is not used. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, createOrigins, type Origins } from './origins.ts';
import { CALLERS, createWorld, outputOf, type World } from './sand.ts';

let origins: Origins;
let world: World;
let policyPath: string;

beforeAll(async () => {
  origins = await createOrigins();
  world = createWorld();
  const folder = join(world.root, 'policies');
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  policyPath = join(folder, 'p.yaml');
});
afterAll(async () => {
  world.remove();
  await origins.close();
});

const header = 'version: 1\nname: reloaded\nrules:\n';
const rule = () => `  - allow: ${ALLOWED}\n    http: [${origins.httpPort}]\n    addresses: [127.0.0.0/8]\n`;
const rawRule = () =>
  `  - allow: raw.origin.test\n    tcp: [${origins.tcpPort}]\n    addresses: [127.0.0.0/8]\n`;

/** Runs a script that prints `ready` when the policy may change, and reads a line on standard input after. */
async function duringChange(script: string, change: () => void) {
  const child = world.start([
    'run',
    '--policy',
    policyPath,
    '--dns-upstream',
    `127.0.0.1:${origins.dnsPort}`,
    '--',
    'sh',
    '-c',
    script,
  ]);
  child.stdout?.on('data', (chunk: Buffer) => {
    if (chunk.toString().includes('ready')) change();
  });
  return outputOf(child, '');
}

/** Asks until the answer holds a word, for a bounded number of tries. */
const until = (word: string, ask: string) =>
  `n=0; while [ $n -lt 100 ]; do n=$((n+1)); ${ask} 2>&1 | grep -q '${word}' && { echo 'saw ${word}'; break; }; sleep 0.1; done`;

describe('a policy that changes during a run', () => {
  const ask = () => `curl -sS -m 5 http://${ALLOWED}:${origins.httpPort}/`;

  it('allows what it adds, its new ports included, and is on record', async () => {
    writeFileSync(policyPath, header.replace('rules:\n', 'rules: []\n'));
    const run = await duringChange(`${ask()} | grep reason; echo ready; ${until('hello from', ask())}`, () =>
      writeFileSync(policyPath, header + rule()),
    );
    expect(run.stdout).toContain('no-rule');
    expect(run.stdout).toContain('saw hello from');
    const events = await world.events();
    expect(events).toContainEqual(expect.objectContaining({ kind: 'notice', code: 'policy-reloaded' }));
    const digests = new Set(events.flatMap((event) => (event.kind === 'connection' ? [event.policy] : [])));
    expect(digests.size).toBe(2);
  });

  it('plants ports that nothing could use before', async () => {
    writeFileSync(policyPath, header + rule());
    const talk = `python3 -c 'import socket; s=socket.create_connection(("raw.origin.test",${origins.tcpPort}),5); s.sendall(b"hi"); print(s.recv(9).decode())'`;
    const run = await duringChange(`echo ready; ${until('echo hi', talk)}`, () =>
      writeFileSync(policyPath, header + rule() + rawRule()),
    );
    expect(run.stdout).toContain('saw echo hi');
  });

  it('ends an open tunnel that it no longer allows, and records why', async () => {
    writeFileSync(policyPath, header + rawRule());
    const hold = `import socket, sys
s = socket.create_connection(("raw.origin.test", ${origins.tcpPort}), 5)
s.sendall(b"hi"); s.recv(9)
print("ready", flush=True)
s.settimeout(20)
try: print("ended", len(s.recv(9)))
except ConnectionResetError: print("ended by reset")`;
    world.file('hold.py', hold);
    const run = await duringChange('python3 hold.py', () =>
      writeFileSync(policyPath, header.replace('rules:\n', 'rules: []\n')),
    );
    expect(run.stdout).toMatch(/ended( 0| by reset)/);
    expect(await world.events()).toContainEqual(
      expect.objectContaining({ kind: 'close', host: 'raw.origin.test', reason: 'policy-changed' }),
    );
  });

  it('needs no change for a rule to end what it alone allowed, when its `until` passes', async () => {
    const soon = new Date(Date.now() + 12_000).toISOString().replace(/\.\d+/, '');
    writeFileSync(policyPath, `${header}${rawRule()}    until: ${soon}\n`);
    const run = await duringChange('python3 hold.py', () => {});
    expect(run.stdout).toMatch(/ended( 0| by reset)/);
    expect(await world.events()).toContainEqual(
      expect.objectContaining({ kind: 'close', host: 'raw.origin.test', reason: 'rule-expired' }),
    );
  });

  it('changes nothing when it does not parse, and says so with its line', async () => {
    writeFileSync(policyPath, header + rule());
    const run = await duringChange(`echo ready; sleep 1; ${until('hello from', ask())}`, () =>
      writeFileSync(policyPath, `${header}  - alow: x.example\n`),
    );
    expect(run.stdout).toContain('saw hello from');
    expect(run.stderr).toMatch(/p\.yaml:4:\d+: .*alow/);
    expect(await world.events()).toContainEqual(
      expect.objectContaining({ kind: 'notice', code: 'policy-reload-refused' }),
    );
  });

  it('is followed over a save by rename, where no guest reaches it', async () => {
    writeFileSync(policyPath, header.replace('rules:\n', 'rules: []\n'));
    const run = await duringChange(`echo ready; ${until('hello from', ask())}`, () =>
      save(policyPath, header + rule()),
    );
    expect(run.stdout).toContain('saw hello from');
  });

  it('is read once where the guest could write it, and a person hears that', async () => {
    const inside = world.file('inside.yaml', header.replace('rules:\n', 'rules: []\n'));
    const child = world.start([
      'run',
      '--policy',
      inside,
      '--dns-upstream',
      `127.0.0.1:${origins.dnsPort}`,
      '--',
      'sh',
      '-c',
      `echo ready; sleep 1; ${ask()}`,
    ]);
    child.stdout?.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('ready')) writeFileSync(inside, header + rule());
    });
    const run = await outputOf(child, '');
    expect(run.stdout).toContain('no-rule');
    expect(run.stderr).toMatch(/inside\.yaml was changed, and is not read again.*: sand policy set /);
  });
});

/** As many editors do it: the file gets another place on the disk. */
function save(path: string, content: string): void {
  const beside = `${path}.saved`;
  copyFileSync(path, beside);
  writeFileSync(beside, content);
  renameSync(beside, path);
}

describe.each(CALLERS)('a guest that can write its policy file since an editor replaced it, as %s', (who) => {
  let own: World;
  beforeAll(() => {
    own = createWorld(who);
  });
  afterAll(() => own.remove());

  it.each(['file', 'link'] as const)(
    'gains nothing by it, named as a %s, when another file is read again',
    async (named) => {
      const empty = header.replace('rules:\n', 'rules: []\n');
      const inside = own.file(
        'inside.yaml',
        header.replace('reloaded', 'inside') + rule().replace(ALLOWED, 'some.origin.test'),
      );
      const outside = join(own.root, `outside-${named}.yaml`);
      writeFileSync(outside, empty);
      const link = join(own.root, `link-${named}.yaml`);
      symlinkSync(inside, link);
      const evil = `  - allow: evil.origin.test\n    http: [${origins.httpPort}]\n`;
      const get = (host: string) => `curl -sS -m 5 http://${host}:${origins.httpPort}/`;
      const script = [
        'echo ready',
        `until printf '${evil.replaceAll('\n', '\\n')}' 2>/dev/null >> inside.yaml; do sleep 0.1; done`,
        'echo wrote',
        until('hello from', get(ALLOWED)),
        get('evil.origin.test'),
      ];
      const flags = ['--policy', named === 'file' ? inside : link, '--policy', outside];
      const child = own.start([
        'run',
        ...flags,
        '--dns-upstream',
        `127.0.0.1:${origins.dnsPort}`,
        '--',
        'sh',
        '-c',
        script.join('; '),
      ]);
      child.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('ready')) {
          const same = readFileSync(inside, 'utf8');
          save(inside, same);
          if (who === 'ordinary user') chmodSync(inside, 0o666);
        }
        if (chunk.toString().includes('wrote')) writeFileSync(outside, header + rule());
      });
      const run = await outputOf(child, '');
      expect(run.stdout).toContain('wrote');
      expect(run.stdout).toContain('saw hello from');
      expect(run.stdout).toContain('no-rule');
      expect(readFileSync(inside, 'utf8')).toContain('evil');
      expect(run.stderr).toMatch(/inside\.yaml is another file than it was.*: sand policy set /);
      expect(await own.events()).toContainEqual(
        expect.objectContaining({ kind: 'notice', code: 'policy-file-unprotected' }),
      );
    },
  );
});
