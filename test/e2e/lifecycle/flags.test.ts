/** The flags of `sand run` and the commands that read a run back, on the real backend. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, type World } from '../sand.ts';

const STRICT = ['run', '--policy', 'strict'];

describe.each(CALLERS)('sand run of the %s', (who) => {
  let world: World;
  beforeAll(() => {
    world = createWorld(who);
    world.file('inner/keep', '');
  });
  afterAll(() => world.remove());

  const inGuest = (flags: readonly string[], script: string, environment = {}) =>
    world.sand([...STRICT, ...flags, '--', 'sh', '-c', script], { environment });

  it('--json prints one object on stdout, and the command\u2019s output on stderr', async () => {
    const output = await inGuest(
      ['--json'],
      'echo spoken; curl -s http://denied.example.com/ >/dev/null; exit 3',
    );
    expect(output.code).toBe(3);
    expect(output.stderr).toContain('spoken\n');
    const object = JSON.parse(output.stdout);
    expect(object).toMatchObject({ exitCode: 3, cause: 'exit', error: null, teardown: [], notices: [] });
    expect(object.run).toMatch(/^\d{8}-/);
    expect(object.log).toBe(join(world.root, 'state/sand/runs', object.run, 'audit.jsonl'));
    expect(JSON.stringify(object.decisions)).toContain('denied.example.com');
  });

  it('--json prints errors as one object as well', async () => {
    const output = await world.sand(['run', '--json', '--policy', 'no-such-preset', '--', 'true']);
    expect(output.code).toBe(2);
    const { error } = JSON.parse(output.stdout);
    expect(error).toMatchObject({ code: expect.stringMatching(/^policy-/), message: expect.any(String) });
    expect(error.hint).not.toBe('');
  });

  it('--verbose tells the policy, the resolver\u2019s port and the planted ports', async () => {
    const { stderr } = await inGuest(['--verbose'], 'true');
    expect(stderr).toMatch(/^sand: policy: strict \(sha256:/m);
    expect(stderr).toMatch(/^sand: resolver on 127\.0\.0\.1 port \d+/m);
    expect(stderr).toMatch(/^sand: ports planted for the guest: .*443/m);
  });

  it('--workdir is where the command starts', async () => {
    const { stdout } = await inGuest(['--workdir', join(world.workspace, 'inner')], 'pwd');
    expect(stdout).toBe(`${join(world.workspace, 'inner')}\n`);
  });

  it('mounts the working directory read-write, and two named folders as they are named', async () => {
    expect((await inGuest([], 'pwd; echo made > made')).stdout).toBe(`${world.workspace}\n`);
    expect(readFileSync(join(world.workspace, 'made'), 'utf8')).toBe('made\n');
    world.file('data/in', 'input');
    world.file('out/keep', '');
    const mounts = ['--mount', './data:/data:ro', '--mount', './out:/out'];
    const output = await inGuest(mounts, 'cat /data/in; echo x > /out/written; echo x > /data/written; ls /');
    expect(output.stdout).toMatch(/^input[\s\S]*data[\s\S]*out/);
    expect(output.stderr).toMatch(/Read-only file system/);
    expect(existsSync(join(world.workspace, 'out/written'))).toBe(true);
    expect(existsSync(join(world.workspace, 'data/written'))).toBe(false);
  });

  it('--env passes the caller\u2019s value or the one that is named, and nothing else does', async () => {
    const flags = ['--env', 'MINE', '--env', 'NAMED=a=b c'];
    const { stdout } = await inGuest(flags, 'echo "$MINE|$NAMED|$SECRET"', { MINE: 'my own', SECRET: 'no' });
    expect(stdout).toBe('my own|a=b c|\n');
  });

  it('--share gitconfig shows the caller\u2019s git settings, which no guest sees otherwise', async () => {
    const path = join(world.root, 'home/.gitconfig');
    writeFileSync(path, '[user]\n\tname = A Caller\n');
    chmodSync(path, 0o644);
    expect((await inGuest(['--share', 'gitconfig'], 'git config --get user.name')).stdout).toBe('A Caller\n');
    expect((await inGuest([], 'cat ~/.gitconfig')).code).not.toBe(0);
    expect((await inGuest(['--share', 'gitconfig'], 'echo x >> ~/.gitconfig')).code).not.toBe(0);
    expect((await inGuest(['--share', 'known-hosts'], 'true')).stderr).toContain('(share-unavailable)');
  });

  it('--cache keeps package caches between runs of one folder, and from other folders', async () => {
    const kept =
      'cat ~/.npm/kept ~/.cache/kept 2>/dev/null; echo one > ~/.npm/kept; echo two > ~/.cache/kept';
    expect(await inGuest(['--cache'], kept)).toMatchObject({ code: 0, stdout: '' });
    expect((await inGuest(['--cache'], kept)).stdout).toBe('one\ntwo\n');
    expect((await inGuest([], kept)).stdout).toBe('');
    const elsewhere = { cwd: join(world.workspace, 'inner') };
    expect((await world.sand([...STRICT, '--cache', '--', 'sh', '-c', kept], elsewhere)).stdout).toBe('');
  });

  it('keeps a log that audit shows, tails, lists and verifies', async () => {
    await inGuest([], 'curl -s --max-time 10 http://denied.example.com/ >/dev/null');
    expect((await world.sand(['audit'])).stdout).toContain('denied.example.com');
    expect((await world.sand(['audit', 'verify'])).stdout).toMatch(/intact, \d+ events, sealed/);
    const tail = await world.sand(['audit', 'tail', '--json', '--no-follow']);
    const kinds = tail.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).kind);
    expect(kinds).toEqual(expect.arrayContaining(['connection', 'run-end']));
    expect((await world.sand(['audit', 'tail'])).code).toBe(0);
    expect((await world.sand(['audit', 'ls'])).stdout).toContain('denied.example.com');
    const run = JSON.parse((await world.sand(['inspect', '--json'])).stdout).run;
    const log = join(world.root, 'state/sand/runs', run, 'audit.jsonl');
    writeFileSync(log, readFileSync(log, 'utf8').replace('denied.example.com', 'denied.example.org'));
    const broken = await world.sand(['audit', 'verify', run]);
    expect(broken).toMatchObject({ code: 1 });
    expect(broken.stdout).toMatch(/broken at line \d+/);
  });

  it('--audit-key signs the log, out of the guest’s reach', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const environment = { SIGNING_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    world.file('audit.pub', publicKey.export({ type: 'spki', format: 'pem' }).toString());
    const { stdout } = await inGuest(
      ['--audit-key', 'env:SIGNING_KEY'],
      'env; cat /proc/*/environ',
      environment,
    );
    expect(stdout).not.toMatch(/SIGNING_KEY|PRIVATE KEY/);
    expect((await world.sand(['audit', 'verify', '--key', 'audit.pub'])).stdout).toMatch(
      /sealed, signed by this key/,
    );
    await inGuest([], 'true');
    const unsigned = await world.sand(['audit', 'verify', '--key', 'audit.pub']);
    expect(unsigned).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/broken at line 1: .*nothing signs/),
    });
  });

  it('starts nothing under a policy that requires a stronger isolation', async () => {
    world.file('vault.yaml', 'version: 1\nname: vault\nrequires: {isolation: vm}\n');
    const output = await world.sand(['run', '--policy', './vault.yaml', '--', 'touch', 'isolated']);
    expect(output.code).toBe(122);
    expect(output.stderr).toMatch(
      /the policy vault requires isolation vm at least, .* is namespaces \(isolation-required\)/,
    );
    expect(output.stderr).toContain('--isolation vm');
    expect(existsSync(join(world.workspace, 'isolated'))).toBe(false);
  });

  it('starts nothing without a log, and allows nothing once it cannot be written', async () => {
    const shut = join(world.root, 'shut');
    writeFileSync(shut, 'a file where the folder would be');
    const output = await inGuest([], 'touch started', { XDG_STATE_HOME: shut });
    expect(output.code).toBe(125);
    expect(output.stderr).toContain('(audit-unavailable)');
    expect(existsSync(join(world.workspace, 'started'))).toBe(false);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'a log that fills its disk ends what is allowed, and the run says so',
    async () => {
      const state = join(world.root, `full-${who.length}`);
      mkdirSync(state);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=1777', 'tmpfs', state]);
      try {
        const asks =
          'for i in $(seq 200); do curl -s -o /dev/null -w "%{http_code}\\n" --max-time 5 http://denied-$i.example.com/ || echo none; done';
        const output = await inGuest([], `${asks} | sort | uniq -c`, { XDG_STATE_HOME: state });
        expect(output.code).toBe(125);
        expect(output.stderr).toContain('(audit-unavailable)');
        expect(output.stdout).not.toMatch(/ 200$/m);
      } finally {
        execFileSync('umount', [state]);
      }
    },
  );

  it.each([
    ['the home', (at: World) => [join(at.root, 'home')], 'workspace-refused'],
    ['/', () => ['/'], 'workspace-refused'],
    ['the folder of the audit logs', (at: World) => [join(at.root, 'state')], 'workspace-refused'],
    ['what does not exist', () => ['./no-such-folder'], 'workspace-refused'],
  ])('refuses %s as a mount', async (_, sources, code) => {
    const output = await world.sand([
      ...STRICT,
      ...sources(world).flatMap((source) => ['--mount', source]),
      '--',
      'true',
    ]);
    expect(output.code).toBe(2);
    expect(output.stderr).toContain(`(${code})`);
    expect(output.stderr).toMatch(/^ {2}do: ./m);
  });
});

