/** What people do with a guest that runs: another policy, files in and out, ssh; and who a guest is. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ALLOWED, createOrigins, type Origins } from './origins.ts';
import { CALLERS, createWorld, type RunOutput, type World } from './sand.ts';

let origins: Origins;
beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());

/** Until something holds, for a bounded number of looks. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; looks < 300; looks += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('it did not come');
}

/** A run that went well; else what it said is in the failure. */
async function fine(run: Promise<RunOutput>): Promise<RunOutput> {
  const output = await run;
  expect({ code: output.code, stderr: output.stderr }).toMatchObject({ code: 0 });
  return output;
}

const has = (program: string) =>
  spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH: '/usr/sbin:/usr/bin:/bin' } }).status === 0;

describe.each(CALLERS)('a guest of a %s', (who) => {
  let world: World;
  const started = async (...flags: string[]) => {
    await fine(world.sand(['run', '-d', '--name', 'web', ...flags]));
  };
  const inGuest = async (script: string) =>
    (await fine(world.sand(['exec', 'web', '--', 'sh', '-c', script]))).stdout;
  beforeEach(() => {
    world = createWorld(who);
  });
  afterEach(async () => {
    await world.sand(['rm', '--force', 'web']);
    world.remove();
  });

  it('gives files, and takes them, under the rules of names', async () => {
    await started();
    world.file('project/src/a.txt', 'one');
    world.file('project/run.sh', '#!/bin/sh\n');
    chmodSync(join(world.workspace, 'project/run.sh'), 0o755);
    await fine(world.sand(['cp', 'project', 'web:/tmp/in']));
    await fine(world.sand(['cp', 'project', 'web:/tmp/in']));
    await fine(world.sand(['cp', 'project/.', 'web:/tmp/contents']));
    await fine(world.sand(['cp', 'project/run.sh', 'web:/tmp/go']));
    expect(await inGuest('cd /tmp && find in contents -type f | sort; stat -c %a go')).toBe(
      'contents/run.sh\ncontents/src/a.txt\nin/project/run.sh\nin/project/src/a.txt\nin/run.sh\nin/src/a.txt\n755\n',
    );
    await fine(world.sand(['cp', 'web:/tmp/in', 'out']));
    await fine(world.sand(['cp', 'web:/tmp/in', 'out']));
    await fine(world.sand(['cp', 'web:/tmp/contents/.', 'flat']));
    await fine(world.sand(['cp', 'web:/tmp/go', 'flat/src/a.txt']));
    const files = (folder: string) => readdirSync(join(world.workspace, folder)).sort();
    expect([files('out'), files('out/in'), files('flat')]).toEqual([
      ['in', 'project', 'run.sh', 'src'],
      ['project', 'run.sh', 'src'],
      ['run.sh', 'src'],
    ]);
    expect(statSync(join(world.workspace, 'flat/src/a.txt')).mode & 0o777).toBe(0o755);
    const missing = await world.sand(['cp', 'web:/tmp/none', '.']);
    expect([missing.code, missing.stderr]).toEqual([
      1,
      expect.stringContaining('it is not there (copy-failed)'),
    ]);
    const nowhere = await world.sand(['cp', 'project', 'web:/usr/x']);
    expect(nowhere.stderr).toContain('(copy-failed)');
    expect((await world.events()).filter(({ kind }) => kind === 'exec').length).toBeGreaterThan(8);
  });

  it('passes archives on', async () => {
    await started();
    await inGuest('mkdir /tmp/d && echo hello > /tmp/d/a');
    const piped = await fine(world.sand(['cp', 'web:/tmp/d', '-']));
    expect(piped.stdout).toContain('hello');
    await fine(world.sand(['cp', '-', 'web:/run'], { input: piped.stdout }));
    expect(await inGuest('cat /run/d/a')).toBe('hello\n');
  });

  it('writes nothing on the host that was not asked for', async () => {
    await started();
    const secret = join(world.root, 'home/secret');
    writeFileSync(secret, 'secret');
    await inGuest(`mkdir -p /tmp/d/sub/.git/hooks && cd /tmp/d && echo x > sub/.git/hooks/post-checkout
mkfifo f; ln -s ${secret} l; ln -s sub up; echo fine > a; chmod 6755 a; ln -s ${world.root}/home link-of-guest 2>/dev/null
ln -s ${world.root}/home "${world.workspace}/planted"`);
    const copied = await world.sand(['cp', 'web:/tmp/d', 'out']);
    expect(copied.code).toBe(1);
    expect(copied.stderr.match(/left out/g)).toHaveLength(5);
    expect(readdirSync(join(world.workspace, 'out')).sort()).toEqual(['a', 'sub', 'up']);
    expect(statSync(join(world.workspace, 'out/a')).mode & 0o7777).toBe(0o755);
    expect(existsSync(join(world.workspace, 'out/sub/.git/hooks'))).toBe(false);
    const through = await world.sand(['cp', 'web:/tmp/d/a', 'planted/secret']);
    expect(through.stderr).toContain('is a link, and a guest can write there (copy-refused)');
    expect(readFileSync(secret, 'utf8')).toBe('secret');
    const large = await world.sand(['cp', '--max-size', '3', 'web:/tmp/d/a', 'b']);
    expect([large.code, large.stderr]).toEqual([1, expect.stringContaining('allow more with --max-size')]);
    expect(existsSync(join(world.workspace, 'b'))).toBe(false);
  });

  it('is told by the guest\u2019s own tar, which may lie', async () => {
    await started('--env', 'PATH=/tmp/bin:/usr/bin:/bin');
    const evil = `import io, sys, tarfile
out = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
def put(name, **more):
    info = tarfile.TarInfo(name)
    for key, value in more.items(): setattr(info, key, value)
    info.size = 1 if info.isreg() else 0
    out.addfile(info, io.BytesIO(b"x"))
put("./d", type=tarfile.DIRTYPE, mode=0o755)
put(sys.argv[1])
out.close()`;
    const file = world.file('evil.py', evil);
    await inGuest('mkdir /tmp/bin');
    for (const name of ['/tmp/evil', './d/../../evil', './other']) {
      await inGuest(
        `printf '#!/bin/sh\\nexec python3 %s %s\\n' '${file}' '${name}' > /tmp/bin/tar; chmod +x /tmp/bin/tar; mkdir -p /tmp/d`,
      );
      const copied = await world.sand(['cp', 'web:/tmp/d', 'out']);
      expect([name, copied.code, copied.stderr]).toEqual([
        name,
        1,
        expect.stringContaining('(copy-refused)'),
      ]);
    }
    expect(readdirSync(world.workspace).sort()).toEqual(['evil.py', 'out']);
    await inGuest('rm /tmp/bin/tar');
  });

  it('is whom it was asked to be, and writes nothing of the host where it may not', async () => {
    world.file('a', 'one');
    const asked = await fine(
      world.sand([
        'run',
        '--user',
        '0:12',
        '--',
        'sh',
        '-c',
        'id -u; id -g; whoami; grep CapEff /proc/self/status; touch b; stat -c %u b "$HOME"; ls -d /run/user/*',
      ]),
    );
    expect(asked.stdout).toBe('0\n12\nroot\nCapEff:\t0000000000000000\n0\n0\n/run/user/0\n');
    const owner = statSync(join(world.workspace, 'a'));
    expect(statSync(join(world.workspace, 'b'))).toMatchObject({ uid: owner.uid, gid: owner.gid });
    const kept = await world.sand([
      'run',
      '--read-only',
      '--mount',
      `${world.workspace}:/ws:rw`,
      '--',
      'sh',
      '-c',
      'cat /ws/a; touch /ws/c; touch ~/d /tmp/d && echo private',
    ]);
    expect(kept.stdout).toBe('oneprivate\n');
    expect(kept.stderr).toContain('Read-only file system');
    expect(existsSync(join(world.workspace, 'c'))).toBe(false);
    expect((await world.sand(['run', '--read-only', '--cache', '--', 'true'])).code).toBe(2);
  });

  const ssh = has('sshd') && has('ssh') ? it : it.skip;

  ssh('is reached by ssh, its commands, files and ports, with keys of its own', async () => {
    await started();
    const ran = await world.sand(
      ['ssh', 'web', '--', 'sh', '-c', 'cat; echo "two  words" >&2; test "$HTTPS_PROXY" && exit 7'],
      { input: 'typed' },
    );
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([7, 'typed', 'two  words\n']);
    const { stdout: block } = await fine(world.sand(['ssh', '--config', 'web']));
    const config = world.file('ssh-config', block);
    const [, identity = ''] = /IdentityFile "([^"]+)"/.exec(block) ?? [];
    expect(statSync(identity).mode & 0o777).toBe(0o600);
    const owner = statSync(world.workspace);
    const client = (args: readonly string[]): ChildProcess =>
      spawn(args[0] ?? '', args.slice(1), {
        cwd: world.workspace,
        env: world.environment,
        uid: owner.uid,
        gid: owner.gid,
      });
    const ended = (child: ChildProcess) =>
      new Promise<number | null>((resolve) => child.on('close', resolve));
    world.file('up', 'uploaded');
    expect(await ended(client(['scp', '-q', '-F', config, 'up', 'sand-web:/tmp/up']))).toBe(0);
    expect(await inGuest('cat /tmp/up')).toBe('uploaded');

    await inGuest('cd /tmp && (python3 -m http.server --bind 127.0.0.1 8765 >/dev/null 2>&1 &)');
    const port = 20_000 + (process.pid % 20_000);
    const forwarding = client([
      'ssh',
      '-F',
      config,
      '-o',
      'ExitOnForwardFailure=yes',
      '-N',
      '-L',
      `127.0.0.1:${port}:127.0.0.1:8765`,
      'sand-web',
    ]);
    await until(async () => (await answerOf(port)).includes('uploaded'));
    forwarding.kill();
    await ended(forwarding);

    const known = /UserKnownHostsFile "([^"]+)"/.exec(block)?.[1] ?? '';
    writeFileSync(
      known,
      readFileSync(known, 'utf8').replace(
        /AAAA\S+/,
        'AAAAC3NzaC1lZDI1NTE5AAAAIJ2YBhqFQyHd4vCjzDGTq5ZCyxKZmVqkHD6m9jE0aB1c',
      ),
    );
    expect(await ended(client(['ssh', '-F', config, 'sand-web', 'true']))).toBe(255);
    await fine(world.sand(['stop', 'web']));
    expect(existsSync(identity)).toBe(false);
  });

  it('goes by another policy from one moment to the next', async () => {
    const folder = join(world.root, 'policies');
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    const header = 'version: 1\nname: given\nrules:\n';
    const raw = `  - allow: raw.origin.test\n    tcp: [${origins.tcpPort}]\n    addresses: [127.0.0.0/8]\n`;
    const web = `  - allow: ${ALLOWED}\n    http: [${origins.httpPort}]\n    addresses: [127.0.0.0/8]\n`;
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      chmodSync(join(folder, name), 0o644);
    };
    write('raw.yaml', header + raw);
    write('web.yaml', header + web);
    write('bad.yaml', `${header}  - alow: x.example\n`);
    const file = world.file(
      'hold.py',
      `import socket, time
s = socket.create_connection(("raw.origin.test", ${origins.tcpPort}), 5)
s.sendall(b"hi"); s.recv(9)
open("open", "w").close()
s.settimeout(60)
try: s.recv(9)
except ConnectionResetError: pass
open("closed", "w").write(str(time.time()))`,
    );
    await started('--policy', join(folder, 'raw.yaml'), '--dns-upstream', `127.0.0.1:${origins.dnsPort}`);
    await inGuest(`(python3 ${file} >/dev/null 2>&1 &)`);
    await until(() => existsSync(join(world.workspace, 'open')));

    const bad = await world.sand(['policy', 'set', 'web', '../policies/bad.yaml']);
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringMatching(/bad\.yaml:4:\d+: .*alow/)]);
    const ask = `curl -s -m 5 http://${ALLOWED}:${origins.httpPort}/ | head -c 60`;
    expect(await inGuest(ask)).not.toContain('hello from');
    expect(existsSync(join(world.workspace, 'closed'))).toBe(false);

    const set = await fine(world.sand(['policy', 'set', 'web', '../policies/web.yaml']));
    const setAt = Date.now() / 1000;
    expect(set.stdout).toMatch(
      /widens .*allowed\.origin\.test[\s\S]*narrows .*raw\.origin\.test[\s\S]*web goes by \S+ now/,
    );
    const closed = join(world.workspace, 'closed');
    await until(() => existsSync(closed) && readFileSync(closed, 'utf8') !== '');
    expect(Number(readFileSync(closed, 'utf8'))).toBeLessThan(setAt + 1);
    expect(await inGuest(ask)).toContain('hello from');
    const events = await world.events();
    expect(events).toContainEqual(expect.objectContaining({ kind: 'notice', code: 'policy-replaced' }));
    expect(events).toContainEqual(expect.objectContaining({ kind: 'close', reason: 'policy-changed' }));

    write('web.yaml', header.replace('rules:\n', 'rules: []\n'));
    await until(async () => !(await inGuest(ask)).includes('hello from'));
    const json = await fine(world.sand(['policy', 'set', '--json', 'web', 'offline']));
    expect(JSON.parse(json.stdout)).toMatchObject({ guest: 'web', policy: expect.any(String), widens: 0 });
    await fine(world.sand(['stop', 'web']));
    const late = await world.sand(['policy', 'set', 'web', 'strict']);
    expect([late.code, late.stderr]).toEqual([1, expect.stringContaining('(guest-ended)')]);
  });
});

/** What a port of this machine says to a GET; nothing where it does not answer. */
function answerOf(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /up HTTP/1.0\r\n\r\n'));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}
