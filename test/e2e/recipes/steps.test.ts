/** recipes/gitlab and recipes/shell: their own texts, run as a runner runs them, on real guests. */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ALLOWED, createOrigins, DENIED, type Origins } from '../origins.ts';
import { createWorld, NODE, outputOf, type RunOutput, SAND, type World } from '../sand.ts';
import { extendJob, type Job, shellScript } from './gitlab-shell.ts';

const RECIPES = new URL('../../../recipes/', import.meta.url).pathname;
const templates: Readonly<Record<string, Job>> = parse(
  readFileSync(join(RECIPES, 'gitlab/sand.gitlab-ci.yml'), 'utf8'),
);
/** Three guests after one another, on a loaded machine. */
const DEADLINE_MS = 180_000;
const TOKEN = 'glcbt-1234567890abcdef';

let origins: Origins;
let world: World;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins.close());
beforeEach(() => {
  world = createWorld();
  const bin = join(world.root, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'sand'), `#!/bin/sh\nexec ${NODE} ${SAND} "$@"\n`);
  chmodSync(join(bin, 'sand'), 0o755);
  environment = { ...world.environment, PATH: `${bin}:${world.environment.PATH}` };
  world.file(
    'sand.policy.yaml',
    `version: 1\nrules:\n  - {allow: ${ALLOWED}, http: [${origins.httpPort}], addresses: [127.0.0.0/8]}\n`,
  );
});
afterEach(() => world.remove());

const flags = () => `--dns-upstream 127.0.0.1:${origins.dnsPort}`;
const url = (host: string, path = '') => `http://${host}:${origins.httpPort}/${path}`;
const reports = () => readdirSync(join(world.workspace, 'sand-egress')).sort();
const report = (name: string) => readFileSync(join(world.workspace, 'sand-egress', name), 'utf8');

function start(file: string, args: readonly string[], input = '', more = {}): Promise<RunOutput> {
  const child = spawn(file, args, { cwd: world.workspace, env: { ...environment, ...more } });
  return outputOf(child, input);
}

/** As gitlab-runner does: the text on the standard input of a login shell. */
function runJob(job: Job, predefined: Readonly<Record<string, string>> = {}): Promise<RunOutput> {
  const script = shellScript(extendJob(job, templates), {
    CI: 'true',
    GITLAB_CI: 'true',
    CI_PROJECT_DIR: world.workspace,
    CI_JOB_TOKEN: TOKEN,
    // A login shell has forgotten it; sand is installed for everybody where this is not a test.
    PATH: environment.PATH ?? '',
    ...predefined,
  });
  return start('bash', ['--login'], script);
}

describe('a GitLab job that extends .sand', () => {
  const variables = () => ({ SAND_POLICY: './sand.policy.yaml', SAND_FLAGS: flags() });

  it('runs commands and scripts in guests, without the token of the job, and leaves a report of each', async () => {
    const { code, stdout, stderr } = await runJob({
      extends: '.sand',
      variables: variables(),
      script: [
        `in_sand curl -sSf ${url(ALLOWED)}`,
        'in_sand <<\'END\'\necho "ci: $CI token: [$(printenv CI_JOB_TOKEN || true)]"\necho made > artifact.txt\nEND',
        'cat artifact.txt',
      ],
    });
    expect([code, stderr.includes(TOKEN)]).toEqual([0, false]);
    expect(stdout).toContain(`hello from ${ALLOWED}`);
    expect(stdout).toContain('ci: true token: []');
    expect(stdout).toContain('made\n');
    expect(reports()).toEqual(['1.md', '1.xml', '2.md', '2.xml']);
    expect(report('1.xml')).toMatch(/<testsuites?[\s>]/);
  });

  it('ends with a code of its own where something was denied, which the report names', async () => {
    const script = [`in_sand sh -c 'curl -s ${url(DENIED)} || true'`, 'echo never'];
    const { code, stdout } = await runJob({ extends: '.sand', variables: variables(), script });
    expect(code).toBe(120);
    expect(stdout).not.toContain('never\n');
    expect(report('1.xml')).toContain(DENIED);
    expect(report('1.xml')).toMatch(/<failure/);
    expect(report('1.md')).toContain(DENIED);
  });

  it('ends with the code of a command that fails', async () => {
    const job = {
      extends: '.sand',
      variables: variables(),
      script: ['in_sand sh -c "exit 3"', 'echo never'],
    };
    expect(await runJob(job)).toMatchObject({ code: 3, stdout: expect.not.stringContaining('never\n') });
  });

  it('keeps the reports of earlier guests from later ones', async () => {
    const script = [
      'in_sand true',
      "in_sand sh -c 'echo x > sand-egress/1.xml || rm -r sand-egress || mv sand-egress other || ln -s /tmp sand-egress/3.xml || echo held'",
    ];
    const { code, stdout } = await runJob({ extends: '.sand', variables: variables(), script });
    expect([code, stdout.includes('held\n')]).toEqual([0, true]);
    expect(report('1.xml')).not.toBe('x\n');
    expect(reports()).toEqual(['1.md', '1.xml', '2.md', '2.xml']);
  });

  it('names reports of JUnit where GitLab looks for them, and keeps tokens out of the remote', () => {
    const { artifacts, variables: own } = extendJob({ extends: '.sand' }, templates);
    expect(artifacts).toEqual({
      when: 'always',
      paths: ['sand-egress/'],
      reports: { junit: 'sand-egress/*.xml' },
    });
    expect(own).toMatchObject({ FF_GIT_URLS_WITHOUT_TOKENS: 'true', SAND_POLICY: 'strict' });
  });
});

