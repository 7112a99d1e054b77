/**
 * What docs/runners.md says of a runner's owner: the real /etc/sand/ceiling.yaml, laid over /etc for the test's processes alone,
 * against a job that has the policy, the flags, the variables and the repository for its own.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { ALLOWED, createOrigins, DENIED, type Origins } from '../origins.ts';
import { createWorld, NODE, outputOf, type RunOutput, SAND, type World } from '../sand.ts';

const isRoot = process.getuid?.() === 0;
const UID = '54321';
/** Three guests after one another, on a loaded machine. */
const DEADLINE_MS = 180_000;

let origins: Origins;
let world: World;
let etc: string;

beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());
beforeEach(() => {
  world = createWorld(isRoot ? 'ordinary user' : 'caller');
  // Root's, as the owner's file is; the job runs as somebody else.
  etc = join(world.root, 'etc');
  mkdirSync(join(etc, 'sand'), { recursive: true });
  const http = `http: [${origins.httpPort}], addresses: [127.0.0.0/8]`;
  ceiling(`version: 1\nname: owner\nextends: [strict]\nrules:\n  - {allow: ${ALLOWED}, ${http}}\n`);
  world.file(
    'sand.policy.yaml',
    `version: 1\nname: job\nrules:\n  - {allow: ["*.origin.test"], ${http}}\n  - allow: upload.example.net\n`,
  );
});
afterEach(() => world.remove());

function ceiling(text: string): void {
  writeFileSync(join(etc, 'sand/ceiling.yaml'), text);
}

function sand(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<RunOutput> {
  const over = `mount -t overlay overlay -o lowerdir=${etc}:/etc /etc && exec "$@"`;
  const become = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--'];
  const child = spawn(
    'unshare',
    [
      ...(isRoot ? [] : ['--user', '--map-root-user']),
      ...['--mount', '--', 'sh', '-c', over, '-'],
      ...(isRoot ? become : []),
      ...[NODE, SAND, ...args],
    ],
    { cwd: world.workspace, env: { ...world.environment, CI: 'true', ...more } },
  );
  return outputOf(child, '');
}

const upstream = () => ['--dns-upstream', `127.0.0.1:${origins.dnsPort}`];
const fetch = (host: string) => `curl -sS http://${host}:${origins.httpPort}/`;

it('holds a job to what both allow, and names what the job asks for beyond it with a request', async () => {
  const script = `${fetch(ALLOWED)}; ${fetch(DENIED)}; echo x > /etc/sand/ceiling.yaml || echo held`;
  const { code, stdout, stderr } = await sand([
    ...['ci', '--policy', './sand.policy.yaml', '--allow', 'other.example', ...upstream()],
    ...['--no-baseline', '--', 'sh', '-c', script],
  ]);
  expect(code).toBe(120);
  expect(stdout).toContain(`hello from ${ALLOWED}`);
  expect(stdout).toContain('reason: ceiling');
  expect(stdout).toContain('held\n');
  expect(stderr).toMatch(/sand\.policy\.yaml:\d+ asks for https to upload\.example\.net:443/);
  expect(stderr).toMatch(/other\.example asks for https to other\.example:443/);
  expect(await world.events()).toContainEqual(
    expect.objectContaining({ kind: 'connection', host: DENIED, verdict: 'deny', reason: 'ceiling' }),
  );
});

it('holds where the job names a ceiling of its own, or lets pass what no rule allows', {
  timeout: DEADLINE_MS,
}, async () => {
  const wide = world.file(
    'wide.yaml',
    'version: 1\nrules:\n  - allow: "*.origin.test"\n    tcp: [1-65535]\n',
  );
  const flags = ['--policy', './sand.policy.yaml', ...upstream(), '--', 'sh', '-c', fetch(DENIED)];
  const named = await sand(['run', ...flags], { SAND_CEILING: wide });
  expect(named.stdout).toContain('reason: ceiling');
  const learning = await sand(['run', '--learn', ...flags]);
  expect(learning.stdout).toContain('reason: ceiling');
  world.file('report.yaml', 'version: 1\nmode: report\n');
  const reporting = await sand([
    'run',
    '--policy',
    './report.yaml',
    ...upstream(),
    '--',
    'sh',
    '-c',
    fetch(DENIED),
  ]);
  expect(reporting.stdout).toContain('reason: ceiling');
  expect(origins.requests.filter((request) => request.includes(DENIED))).toEqual([]);
});

it('lets nothing start that it cannot be asked about', async () => {
  ceiling('version: 1\nrules: [{alow: example.com}]\n');
  const invalid = await sand(['run', '--policy', 'offline', '--', 'echo', 'ran']);
  expect(invalid).toMatchObject({ code: 2, stdout: '' });
  expect(invalid.stderr).toContain('/etc/sand/ceiling.yaml:2');
  const missing = await sand(['run', '--policy', 'offline', '--', 'echo', 'ran'], {
    SAND_CEILING: '/missing.yaml',
  });
  expect(missing.stdout).toBe('');
  expect(missing.code).not.toBe(0);
});

it.skipIf(!isRoot)(
  'lets nothing start where the job may not read it (needs root, to own the file)',
  async () => {
    chmodSync(join(etc, 'sand/ceiling.yaml'), 0o600);
    const { code, stdout } = await sand(['run', '--policy', 'offline', '--', 'echo', 'ran']);
    expect([code === 0, stdout]).toEqual([false, '']);
  },
);

it('is shown to whoever asks', async () => {
  const shown = await sand(['policy', 'show', './sand.policy.yaml']);
  expect(shown.stdout).toContain('the ceiling /etc/sand/ceiling.yaml must allow as well');
  const why = await sand(['why', '--policy', './sand.policy.yaml', 'upload.example.net']);
  expect(why).toMatchObject({ code: 1, stdout: expect.stringContaining('ceiling') });
});
