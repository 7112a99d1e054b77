/** `run` of the guest's relay: who a command is, what it sees, how it ends, and what it can never have again. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoLines } from './proxy-host.ts';
import { finish, reasonToSkip, startGuest, type TestGuest, until } from './test-guest.ts';

const reason = reasonToSkip();
/** CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT AUDIT_WRITE SETFCAP. */
const KEPT = '00000000a00405fb';
const NOTHING = '0000000000000000';

function capabilitySets(status: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...status.matchAll(/^Cap(\w+):\s+(\w+)$/gm)].map(([, name = '', bits = '']) => [name, bits]),
  );
}

describe.skipIf(reason !== null)(`run${reason === null ? '' : ` (${reason})`}`, () => {
  let guest: TestGuest;
  const sh = (script: string, options = {}) => guest.run(['sh', '-c', script], options);
  beforeAll(async () => {
    guest = await startGuest({ proxy: echoLines });
  });
  afterAll(() => guest?.close());

  it.each([
    ['', '0:0:0'],
    ['0', '0:0:0'],
    ['root', '0:0:0'],
    ['1000', '1000:1000:1000'],
    ['1000:99', '1000:99:99'],
    ['4321', '4321:0:0'],
    ['4321:8765', '4321:8765:8765'],
    ['builder', '1000:1000:1000 10 99'],
    ['builder:docker', '1000:99:99'],
    ['builder:77', '1000:77:77'],
  ])('takes the user %j from the files of the guest', async (user, expected) => {
    const { stdout, stderr } = await sh('echo $(id -u):$(id -g):$(id -G)', { user });
    expect(stderr + stdout).toBe(`${expected}\n`);
  });

  it.each(['nosuch', 'odd', 'short', 'builder:nosuch', '-1', '4294967295', ':5', 'x'.repeat(300)])(
    'runs nothing as the user %j',
    async (user) => {
      const { code, stdout, stderr } = await sh('echo ran', { user });
      expect([code, stdout]).toEqual([126, '']);
      expect(stderr).toMatch(/^sand: the (guest has no|name of)/);
    },
  );

  it('gives variables with the prefix to the command, before those that are there, and no prefix', async () => {
    const { stdout } = await guest.run(['env'], {
      user: 'builder',
      env: {
        KEPT: 'there',
        OTHER: 'there',
        SANDENV_OTHER: 'wins',
        SANDENV_PATH: '/usr/bin:/bin',
        SANDENV_EMPTY: '',
      },
    });
    expect(stdout.trim().split('\n').sort()).toEqual([
      'EMPTY=',
      'HOME=/home/builder',
      'KEPT=there',
      'LOGNAME=builder',
      'OTHER=wins',
      'PATH=/usr/bin:/bin',
      'USER=builder',
    ]);
    const other = await guest.run(['env'], {
      user: 'builder',
      env: { SANDENV_HOME: '/tmp/own', HOME: '/x' },
    });
    expect(other.stdout).toContain('HOME=/tmp/own\n');
    expect(other.stdout).not.toContain('/x\n');
  });

  it('starts in the directory that was named, or says why not', async () => {
    expect((await sh('pwd', { workdir: '/code' })).stdout).toBe('/code\n');
    expect(await sh('pwd', { workdir: '/nowhere' })).toMatchObject({
      code: 126,
      stdout: '',
      stderr: 'sand: cannot enter /nowhere: No such file or directory\n',
    });
  });

  it('tells a command that is missing from one that cannot be run', async () => {
    expect(await guest.run(['no-such-command'])).toMatchObject({
      code: 127,
      stderr: 'sand: no-such-command: command not found\n',
    });
    expect(await guest.run(['/etc/passwd'])).toMatchObject({
      code: 126,
      stderr: 'sand: /etc/passwd: Permission denied\n',
    });
    expect((await guest.relay(['run', '--id', 'x', '--'])).code).toBe(2);
    expect((await guest.relay(['run', '--id', 'a b', '--', 'true'])).code).toBe(2);
    expect((await guest.relay(['run', '--', 'true'])).code).toBe(2);
    expect((await guest.relay(['run', '--idd', 'x', '--', 'true'])).code).toBe(2);
  });

  it('ends as the command did, and PID 1 remembers it', async () => {
    expect((await sh('exit 7', { id: 'seven' })).code).toBe(7);
    expect((await sh('kill -9 $$', { id: 'killed' })).code).toBe(137);
    expect((await guest.relay(['status', 'seven'])).stdout).toBe('exited 7\n');
    expect((await guest.relay(['status', 'killed'])).stdout).toBe('exited 137\n');
    expect((await guest.relay(['status', 'nobody'])).stdout).toBe('unknown\n');
  });

  it('keeps the status of a command from everybody but its runner', async () => {
    const forge = `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('\\0sand-relay'); s.send(b'end forged 0'); print(s.recv(99))`;
    const { stdout, code } = await sh(`python3 -c "${forge}"; exit 3`, { id: 'forged' });
    expect([stdout, code]).toEqual(["b'problem no such command'\n", 3]);
    expect((await guest.relay(['status', 'forged'])).stdout).toBe('exited 3\n');
  });

  it('refuses an identifier that runs already', async () => {
    const child = guest.start(['run', '--id', 'twice', '--', 'sleep', '60']);
    const first = finish(child);
    await poll('twice', 'running\n');
    expect((await guest.run(['true'], { id: 'twice' })).code).toBe(125);
    await guest.relay(['signal', 'twice', 'KILL']);
    expect((await first).code).toBe(137);
  });

  async function poll(id: string, expected: string): Promise<void> {
    for (let turn = 0; turn < 200; turn++) {
      if ((await guest.relay(['status', id])).stdout === expected) return;
    }
    throw new Error(`${id} is never ${expected}`);
  }

  it('passes signals to the group of the command, which decides what they mean', async () => {
    const child = guest.start([
      'run',
      '--id',
      'traps',
      '--',
      'sh',
      '-c',
      'trap "echo got; exit 9" TERM; echo up; while :; do sleep 0.1; done',
    ]);
    const ended = finish(child);
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await until(() => text.includes('up'), 'the trap');
    // The runner itself ignores what its group is sent.
    expect((await guest.relay(['signal', 'traps', 'TERM'])).stdout).toBe('sent\n');
    expect(await ended).toMatchObject({ code: 9, stdout: 'up\ngot\n' });
    expect((await guest.relay(['signal', 'traps', 'TERM'])).stdout).toBe('exited 9\n');
    expect((await guest.relay(['signal', 'traps', 'SEGV'])).code).toBe(1);
  });

  it('kills with a command what has left its group', async () => {
    const child = guest.start([
      ...['run', '--id', 'left', '--', 'sh', '-c'],
      'setsid sh -c "setsid sleep 4242 & sleep 4243" & echo up; sleep 4244',
    ]);
    const ended = finish(child);
    const running = () =>
      guest.run([
        'sh',
        '-c',
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o 'sleep 42[0-9][0-9]' | wc -l",
      ]);
    for (let turn = 0; turn < 100 && Number((await running()).stdout) < 3; turn++);
    expect((await guest.relay(['signal', 'left', 'KILL'])).stdout).toBe('sent\n');
    await ended;
    for (let turn = 0; turn < 50 && Number((await running()).stdout) > 0; turn++);
    expect((await running()).stdout).toBe('0\n');
  });

  it('says unknown of a command whose runner was killed', async () => {
    const child = guest.start([
      ...['run', '--id', 'orphan', '--', 'sh', '-c'],
      'exec sleep 60 < /dev/null > /dev/null 2>&1',
    ]);
    const ended = finish(child);
    await poll('orphan', 'running\n');
    await sh(
      'for p in /proc/[0-9]*; do case "$(tr "\\0" " " < $p/cmdline)" in *"run --id orphan"*) kill -9 $(basename $p);; esac; done',
    );
    await ended;
    await poll('orphan', 'unknown\n');
  });

  it('reaps what commands leave behind', async () => {
    await sh('for n in 1 2 3 4 5; do (setsid sleep 0.05 &) ; done');
    const zombies = () =>
      guest.run([
        'sh',
        '-c',
        `grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l
        cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c 'sleep 0[.]05'`,
      ]);
    for (let turn = 0; turn < 50 && (await zombies()).stdout !== '0\n0\n'; turn++);
    expect((await zombies()).stdout).toBe('0\n0\n');
  });

  it('leaves a workload of root what it may keep, in every set, and another user nothing', async () => {
    const root = capabilitySets((await guest.run(['cat', '/proc/self/status'])).stdout);
    expect(root).toEqual({ Inh: NOTHING, Prm: KEPT, Eff: KEPT, Bnd: KEPT, Amb: NOTHING });
    const user = capabilitySets((await guest.run(['cat', '/proc/self/status'], { user: 'builder' })).stdout);
    expect(user).toEqual({ Inh: NOTHING, Prm: NOTHING, Eff: NOTHING, Bnd: KEPT, Amb: NOTHING });
  });

  it('leaves PID 1 no more than a workload, and out of its reach', async () => {
    const status = readFileSync(`/proc/${guest.pid}/status`, 'utf8');
    expect(capabilitySets(status)).toEqual({ Inh: NOTHING, Prm: KEPT, Eff: KEPT, Bnd: KEPT, Amb: NOTHING });
    expect((await sh('ls /proc/1/root/ 2>&1; ls -l /proc/1/fd 2>&1; true')).stdout).toMatch(
      /Permission denied/,
    );
  });

  it('gives no set-user-id program and no file capability back what was taken', async () => {
    await sh('cp /usr/bin/cat /tmp/cat && chmod 4755 /tmp/cat');
    const { stdout } = await guest.run(['/tmp/cat', '/proc/self/status'], { user: 'builder' });
    expect(capabilitySets(stdout)).toMatchObject({ Prm: KEPT, Eff: KEPT, Bnd: KEPT });
    const { stdout: answer } = await guest.run([
      'python3',
      '-c',
      `
import os, shutil, struct, subprocess
shutil.copy('/usr/bin/cat', '/tmp/net')
# NET_ADMIN (12) in the file's permitted set, effective: revision 2 of the attribute.
try:
    os.setxattr('/tmp/net', 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 12, 0, 0, 0))
    print(subprocess.run(['/tmp/net', '/proc/self/status']).returncode)
except OSError as error: print(error)`,
    ]);
    expect(answer).toMatch(/Operation not permitted|PermissionError|^1$/m);
  });
});
