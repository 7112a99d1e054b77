import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { annotateDenied } from '../../action/annotation.ts';
import { parseBatch, parseTree } from '../../action/base-policy.ts';
import { parseEvent } from '../../action/event.ts';
import { LIMITS } from '../../action/limits.ts';
import { code, table } from '../../action/markdown.ts';
import { type CiReport, parseCiReport, parseDoctorReport, parsePolicyDiff } from '../../action/report.ts';
import { planSetup } from '../../action/setup-plan.ts';
import { summarizeDiff, summarizeRun, summarizeSteps } from '../../action/summary.ts';

const row = (host: string, more: Partial<CiReport['denied'][number]> = {}) => ({
  ...{ host, port: 443, protocol: 'https', count: 1, reason: 'no-rule' },
  ...{ file: 'sand.policy.yaml', line: 3, suggestion: `- allow: ${host}` },
  ...more,
});
const report = (more: Partial<CiReport> = {}): CiReport => ({
  ...{ run: 'RUN', exitCode: 120, denied: [], drift: [], cuts: [], policyFile: null, auditLog: null },
  ...more,
});

describe('text of a guest in Markdown', () => {
  it.each([
    '</code><script>',
    '@everyone',
    '#1',
    '| a | b |',
    '![x](y)',
    'www.evil.example',
    '`x`',
    '<!--',
    '\n\n# x',
    '\u202e',
  ])('is what it looks like: %j', (text) => {
    expect(code(text)).toMatch(/^<code>[\p{L}\p{N} &#;]*<\/code>$/u);
    expect(code(text)).not.toMatch(/\n/);
  });

  it('never leaves its cell', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
        const lines = table(
          ['a'],
          texts.map((text) => [code(text)]),
          10_000,
        ).split('\n');
        expect(lines.filter((line) => /^\|.*\|.*\|/.test(line))).toEqual([]);
        expect(lines.length).toBeLessThanOrEqual(texts.length + 6);
      }),
    );
  });
});

describe('a summary', () => {
  const long = 'x|<@`'.repeat(500);

  it('is bounded, and whole parts are left out', () => {
    const heldBack = Array.from(
      { length: 500 },
      () => ({ file: 'GITHUB_ENV', what: long, why: 'so', isFault: false }) as const,
    );
    const step = {
      title: long,
      report: report({ denied: [row('a.example')] }),
      markdown: 'm'.repeat(30_000),
      heldBack,
    };
    const text = summarizeRun(step);
    expect(text.length).toBeLessThan(LIMITS.summaryCharacters);
    expect(text.match(/<details>/g)).toHaveLength(text.match(/<\/details>/g)?.length ?? 0);
    expect(summarizeSteps(Array(100).fill(step), LIMITS.commentCharacters).length).toBeLessThan(65_536);
  });

  it('of a diff is bounded', () => {
    const change = { direction: 'widens', text: long, witness: long, file: long, line: 1 };
    const diff = { widens: 500, narrows: 0, changes: Array(500).fill(change) };
    const text = summarizeDiff(Array(20).fill({ before: long, after: long, diff }));
    expect(text.length).toBeLessThan(LIMITS.summaryCharacters);
    expect(text).toContain('more, in the report');
  });
});

describe('annotations', () => {
  const places = { workspace: '/w', folder: '/w', policyFile: 'policy/p.yaml' };

  it('stand on the line of the rule, else on the policy, and nowhere for a file elsewhere', () => {
    const denied = [
      row('a.example', { file: '/w/sub/x.yaml', line: 7 }),
      row('b.example', { file: null, line: null }),
      row('c.example', { file: '/etc/sand/ceiling.yaml', line: 2 }),
    ];
    const shown = annotateDenied(report({ denied }), ['denied'], places);
    expect(shown.map(({ file, line }) => [file, line])).toEqual([
      ['sub/x.yaml', 7],
      ['policy/p.yaml', 1],
      ['policy/p.yaml', 1],
    ]);
    const nowhere = annotateDenied(report({ denied }), ['denied'], { ...places, policyFile: null });
    expect(nowhere[2]?.file).toBeUndefined();
  });

  it('are at most as many as are shown, errors where they fail the job, ceilings first', () => {
    const denied = Array.from({ length: 30 }, (_, at) => row(`${at}.example`));
    const shown = annotateDenied(report({ denied, drift: ['d'], cuts: ['c'] }), ['ceiling'], places);
    expect(shown.map(({ level }) => level)).toEqual(['error', ...Array(9).fill('warning')]);
  });
});

