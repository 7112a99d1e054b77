import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import { runPlace } from '../../../audit/runs.ts';
import { type LearnFlags, learnPolicy } from '../../../controller/cli/policy/learn.ts';
import { learnPlace } from '../../../controller/cli/run-learn.ts';
import { connection, linesOf, runEnd, runStart } from '../../audit/samples.ts';
import { createProject, type Project } from './policy/project.ts';

const PASSED = { verdict: 'allow', reason: 'would-be-denied', disposition: 'forwarded', rule: null } as const;
const FIRST = '20261121-201500-k3f9';
const SECOND = '20261121-211500-k3f9';
const POLICY = `# reviewed by us
version: 1
extends: [group:pypi]   # Python
rules:
  - allow: [a.example]  # ours
    https: [443]
  # never
  - deny: "**.ads.example"
`;

let project: Project;
beforeEach(() => {
  project = createProject({ 'sand.policy.yaml': POLICY });
});
afterEach(() => project.remove());

function writeRun(id: string, command: readonly string[], entries: readonly AuditEntry[]): string {
  const run = runPlace(join(project.folder, 'state/sand/runs'), id);
  mkdirSync(run.directory, { recursive: true, mode: 0o700 });
  const lines = linesOf([runStart({ run: id, command }), ...entries, runEnd()]);
  writeFileSync(run.auditPath, lines.map((line) => `${line}\n`).join(''));
  return run.auditPath;
}

async function learn(runs: readonly string[], flags: Partial<LearnFlags> = {}) {
  const surroundings = {
    ...project.surroundings,
    environ: { XDG_STATE_HOME: join(project.folder, 'state') },
  };
  const all = { wildcards: false, extend: [], yes: true, json: false, ...flags };
  const code = await learnPolicy({ runs, flags: all }, { ask: null }, surroundings);
  return { code, out: project.output(), told: project.told(), text: project.read('sand.policy.yaml') };
}

const passed = (host: string, port = 443, protocol: 'https' | 'tcp' = 'https') =>
  connection({ ...PASSED, host, port, protocol });