describe('a GitLab job that extends .sand-policy', () => {
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: world.workspace,
      env: environment,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  const runDiff = () =>
    runJob({ extends: '.sand-policy' }, { CI_MERGE_REQUEST_DIFF_BASE_SHA: git('rev-parse', 'HEAD').trim() });
  beforeEach(() => {
    git('init', '-q');
    git('remote', 'add', 'origin', world.workspace);
    git('add', '.');
    git('commit', '-qm', 'before');
  });

  it('shows with a request what a merge request opens, and passes where it opens nothing', async () => {
    expect(await runDiff()).toMatchObject({ stderr: '', code: 0 });
    const path = join(world.workspace, 'sand.policy.yaml');
    writeFileSync(path, `${readFileSync(path, 'utf8')}  - allow: upload.example.net\n`);
    const { code, stdout } = await runDiff();
    expect(code).toBe(1);
    expect(stdout).toContain('upload.example.net');
    expect(templates['.sand-policy']?.allow_failure).toEqual({ exit_codes: [1] });
  });

  it('compares with strict where the target has no policy', async () => {
    git('rm', '-q', '--cached', 'sand.policy.yaml');
    git('commit', '-qm', 'without');
    const { code, stdout } = await runDiff();
    expect([code, stdout.includes(ALLOWED)]).toEqual([1, true]);
  });
});

describe('in-sand.sh', () => {
  const run = (args: readonly string[], input = '', more = {}) =>
    start(join(RECIPES, 'shell/in-sand.sh'), args, input, {
      CI: 'true',
      SECRET_OF_RUNNER: TOKEN,
      SAND_POLICY: './sand.policy.yaml',
      SAND_FLAGS: flags(),
      ...more,
    });

  it('runs a command or a script in a guest, and ends as sand ci does', {
    timeout: DEADLINE_MS,
  }, async () => {
    const fetched = await run(['curl', '-sSf', url(ALLOWED)]);
    expect(fetched).toMatchObject({ code: 0, stdout: `hello from ${ALLOWED}:${origins.httpPort}\n` });
    const script = `echo "[\${SECRET_OF_RUNNER-}]"\ncurl -s ${url(DENIED)} || true\n`;
    expect(await run([], script)).toMatchObject({ code: 120, stdout: expect.stringMatching(/^\[\]\n/) });
    expect(reports()).toEqual(['1.md', '1.xml', '2.md', '2.xml']);
    expect(await run(['sh', '-c', 'exit 7'])).toMatchObject({ code: 7 });
  });

  it('writes its reports through no link that an earlier guest has made', async () => {
    const target = join(world.root, 'target');
    mkdirSync(target);
    symlinkSync(target, join(world.workspace, 'sand-egress'));
    expect((await run(['true'])).code).not.toBe(0);
    expect(readdirSync(target)).toEqual([]);
    expect(existsSync(join(target, '1.xml'))).toBe(false);
  });
});