describe('reports', () => {
  it.each([
    '',
    '[]',
    '{}',
    '{"run":"x"}',
    '{"run":"x","exitCode":0,"denied":[1]}',
    'null',
    '{"run":"x","denied":[]}',
  ])('are none where they are %j', (text) => {
    expect(parseCiReport(text)).toBeNull();
    expect(parsePolicyDiff(text)).toBeNull();
    expect(parseDoctorReport(text)).toBeNull();
  });

  it('of anything never throw', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        parseCiReport(text);
        parsePolicyDiff(text);
        parseEvent(text);
      }),
    );
  });
});

describe('the base commit', () => {
  it('gives ordinary policy files, and no path that leads elsewhere', () => {
    const entry = (mode: string, path: string) => `${mode} blob ${'a'.repeat(40)}\t${path}\0`;
    const names = [
      'sand.policy.yaml',
      'a/b.yml',
      '../x.yaml',
      'a/../../x.yaml',
      '/x.yaml',
      'a//x.yaml',
      'readme.md',
    ];
    const text = names.map((name) => entry('100644', name)).join('') + entry('120000', 'link.yaml');
    expect(parseTree(text).map(({ path }) => path)).toEqual(['sand.policy.yaml', 'a/b.yml']);
  });

  it('gives contents byte for byte, and stops at what is not whole', () => {
    const bytes = Buffer.from('aa blob 3\na\nb\nbb blob 0\n\ncc blob 9\nx');
    expect(parseBatch(bytes, 3).map(String)).toEqual(['a\nb', '']);
    expect(parseBatch(Buffer.from('aa missing\n'), 1)).toEqual([]);
  });

  it('is that of the pull request, of the merge queue, or what was pushed onto', () => {
    const event = (value: unknown) => parseEvent(JSON.stringify(value));
    expect(event({ pull_request: { number: 7, base: { sha: 'b' } }, before: 'x' })).toEqual({
      pullRequest: 7,
      base: 'b',
    });
    expect(event({ merge_group: { base_sha: 'm' } }).base).toBe('m');
    expect(event({ before: '0'.repeat(40) }).base).toBeNull();
    expect(event({ before: 'c' })).toEqual({ pullRequest: null, base: 'c' });
    expect(parseEvent('no json')).toEqual({ pullRequest: null, base: null });
  });
});

describe('what is done to a runner', () => {
  const failed = (...checks: readonly string[]) => ({
    ok: false,
    failed: checks.map((check) => ({ check, message: 'm', remedy: null })),
  });
  const facts = {
    doctor: failed('user namespaces'),
    apparmorRestricts: '1',
    isRoot: false,
    mayAct: true,
    hasApt: true,
  };

  it('is what is missing, and nothing else', () => {
    expect(planSetup(facts)).toEqual({ packages: [], apparmor: true, advice: [] });
    expect(planSetup({ ...facts, apparmorRestricts: '0' }).apparmor).toBe(false);
    expect(planSetup({ ...facts, apparmorRestricts: null }).apparmor).toBe(false);
    expect(planSetup({ ...facts, isRoot: true }).apparmor).toBe(false);
    expect(planSetup({ ...facts, doctor: failed('disk space') })).toEqual({
      packages: [],
      apparmor: false,
      advice: [],
    });
    expect(planSetup({ ...facts, doctor: failed('nftables', 'iproute2') }).packages).toEqual([
      'nftables',
      'iproute2',
    ]);
  });

  it('is advice where this user may not', () => {
    const plan = planSetup({ ...facts, doctor: failed('bubblewrap'), mayAct: false });
    expect(plan).toEqual({
      packages: [],
      apparmor: false,
      advice: [
        'sudo apt-get install bubblewrap',
        'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
      ],
    });
  });
});
