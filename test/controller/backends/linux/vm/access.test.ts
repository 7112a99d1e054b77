import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  COMMAND_BYTES,
  planAccess,
  planEnding,
  planReport,
} from '../../../../../controller/backends/linux/vm/access.ts';
import { MACHINE } from '../../../../../controller/backends/linux/vm/places.ts';
import { until } from '../../../../e2e/lifecycle/conditions.ts';

const COMMAND = { id: 'c-1', argv: ['true'], workdir: '/w', environment: {} };
const NASTY = [
  "it's",
  'a  b',
  '$HOME',
  '`id`',
  '"',
  '\\',
  '',
  '-n',
  '\n',
  '*',
  ';reboot',
  '$(touch /x)',
  'ü',
];

describe('planAccess', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sand-access-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** A stand-in for ssh that notes how it was called and does what `does` says. */
  function start(argv: readonly string[], does: string) {
    const ssh = join(folder, 'ssh');
    writeFileSync(
      ssh,
      `#!/bin/sh\nfor word in "$@"; do printf '%s\\0' "$word"; done >>${folder}/calls\n${does}\n`,
    );
    chmodSync(ssh, 0o755);
    const [file = '', ...args] = argv;
    const child = spawn(file, args, {
      env: { PATH: `${folder}:/usr/bin:/bin` },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let printed = '';
    child.stdout.on('data', (chunk) => {
      printed += chunk;
    });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    return { child, ended, printed: () => printed, calls: () => readFileSync(join(folder, 'calls'), 'utf8') };
  }

  it('hands every argument and variable over unchanged, whatever is in it', async () => {
    const argv = planAccess({ ...COMMAND, argv: NASTY, workdir: "/it's", environment: { A: "b'c" } }) ?? [];
    const [, , , , , remote = ''] = argv;
    const script = remote.replace(`exec /bin/sh ${MACHINE.run}`, 'printf "%s\\0"');
    expect(script).not.toBe(remote);
    const shell = start(['/bin/sh', '-c', script], '');
    await shell.ended;
    expect(shell.printed().split('\0').slice(0, -1)).toEqual(['c-1', "/it's", "A=b'c", '--', ...NASTY]);
  });

  it('gives what the client ends with, and its standard input', async () => {
    const { child, ended, printed } = start(planAccess(COMMAND) ?? [], 'cat; exit 7');
    child.stdin.end('input');
    expect(await ended).toBe(7);
    expect(printed()).toBe('input');
  });

  it('asks for no terminal where there is none', async () => {
    const { ended, calls } = start(planAccess(COMMAND) ?? [], '');
    await ended;
    expect(calls()).toContain('\0-T\0');
    expect(calls()).not.toContain('-tt');
  });

  it('hands a signal on at once, and goes on waiting for the command', async () => {
    const does = `case "$*" in *kill*) touch ${folder}/relayed;; *) until [ -e ${folder}/relayed ]; do sleep 0.05; done; exit 9;; esac`;
    const { child, ended, calls } = start(planAccess(COMMAND) ?? [], `echo up; ${does}`);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGTERM');
    expect(await ended).toBe(9);
    await until('the relayed signal', () => calls().includes('kill -s TERM $pid'));
  });

  it('refuses an identifier that a shell would read', () => {
    expect(() => planAccess({ ...COMMAND, id: 'a;b' })).toThrow(TypeError);
    expect(() => planAccess({ ...COMMAND, id: '../x' })).toThrow(TypeError);
  });

  it('gives nothing for a command that is too long for one argument', () => {
    const words = (count: number) => ({ ...COMMAND, argv: ['x'.repeat(count)] });
    expect(planAccess(words(COMMAND_BYTES))).toBeNull();
    expect(planAccess(words(COMMAND_BYTES - 200))).not.toBeNull();
  });
});

describe('what else is asked of a machine', () => {
  it('takes no standard input and no terminal', () => {
    for (const argv of [planEnding(2.5), planReport('ask 198.18.0.1 a.test\n')]) {
      expect(argv.slice(0, 6)).toEqual(['ssh', '-F', '/run/sand-machine/ssh-config', '-n', '-T', 'guest']);
    }
    expect(planEnding(2.5).at(-1)).toMatch(/ 3$/);
  });
});