describe('wrong use of sand run', () => {
  let world: World;
  beforeAll(() => {
    world = createWorld();
    world.file('bad.yaml', 'version: 1\nrules:\n  - alow: example.com\n');
  });
  afterAll(() => world.remove());

  it.each<readonly [string, readonly string[]]>([
    ['no command', ['run']],
    ['nothing after --', ['run', '--']],
    ['a command without --', ['run', 'true']],
    ['an unknown flag', ['run', '--polcy', 'strict', '--', 'true']],
    ['an unknown command', ['rum', '--', 'true']],
    ['a flag without its value', ['run', '--policy', '--', 'true']],
    ['an unknown preset', ['run', '--policy', 'stirct', '--', 'true']],
    ['an unknown group', ['run', '--policy', 'group:nmp', '--', 'true']],
    ['a policy file that is not there', ['run', '--policy', './none.yaml', '--', 'true']],
    ['a policy file that does not parse', ['run', '--policy', './bad.yaml', '--', 'true']],
    ['a host that is no host', ['run', '--allow', 'exa mple', '--', 'true']],
    ['a wildcard over everything', ['run', '--allow', '*.com', '--', 'true']],
    ['a mount of four parts', ['run', '--mount', 'a:b:c:d', '--', 'true']],
    ['a relative place in the guest', ['run', '--mount', '.:data', '--', 'true']],
    ['a place in the guest that is sand\u2019s', ['run', '--mount', '.:/etc', '--', 'true']],
    ['two mounts at one place', ['run', '--mount', '.:/w', '--mount', '.:/w', '--', 'true']],
    ['a variable that is not set', ['run', '--env', 'NOT_SET_ANYWHERE', '--', 'true']],
    ['a variable of a bad name', ['run', '--env', '1A=x', '--', 'true']],
    ['an unknown share', ['run', '--share', 'sshagent', '--', 'true']],
    ['a relative workdir', ['run', '--workdir', 'inner', '--', 'true']],
    ['a time that is none', ['run', '--timeout', 'soon', '--', 'true']],
    ['no time at all', ['run', '--timeout', '0', '--', 'true']],
    ['a port that is none', ['run', '--dns-port', 'dns', '--', 'true']],
    ['port 53', ['run', '--dns-port', '53', '--', 'true']],
    ['port 1053', ['run', '--dns-port', '1053', '--', 'true']],
    ['port 2053', ['run', '--dns-port', '2053', '--', 'true']],
    ['port 5353', ['run', '--dns-port', '5353', '--', 'true']],
    ['an upstream that is a name', ['run', '--dns-upstream', 'dns.example.com', '--', 'true']],
    ['an unknown backend', ['run', '--backend', 'docker', '--', 'true']],
    ['a run that is not there', ['audit', '20200101']],
    ['a run id that is none', ['inspect', '../x']],
  ])('%s ends with 2, what is wrong and what to do', async (_, args) => {
    const output = await world.sand(args);
    expect(output).toMatchObject({ code: 2, stdout: '' });
    expect(output.stderr).toMatch(/^sand: \S/);
    expect(output.stderr).toMatch(/ \([a-z-]+\)\n {2}do: \S.*\n$/);
  });
});