describe('sand policy learn', () => {
  it('adds what the policy lacks to its text, with formatting and comments kept', async () => {
    writeRun(FIRST, ['npm', 'ci'], [passed('a.example'), passed('b.example'), passed('pypi.org')]);
    const { code, text } = await learn([]);
    expect(code).toBe(0);
    expect(text).toBe(POLICY.replace('[a.example]', '[a.example, b.example]'));
  });

  it('learns from many runs, and tells how often, in how many, and who came first', async () => {
    writeRun(
      FIRST,
      ['npm', 'ci'],
      [passed('b.example'), passed('b.example'), passed('db.example', 5432, 'tcp')],
    );
    const path = writeRun(SECOND, ['make', 'test'], [passed('b.example'), passed('x.ads.example')]);
    const { out, text } = await learn([FIRST, path]);
    expect(out).toContain('2 runs needed 3 hosts, of which the policy lacks 2\n');
    expect(out).toContain(`  b.example (https 443): 3 times in 2 runs, first by npm ci (${FIRST})\n`);
    expect(out).toContain('left out:\n  x.ads.example:443: a deny rule covers it');
    expect(text).toContain(
      '  - deny: "**.ads.example"\n  - allow: b.example\n    https: [443]\n  - allow: db.example\n    tcp: [5432]\n',
    );
    expect((await learn([FIRST, SECOND])).out).toBe('sand.policy.yaml says so already.\n');
  });

  it('shows the difference first, and writes nothing unasked', async () => {
    writeRun(FIRST, ['npm', 'ci'], [passed('b.example')]);
    const { code, out, told, text } = await learn([], { yes: false });
    expect([code, text]).toEqual([1, POLICY]);
    expect(out).toMatch(/widens {3}allows b\.example \(https 443\)[\s\S]*\+\+\+ b\/sand\.policy\.yaml/);
    expect(told).toContain('--yes');
  });

  it('takes a group on request, and learns what that leaves', async () => {
    const hosts = ['index.crates.io', 'static.crates.io', 'b.example'];
    writeRun(
      FIRST,
      ['cargo', 'build'],
      hosts.map((host) => passed(host)),
    );
    const proposed = JSON.parse((await learn([], { yes: false, json: true })).out);
    expect(proposed.groups[0]).toMatchObject({
      name: 'group:crates',
      covers: ['index.crates.io', 'static.crates.io'],
    });
    const { text } = await learn([], { extend: ['group:crates'] });
    expect(text).toBe(
      POLICY.replace('[group:pypi] ', '[group:pypi, group:crates] ').replace(
        '[a.example]',
        '[a.example, b.example]',
      ),
    );
  });

  it('writes a wildcard on request only, and shows what it opens', async () => {
    const names = ['a', 'b', 'c'].map((label) => `${label}.cdn.example.com`);
    writeRun(
      FIRST,
      ['npm', 'ci'],
      names.map((host) => passed(host)),
    );
    expect((await learn([], { yes: false })).out).not.toContain('*.cdn');
    const { out, text } = await learn([], { wildcards: true });
    expect(out).toContain('wildcard: *.cdn.example.com for a.cdn.example.com, b.cdn.example.com');
    expect(out).toMatch(/widens .*\*\.cdn\.example\.com/);
    expect(text).toContain('  - allow: [a.example, "*.cdn.example.com"]  # ours\n');
  });

  it('begins a file that is named', async () => {
    writeRun(
      FIRST,
      ['npm', 'ci'],
      [
        passed('b.example'),
        connection({ ...PASSED, verdict: 'allow', reason: 'allowed-by-rule', host: 'a.example' }),
      ],
    );
    await learn([], { file: 'new.yaml' });
    expect(project.read('new.yaml')).toBe(
      'version: 1\nrules:\n  - allow: [b.example, a.example]\n    https: [443]\n',
    );
  });

  it('survives a log of a stranger: no host of it gets into the text unread, no control character onto the screen', async () => {
    const path = writeRun(
      FIRST,
      ['npm\u001b[2J', 'ci\n+ approved'],
      [
        passed('x.example\n  - allow: "**.evil.example"'),
        passed('"quoted".example'),
        passed('*.wild.example'),
        passed('\u202eb.example'),
        passed('b.example'),
      ],
    );
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"kind":"connection","host":"torn`);
    const { out, text } = await learn([]);
    expect(text).toBe(POLICY.replace('[a.example]', '[a.example, b.example]'));
    expect(out).toContain('1 line of the logs could not be read');
    expect(out.replaceAll('\n', '')).not.toMatch(/\p{Cc}|\u202e/u);
    expect(out).not.toMatch(/^\+ approved/m);
  });

  it('refuses runs that are not there, and too many', async () => {
    await expect(learn([])).rejects.toMatchObject({ code: 'run-missing' });
    await expect(learn(['./nothing.jsonl'])).rejects.toMatchObject({ code: 'run-missing' });
    await expect(learn(Array.from({ length: 101 }, () => FIRST))).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('where sand run --learn writes', () => {
  it('is the one policy file that is named, else the found one, else a new one that extends what the run was under', () => {
    const at = (policies: readonly string[], cwd = project.folder) =>
      learnPlace(policies, { ...project.surroundings, cwd });
    expect(at(['./p.yaml', 'strict']).target.file).toBe('./p.yaml');
    expect(at([])).toMatchObject({ target: { file: 'sand.policy.yaml' }, bases: [] });
    expect(at(['offline'])).toMatchObject({ target: { file: 'sand.policy.yaml' }, bases: [] });
    const empty = createProject();
    expect(at([], empty.folder)).toMatchObject({ target: { before: null }, bases: ['strict'] });
    expect(at(['offline', 'group:npm/all'], empty.folder).bases).toEqual(['offline', 'group:npm/all']);
    empty.remove();
    expect(() => at(['./p.yaml', './q.yaml'])).toThrow('one policy file');
  });
});
