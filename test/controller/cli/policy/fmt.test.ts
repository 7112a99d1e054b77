import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { formatPolicies } from '../../../../controller/cli/policy/fmt.ts';
import { lockPolicy } from '../../../../controller/cli/policy/lock.ts';
import { formatDocument } from '../../../../policies/canonical.ts';
import { formatPolicy } from '../../../../policies/format.ts';
import { compileText, policyOf } from '../../../policies/reader.ts';
import { createProject, expectGolden, type Project } from './project.ts';

const BEFORE = readFileSync(new URL('golden/fmt-before.yaml', import.meta.url), 'utf8');
const RIGHT = 'version: 1\nextends: [strict]\nrules:\n  - allow: a.example.com\n';

let project: Project;
afterEach(() => project.remove());

function fmt(files: readonly string[], check = false) {
  const code = formatPolicies({ files, check }, project.surroundings);
  return { code, text: project.output() };
}

function formatted(text: string): string {
  const result = formatDocument(text, 'policy.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.value;
}

describe('sand policy fmt', () => {
  it('puts a file in order, comments kept, and leaves it so', () => {
    project = createProject({ 'a.yaml': BEFORE });
    expect(fmt(['a.yaml'])).toEqual({ code: 0, text: 'a.yaml: formatted\n' });
    expectGolden('fmt-after.yaml', project.read('a.yaml'));
    expect(fmt(['a.yaml'])).toEqual({ code: 0, text: '' });
    expect(policyOf(project.read('a.yaml')).digest).toBe(policyOf(BEFORE).digest);
  });

  it('only looks with --check', () => {
    project = createProject({ 'sand.policy.yaml': BEFORE, 'right.yaml': RIGHT });
    expect(fmt([], true)).toEqual({ code: 1, text: './sand.policy.yaml: not in canonical form\n' });
    expect(project.read('sand.policy.yaml')).toBe(BEFORE);
    expect(fmt(['right.yaml'], true)).toEqual({ code: 0, text: '' });
  });

  it('tells what is no policy, and does the others', () => {
    project = createProject({
      'a.yaml': BEFORE,
      'wrong.yaml': 'version: 1\nrule: 3\n',
      'b.yaml': 'a: [*x]\n',
    });
    const { code, text } = fmt(['wrong.yaml', 'b.yaml', 'none.yaml', 'a.yaml']);
    expect(code).toBe(2);
    expect(text).toBe(
      [
        'wrong.yaml:2:1: error: a policy has no key "rule". Did you mean "rules"?',
        'b.yaml:1:5: error: *x is not quoted, and YAML reads a leading "*" as an alias. Quote it: "*x".',
        'none.yaml: error: there is no such file',
        'a.yaml: formatted\n',
      ].join('\n'),
    );
    expect(project.read('wrong.yaml')).toBe('version: 1\nrule: 3\n');
  });

  it('formats what extends a file that is not here', () => {
    project = createProject({ 'a.yaml': 'extends: ./none.yaml\nversion: 1\n' });
    expect(fmt(['a.yaml']).code).toBe(0);
    expect(project.read('a.yaml')).toBe('version: 1\nextends: [./none.yaml]\n');
  });

  it('keeps the mode of the file and leaves nothing beside it', () => {
    project = createProject({ 'p/a.yaml': BEFORE });
    const path = join(project.folder, 'p/a.yaml');
    chmodSync(path, 0o600);
    fmt(['p/a.yaml']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(project.folder, 'p'))).toEqual(['a.yaml']);
  });

  it('says that a lock is stale then', () => {
    project = createProject({ 'a.yaml': 'extends: strict\nversion: 1\n' });
    lockPolicy({ file: 'a.yaml', check: false }, project.surroundings);
    project.output();
    expect(fmt(['a.yaml']).text).toBe('a.yaml: formatted\na.lock: stale now; run sand policy lock a.yaml\n');
  });

  it('changes line ends and a byte order mark, and no file that is as it shall be', () => {
    project = createProject();
    expect(formatted('\ufeffversion: 1\r\nextends:\r\n  - strict\r\n')).toBe(
      'version: 1\nextends: [strict]\n',
    );
    expect(formatted(RIGHT)).toBe(RIGHT);
  });
});

describe('the canonical form', () => {
  it.each<[string, (text: string) => string]>([
    ['another host', (text) => text.replace('a.example', 'b.example')],
    ['a rule less', (text) => text.replace(/ {2}- deny.*\n/, '')],
    ['another limit', (text) => text.replace('idle: 10m', 'idle: 11m')],
    ['no policy', () => 'rules: ['],
    ['a comment less', (text) => text.replace('# why', '')],
    ['another comment', (text) => text.replace('# why', '# whence')],
  ])('is not given where it would have %s', (_, write) => {
    project = createProject();
    const text = 'version: 1\nlimits: {idle: 10m}\nrules:\n  - allow: a.example # why\n  - deny: c.example\n';
    expect(formatDocument(text, 'x', (same) => same)).toEqual({ ok: true, value: text });
    expect(formatDocument(text, 'x', write)).toMatchObject({ ok: false });
  });

  const texts = [
    'a.example.com',
    '"*.example.com"',
    "'a b'",
    '"true"',
    '"~"',
    '"# x"',
    '"a: b"',
    '"[x]"',
    '"1"',
    '"- x"',
  ];
  const word = fc.constantFrom(...texts);
  const comment = fc.constantFrom('', ' # one', ' # two: [x]');
  const rule = fc
    .record({
      host: fc.constantFrom(
        'a.example.com',
        '"*.example.com"',
        "['b.example.com', 'c.example.com']",
        '["d.example.com"]',
      ),
      because: word,
      ports: fc.constantFrom('', 'https: 8443', 'tcp: [22, "30-40"]', "http: ['80-81']"),
      beside: comment,
      above: comment,
      isFlow: fc.boolean(),
    })
    .map(({ host, because, ports, beside, above, isFlow }) => {
      const keys = [`because: ${because}`, ports, `allow: ${host}`].filter((key) => key !== '');
      const head = above === '' ? '' : `  ${above.trim()}\n`;
      if (isFlow) return `${head}  - {${keys.join(', ')}}${beside}\n`;
      return `${head}  - ${keys.join(`${beside}\n    `)}${beside}\n`;
    });

  it('means the same, holds the same comments, and is its own canonical form', () => {
    project = createProject();
    const property = fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), comment, (rules, top) => {
      const text = `${top.trim()}\nrules:${top}\n${rules.join('')}version: 1${top}\n`;
      const before = compileText(text);
      if (!before.ok) return;
      const after = formatted(text);
      expect(formatPolicy(policyOf(after))).toBe(formatPolicy(before.value));
      expect(after.match(/# (one|two)/g)?.length ?? 0).toBe(text.match(/# (one|two)/g)?.length ?? 0);
      expect(formatted(after)).toBe(after);
    });
    fc.assert(property, { numRuns: 300 });
  });
});
