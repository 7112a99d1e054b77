import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type DiffFlags,
  type DiffSurroundings,
  diffPolicies,
} from '../../../../controller/cli/policy/diff.ts';
import { revisionOf } from '../../../../controller/cli/policy/policy-argument.ts';
import { runTool } from '../../../../controller/process/runner.ts';

const FOLDER = fileURLToPath(new URL('./golden/', import.meta.url));
const OLD = './diff-old.yaml';
const NEW = './diff-new.yaml';

async function diff(flags: Partial<DiffFlags>, surroundings: Partial<DiffSurroundings> = {}) {
  let text = '';
  const code = await diffPolicies(
    { before: OLD, after: NEW, failOn: 'none', format: 'text', ...flags },
    {
      cwd: FOLDER,
      readInput: () => Promise.reject(new Error('nobody asked for standard input')),
      nowMs: Date.UTC(2026, 10, 22),
      write: (some) => {
        text += some;
      },
      ...surroundings,
    },
  );
  return { code, text };
}

/** `UPDATE_GOLDEN=1` rewrites it. */
function expectGolden(name: string, actual: string): void {
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(`${FOLDER}${name}`, actual);
  expect(actual).toBe(readFileSync(`${FOLDER}${name}`, 'utf8'));
}

describe('sand policy diff', () => {
  it('tells what widens first, each with its witness and the lines that make it', async () => {
    expectGolden('diff.txt', (await diff({})).text);
  });

  it('writes Markdown for a review', async () => {
    expectGolden('diff.markdown.txt', (await diff({ format: 'markdown' })).text);
  });

  it('writes JSON for a program', async () => {
    const { text } = await diff({ format: 'json' });
    expectGolden('diff.golden.json', `${JSON.stringify(JSON.parse(text), null, 2)}\n`);
  });

  it('says so where there is no difference', async () => {
    expect((await diff({ after: OLD })).text).toBe('no difference\n');
    expect((await diff({ after: OLD, format: 'markdown' })).text).toContain('No difference.');
  });

  it('compares presets, groups and standard input', async () => {
    const readInput = () => Promise.resolve('version: 1\nextends: [offline]\nrules:\n  - allow: a.example\n');
    const { text } = await diff({ before: 'offline', after: '-' }, { readInput });
    expect(text).toContain('widens   allows a.example (http 80, https 443)');
    expect(text).toContain('after:  stdin:4');
    expect((await diff({ before: 'strict', after: 'group:npm' })).text).toContain('narrows');
  });

  it.each([
    ['none', NEW, 0],
    ['widen', NEW, 1],
    ['any', NEW, 1],
    ['widen', OLD, 0],
    ['any', OLD, 0],
    ['widen', 'offline', 1],
  ])('with --fail-on %s against %s ends in %d+', async (failOn, after, code) => {
    expect((await diff({ failOn, after })).code).toBe(code);
  });

  it('fails on what narrows with any alone', async () => {
    const readInput = () =>
      Promise.resolve(`${readFileSync(`${FOLDER}${OLD}`, 'utf8')}  - deny: api.example.com\n`);
    expect((await diff({ failOn: 'widen', after: '-' }, { readInput })).code).toBe(0);
    expect((await diff({ failOn: 'any', after: '-' }, { readInput })).code).toBe(1);
  });

  it('refuses what it cannot read, and words that no flag has', async () => {
    await expect(diff({ before: './none.yaml' })).rejects.toMatchObject({ code: 'policy-invalid' });
    await expect(diff({ failOn: 'most' })).rejects.toMatchObject({ code: 'usage' });
    await expect(diff({ format: 'pdf' })).rejects.toMatchObject({ code: 'usage' });
    await expect(diff({ before: '-', after: '-' })).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('a policy of a git revision', () => {
  const folder = mkdtempSync(join(tmpdir(), 'diff-'));
  const git = async (...args: readonly string[]): Promise<void> => {
    const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
    const { exitCode, stderr } = await runTool('git', ['-C', folder, ...who, ...args], { timeoutMs: 60_000 });
    if (exitCode !== 0) throw new Error(stderr);
  };
  beforeAll(async () => {
    writeFileSync(join(folder, 'p.yaml'), 'version: 1\nrules:\n  - allow: a.example\n');
    writeFileSync(join(folder, 'e.yaml'), 'version: 1\nextends: [./p.yaml]\n');
    await git('init', '--quiet');
    await git('add', '.');
    await git('commit', '--quiet', '-m', 'A policy');
    writeFileSync(join(folder, 'p.yaml'), 'version: 1\nrules:\n  - allow: b.example\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is read as it was then', async () => {
    const { text } = await diff({ before: 'HEAD:p.yaml', after: './p.yaml' }, { cwd: folder });
    expect(text).toContain('narrows  no longer allows a.example');
    expect(text).toContain('before: HEAD:p.yaml:3');
    expect(text).toContain('widens   allows b.example');
  });

  it('is refused where git has none, and where it extends a file, which would be of today', async () => {
    await expect(diff({ before: 'HEAD:none.yaml' }, { cwd: folder })).rejects.toMatchObject({
      code: 'policy-missing',
    });
    await expect(diff({ before: 'HEAD:e.yaml' }, { cwd: folder })).rejects.toThrow(
      /not read from the revision HEAD/,
    );
  });

  it.each([
    ['HEAD~1:sand.policy.yaml', 'HEAD~1'],
    ['origin/main:policies/web.yaml', 'origin/main'],
    ['group:npm', null],
    ['preset:strict', null],
    ['./a:b.yaml', null],
    ['/project/a:b.yaml', null],
    ['--output=x:y', null],
    ['strict', null],
    ['-', null],
  ])('%s is of %s', (text, revision) => {
    expect(revisionOf(text)).toBe(revision);
  });
});
