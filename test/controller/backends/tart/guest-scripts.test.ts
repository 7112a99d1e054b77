/** The scripts of a guest of Tart, run by this host's bash in a folder of the test's. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EndReader } from '../../../../controller/backends/tart/command-end.ts';
import {
  endScript,
  GUEST_FOLDER,
  quote,
  RUN_SCRIPT,
  runWords,
  setUpScript,
  signalScript,
  TERMINAL_SCRIPT,
  variablesScript,
} from '../../../../controller/backends/tart/guest-scripts.ts';

const ID = 'c0ffee00-0000-4000-8000-000000000001';
let base = '';

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'sand-tart-'));
  writeFileSync(join(base, 'environment'), "export GREETING='it'\\''s here'\n");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const here = (script: string) => script.replaceAll(GUEST_FOLDER, base);

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly told: number | null;
}

async function run(
  command: readonly string[],
  { folder = '/', input = '', script = RUN_SCRIPT, began = (_pid: number) => {} } = {},
): Promise<Ran> {
  const [file = '', ...words] = runWords(here(script), ID, folder, command);
  const child = spawn(file, words, { env: { PATH: '/usr/bin:/bin', HOME: base } });
  child.stdin.on('error', () => {}).end(input);
  began(child.pid ?? 0);
  let stdout = '';
  let stderr = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = Buffer.concat([stderr, chunk]);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const reader = new EndReader(ID);
  return { code, stdout, stderr: reader.push(stderr).toString(), told: reader.status };
}

const record = () => readFileSync(join(base, `ended-${ID}`), 'utf8');

describe('a command in a guest of Tart', () => {
  it('has the guest\u2019s variables, its folder and its input', async () => {
    const command = ['sh', '-c', 'echo "$GREETING $PWD $(cat)"; case $PATH in */sbin*) echo yes;; esac'];
    const ran = await run(command, { folder: '/usr', input: 'in' });
    expect(ran).toEqual({ code: 0, stdout: "it's here /usr in\nyes\n", stderr: '', told: 0 });
  });

  it.each([
    [['sh', '-c', 'exit 0'], 0],
    [['sh', '-c', 'exit 1'], 1],
    [['sh', '-c', 'exit 2'], 2],
    [['sh', '-c', 'exit 255'], 255],
    [['sh', '-c', 'kill -9 $$'], 137],
    [['sh', '-c', 'kill -15 $$'], 143],
    [['sh', '-c', 'kill -2 $$'], 130],
  ])('tells the end of %j', async (command, status) => {
    const ran = await run(command);
    expect(ran).toMatchObject({ told: status, stderr: '' });
    expect(record()).toBe(`${status}`);
  });

  it.each([
    [['no-such-program'], 127, 'sand: no-such-program: command not found\n'],
    [['/no/such'], 127, 'sand: /no/such: command not found\n'],
    [['/usr'], 126, ''],
  ])('says that %j cannot be run', async (command, status, said) => {
    const ran = await run(command);
    expect(ran.told).toBe(status);
    if (said !== '') expect(ran.stderr).toBe(said);
  });

  it('does not run where its folder is not', async () => {
    const ran = await run(['true'], { folder: '/no/such/place' });
    expect(ran).toMatchObject({ told: 126, stderr: expect.stringContaining('/no/such/place') });
  });

  it('is a program, and nothing of the shell\u2019s', async () => {
    expect(await run(['cd', '/'])).toMatchObject({ stderr: expect.not.stringContaining('bash') });
    expect(await run(['begin'])).toMatchObject({ told: 127 });
    expect(await run(['echo', '-n', '$HOME', '; true'])).toMatchObject({ stdout: '$HOME ; true' });
  });

  it('takes variables of its own once, from a file that is gone then', async () => {
    execFileSync('/bin/bash', ['-c', here(variablesScript(ID, { ONE: "a 'b'\n$(false)", TWO: '' }))]);
    expect(statSync(join(base, `variables-${ID}`)).mode & 0o777).toBe(0o600);
    const ran = await run(['sh', '-c', `printf %s "$ONE|$TWO|$1"; ls ${base}`]);
    expect(ran.stdout).toContain("a 'b'\n$(false)||");
    expect(ran.stdout).not.toContain('variables-');
  });

  it('has nothing of sand\u2019s own in its environment', async () => {
    const { stdout } = await run(['env']);
    const names = stdout.split('\n').map((line) => line.split('=')[0]);
    expect(names.filter((name) => name !== '' && name !== '_').sort()).toEqual(
      ['GREETING', 'HOME', 'PATH', 'PWD', 'SHLVL'].sort(),
    );
  });

  it('is told of as ended while something that it left holds its output', async () => {
    const [file = '', ...words] = runWords(here(RUN_SCRIPT), ID, '/', ['sh', '-c', 'sleep 600 & echo $!']);
    const child = spawn(file, words, { env: { PATH: '/usr/bin:/bin' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let left = '';
    child.stdout.on('data', (chunk: Buffer) => {
      left += chunk.toString();
    });
    const reader = new EndReader(ID);
    try {
      await new Promise<void>((resolve) =>
        child.stderr.on('data', (chunk: Buffer) => {
          reader.push(chunk);
          if (reader.status !== null) resolve();
        }),
      );
      expect(reader.status).toBe(0);
    } finally {
      process.kill(Number(left), 'SIGKILL');
    }
  });

  it('gets signals with all of its group, which is not that of who waits', async () => {
    const signalled = async () => {
      for (let attempt = 0; attempt < 100; attempt++) {
        try {
          execFileSync('/bin/bash', ['-c', here(signalScript(ID, 'TERM'))], { stdio: 'ignore' });
          return;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
      throw new Error('nothing to signal');
    };
    const running = run(['sh', '-c', 'sleep 600; true'], { began: () => void signalled() });
    expect(await running).toMatchObject({ told: 143, stderr: '' });
  });

  it('on a terminal keeps its end for who asks', async () => {
    const ran = await run(['sh', '-c', 'exit 9'], { script: TERMINAL_SCRIPT });
    expect(ran).toMatchObject({ code: 9, told: null, stderr: '' });
    expect(execFileSync('/bin/bash', ['-c', here(endScript(ID))]).toString()).toBe('9');
  });

  it('gets no signal that is no word', () => {
    expect(signalScript(ID, 'TERM; touch /x')).toContain('kill -s TERM ');
    expect(signalScript(ID, 'TERM; touch /x')).not.toContain('touch');
  });
});

describe('a guest\u2019s set-up', () => {
  it('quotes every text', () => {
    const text = `a'b"c$(d)\\e\n`;
    expect(execFileSync('/bin/bash', ['-c', `printf %s ${quote(text)}`]).toString()).toBe(text);
  });

  it('leaves out what is no name of a variable', () => {
    const script = setUpScript({
      environment: { 'A;touch x': '1', B: '2' },
      links: [],
      files: [],
      proxy: null,
      resolver: null,
    });
    const [, text = ''] = /printf %s '([A-Za-z0-9+/=]+)'/.exec(script) ?? [];
    expect(Buffer.from(text, 'base64').toString()).toBe("export B='2'\n");
  });

  it('is bash that reads', () => {
    const script = setUpScript({
      environment: { A: "'" },
      links: [{ share: 'sand0', target: "/Users/a'b/x" }],
      files: [{ path: '/var/run/secrets/a', content: Buffer.from([0, 255]), mode: '400', owner: 'user' }],
      proxy: { host: '192.0.2.1', port: 3128 },
      resolver: null,
    });
    execFileSync('/bin/bash', ['-n', '-c', script]);
  });

  it('names a resolver at a port of its own, and is still bash that reads', () => {
    const script = setUpScript({
      environment: {},
      links: [],
      files: [],
      proxy: { host: '192.168.64.1', port: 4000, credential: { user: 'sand', password: "p'w" } },
      resolver: { host: '192.168.64.1', port: 5300, domains: ['example.com', 'corp'] },
    });
    execFileSync('/bin/bash', ['-n', '-c', script]);
    expect(script).toContain(`"$service" 192.168.64.1 4000 on 'sand' 'p'\\''w'`);
    expect(script).toContain('d.add ServerPort # 5300');
    expect(script).toContain("for domain in 'example.com' 'corp'; do");
  });
});
