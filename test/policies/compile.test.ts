import { describe, expect, test } from 'vitest';
import { compilePolicy, type FileReading } from '../../policies/compile.ts';
import { NO_LIMITS } from '../../policies/guest-limits.ts';
import { formatIssue } from '../../policies/issue.ts';
import { POLICY_LIMITS } from '../../policies/limits.ts';
import type { CompiledPolicy } from '../../policies/model.ts';
import { formatSubject } from '../../policies/subject.ts';
import { compileText, DIRECTORY, issuesOf, memoryReader, policyOf, rulesPolicy } from './reader.ts';

function compileNamed(names: readonly string[], files: Record<string, string | FileReading> = {}) {
  return compilePolicy(
    names.map((name) => ({ kind: 'named', name })),
    memoryReader(files),
  );
}

function named(names: readonly string[], files: Record<string, string> = {}): CompiledPolicy {
  const compiled = compileNamed(names, files);
  if (!compiled.ok) throw new Error(compiled.issues.map(formatIssue).join('\n'));
  return compiled.value;
}

function faults(names: readonly string[], files: Record<string, string | FileReading> = {}): string {
  const compiled = compileNamed(names, files);
  return compiled.ok ? 'compiled' : compiled.issues.map(formatIssue).join('\n');
}

function allowFlag(host: string) {
  return compilePolicy([{ kind: 'allow', host }], memoryReader());
}

const subjects = (policy: CompiledPolicy): string[] =>
  policy.rules.flatMap((rule) => rule.subjects.map(formatSubject));
const grant = (host: string): string => `version: 1\nrules:\n  - allow: ${host}\n`;

describe('what a name means', () => {
  const files = {
    'strict.yaml': grant('file.example'),
    'sub/a.yaml': grant('sub.example'),
    'npm/all': grant('odd.example'),
  };

  test('is a preset or a group where it is bare, else a file', () => {
    expect(named(['strict'], files).name).toBe('strict');
    expect(subjects(named(['npm'], files))).toEqual(['*.npmjs.org']);
    expect(subjects(named(['strict.yaml'], files))).toEqual(['file.example']);
    expect(subjects(named(['./strict.yaml'], files))).toEqual(['file.example']);
    expect(subjects(named(['npm/all'], files))).toEqual(['odd.example']);
  });

  test('that is unknown says what was meant', () => {
    expect(faults(['stict'])).toContain('Did you mean "strict"?');
    expect(faults(['group:npn'])).toContain('Did you mean "npm"?');
    expect(faults(['group:macos-gest/quiet'])).toContain('Did you mean "macos-guest"?');
    expect(faults(['group:npm/quiet'])).toContain('there is no preset or group "npm/quiet"');
    expect(faults(['strict.yml'])).toContain('Write strict for the preset');
    expect(faults(['nothing-like-it'])).toContain('Presets are');
  });

  test('that is missing is told apart from one that is wrong', () => {
    const code = (names: string[], own = {}): string | undefined => {
      const compiled = compileNamed(names, own);
      return compiled.ok ? 'compiled' : compiled.issues[0]?.code;
    };
    expect(code(['./a.yaml'])).toBe('missing');
    expect(code(['stict'])).toBe('missing');
    expect(code(['./a.yaml'], { 'a.yaml': 'version: 2' })).toBeUndefined();
  });
});

describe('extends', () => {
  test('is the union of rules, with files relative to the file that names them', () => {
    const policy = named(['sub/a.yaml'], {
      'sub/a.yaml': `version: 1\nextends: [./b.yaml, ../c.yaml, group:go]\nrules:\n  - allow: a.example\n`,
      'sub/b.yaml': grant('b.example'),
      'c.yaml': grant('c.example'),
    });
    expect(subjects(policy).sort()).toEqual([
      'a.example',
      'b.example',
      'c.example',
      'proxy.golang.org',
      'sum.golang.org',
    ]);
    expect(policy.rules.map(({ origin }) => origin.file)).toContain('c.yaml');
    expect(policy.files).toEqual(['/project/c.yaml', '/project/sub/a.yaml', '/project/sub/b.yaml']);
  });

  test('takes a file once, however many paths lead to it', () => {
    const policy = named(['a.yaml', 'b.yaml'], {
      'a.yaml': 'version: 1\nextends: ./b.yaml\n',
      'b.yaml': grant('b.example'),
    });
    expect(subjects(policy)).toEqual(['b.example']);
  });

  test('refuses a cycle, with its line', () => {
    const files = {
      'a.yaml': 'version: 1\nextends: ./b.yaml\n',
      'b.yaml': 'version: 1\nextends:\n  - ./a.yaml\n',
    };
    expect(faults(['a.yaml'], files)).toContain('b.yaml:3:5: error: extends leads back');
    expect(faults(['a.yaml'], { 'a.yaml': 'version: 1\nextends: ./a.yaml\n' })).toContain('leads back');
  });

  test('sees a cycle through symbolic links', () => {
    const bytes = new TextEncoder().encode('version: 1\nextends: ./link.yaml\n');
    const real: FileReading = { kind: 'file', realPath: '/project/a.yaml', bytes };
    expect(faults(['a.yaml'], { 'a.yaml': real, 'link.yaml': real })).toContain('leads back');
  });

  test('keeps both the link and the file behind it from being written', () => {
    const bytes = new TextEncoder().encode('version: 1\n');
    const compiled = compileNamed(['link.yaml'], {
      'link.yaml': { kind: 'file', realPath: '/etc/real.yaml', bytes },
    });
    expect(compiled.ok && compiled.value.files).toEqual(['/etc/real.yaml', '/project/link.yaml']);
  });

  test('refuses what cannot be read', () => {
    const reading: FileReading = { kind: 'unreadable', detail: 'too many symbolic links' };
    expect(faults(['a.yaml'], { 'a.yaml': reading })).toContain(
      'a.yaml cannot be read: too many symbolic links',
    );
    expect(issuesOf('version: 1\nextends: [strict, ./x.yaml]\n')).toEqual([
      expect.stringContaining('policy.yaml:2:19: error: there is no file ./x.yaml'),
    ]);
    expect(faults(['a\0.yaml'])).toContain('NUL');
  });

  test('refuses to go too deep', () => {
    const files: Record<string, string> = {};
    for (let at = 0; at <= POLICY_LIMITS.extendsDepth + 1; at += 1) {
      files[`f${at}.yaml`] = `version: 1\nextends: ./f${at + 1}.yaml\n`;
    }
    files[`f${POLICY_LIMITS.extendsDepth}.yaml`] = 'version: 1\n';
    expect(faults(['f0.yaml'], files)).toBe('compiled');
    files[`f${POLICY_LIMITS.extendsDepth}.yaml`] =
      `version: 1\nextends: ./f${POLICY_LIMITS.extendsDepth + 1}.yaml\n`;
    expect(faults(['f0.yaml'], files)).toContain('levels deep');
  });

  test('refuses too many files', () => {
    const many = Array.from({ length: POLICY_LIMITS.files }, (_, at) => `f${at}.yaml`);
    const files = Object.fromEntries(many.map((name) => [name, 'version: 1\n']));
    const text = (names: string[]): string =>
      `version: 1\nextends: [${names.map((name) => `./${name}`).join(', ')}]\n`;
    expect(faults(['a.yaml'], { ...files, 'a.yaml': text(many.slice(1)) })).toBe('compiled');
    expect(faults(['a.yaml'], { ...files, 'a.yaml': text(many) })).toContain('at most 64 files');
  });

  test('leaves no policy where any layer is wrong', () => {
    expect(faults(['strict', 'a.yaml'], { 'a.yaml': 'version: 1\nrules:\n  - allow: "*"\n' })).toContain(
      'a.yaml:3:12',
    );
  });

  test('of a broken file told twice is told once', () => {
    const files = {
      'a.yaml': 'version: 1\nextends: [./b.yaml, ./c.yaml]\n',
      'b.yaml': 'version: 1\nextends: ./c.yaml\n',
      'c.yaml': 'version: 3',
    };
    expect(faults(['a.yaml'], files).split('\n')).toHaveLength(1);
  });
});

describe('the strictest', () => {
  test('of modes holds', () => {
    const report = 'version: 1\nmode: report\n';
    const mode = (text: string, files = {}) => policyOf(text, files).mode;
    expect(mode('version: 1')).toBe('enforce');
    expect(mode(report)).toBe('report');
    expect(mode('version: 1\nextends: observe')).toBe('report');
    expect(mode('version: 1\nextends: [observe, group:npm]')).toBe('report');
    expect(mode('version: 1\nextends: [observe, strict]')).toBe('enforce');
    expect(mode('version: 1\nextends: [observe, ./a.yaml]', { 'a.yaml': 'version: 1' })).toBe('enforce');
    expect(mode('version: 1\nmode: enforce\nextends: observe')).toBe('enforce');
    expect(named(['observe', 'strict']).mode).toBe('enforce');
    expect(named(['observe', 'a.yaml'], { 'a.yaml': 'version: 1' }).mode).toBe('enforce');
    expect(named(['observe']).mode).toBe('report');
  });

  test('of modes warns where report is asked for in vain', () => {
    expect(issuesOf('version: 1\nmode: report\nextends: strict\n').join()).toContain(
      'policy.yaml:2:7: warning: mode: report has no effect',
    );
  });

  test('of limits and requirements holds', () => {
    const policy = policyOf('version: 1\nlimits: {connections: 10, bytesOut: 1MiB}\nextends: [./a.yaml]\n', {
      'a.yaml':
        'version: 1\nlimits: {connections: 5, bytesIn: 1KiB, bytesOut: 2MiB}\nrequires: {confinement: enforced}\n',
    });
    expect(policy.limits).toEqual({ ...NO_LIMITS, connections: 5, bytesOut: 1024 ** 2, bytesIn: 1024 });
    expect(policy.requires).toEqual({ confinement: 'enforced', isolation: null });
  });

  test('of isolation holds, whichever layer says it', () => {
    const requiring = (isolation: string) => `version: 1\nrequires: {isolation: ${isolation}}\n`;
    const joined = (own: string, base: string) =>
      policyOf(`${requiring(own)}extends: [./a.yaml]\n`, { 'a.yaml': requiring(base) }).requires.isolation;
    expect(joined('namespaces', 'vm')).toBe('vm');
    expect(joined('vm', 'gvisor')).toBe('vm');
    expect(joined('namespaces', 'gvisor')).toBe('gvisor');
    expect(
      named(['a.yaml', 'b.yaml'], { 'a.yaml': requiring('gvisor'), 'b.yaml': 'version: 1\n' }).requires,
    ).toEqual({
      confinement: null,
      isolation: 'gvisor',
    });
  });

  test('of requirements holds in every phase', () => {
    const policy = policyOf('version: 1\nrequires: {isolation: vm}\nphases: {setup: {}, run: {}}\n');
    expect(policy.phases?.map((phase) => phase.policy.requires.isolation)).toEqual(['vm', 'vm']);
  });
});

describe('rule ids', () => {
  test('are unique, and stay when other rules come and go', () => {
    const ids = (rules: string): string[] => rulesPolicy(rules).rules.map(({ id }) => id);
    const first = '  - allow: a.example\n    tcp: [1]\n';
    const second = '  - allow: a.example\n    tcp: [2]\n';
    const other = '  - allow: b.example\n';
    expect(new Set(ids(first + second + other)).size).toBe(3);
    expect(ids(first + second + other).slice(0, 2)).toEqual(
      ids(other + second + first)
        .slice(1)
        .reverse(),
    );
    expect(ids(other)).toEqual(['policy/allow:b.example']);
  });

  test('of layers with one name differ', () => {
    const policy = named(['x/a.yaml', 'y/a.yaml'], {
      'x/a.yaml': grant('a.example'),
      'y/a.yaml': grant('a.example'),
    });
    expect(new Set(policy.rules.map(({ id }) => id)).size).toBe(2);
  });

  test('name a rule that stands twice once', () => {
    expect(rulesPolicy('  - allow: a.example\n  - allow: a.example\n').rules).toHaveLength(1);
  });
});

describe('the digest', () => {
  const digest = (rules: string): string => rulesPolicy(rules).digest;

  test('is that of the content, whatever the order and the file', () => {
    const one = '  - allow: a.example\n';
    const two = '  - deny: [c.example, b.example]\n';
    expect(digest(one + two)).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(digest(one + two)).toBe(digest('  - deny: [b.example, c.example]\n  - allow: A.example.\n'));
    const elsewhere = compilePolicy(
      [
        {
          kind: 'text',
          text: `version: 1\nname: policy\nrules:\n${one}`,
          file: 'other.yaml',
          directory: '/else',
        },
      ],
      memoryReader(),
    );
    expect(elsewhere.ok && elsewhere.value.digest).toBe(digest(one));
  });

  test('changes with everything that decides', () => {
    const rules = [
      '  - allow: a.example',
      '  - deny: a.example',
      '  - mute: a.example',
      '  - allow: "*.a.example"',
      '  - allow: a.example\n    tcp: [443]',
      '  - allow: a.example\n    addresses: 10.0.0.0/8',
      '  - allow: a.example\n    until: 2027-01-01T00:00:00Z',
      '  - allow: 169.254.169.254\n    metadata: true',
    ];
    const heads = [
      '',
      'mode: report\n',
      'limits: {connections: 5}\n',
      'requires: {confinement: enforced}\n',
      'requires: {isolation: gvisor}\n',
      'requires: {isolation: vm}\n',
      'requires: {confinement: enforced, isolation: vm}\n',
    ];
    const digests = [
      ...rules.map((rule) => rulesPolicy(rule).digest),
      ...heads.map((head) => rulesPolicy('  - allow: z.example', head).digest),
    ];
    expect(new Set(digests).size).toBe(rules.length + heads.length);
  });

  test('follows what an extended file says', () => {
    const text = 'version: 1\nextends: ./a.yaml\n';
    const one = policyOf(text, { 'a.yaml': grant('a.example') }).digest;
    expect(policyOf(text, { 'a.yaml': grant('b.example') }).digest).not.toBe(one);
  });
});

describe('--allow', () => {
  test.each([
    ['api.example.com', 'api.example.com', { http: 80, https: 443 }],
    ['api.example.com:443', 'api.example.com', { https: 443 }],
    ['api.example.com:80', 'api.example.com', { http: 80 }],
    ['db.example.com:5432', 'db.example.com', { tcp: 5432 }],
    ['*.example.com', '*.example.com', { http: 80, https: 443 }],
    ['198.51.100.0/24:22', '198.51.100.0/24', { tcp: 22 }],
    ['198.51.100.7', '198.51.100.7/32', { http: 80, https: 443 }],
    ['[2001:db8::1]:443', '2001:db8::1/128', { https: 443 }],
    ['2001:db8::/32', '2001:db8::/32', { http: 80, https: 443 }],
    ['host.sand:5432', 'host.sand', { tcp: 5432 }],
  ])('%s is a rule of its own', (host, subject, ports) => {
    const compiled = allowFlag(host);
    const rule = compiled.ok ? compiled.value.rules[0] : undefined;
    const single = Object.entries(rule?.ports ?? {}).filter(([, ranges]) => ranges.length > 0);
    expect(rule?.subjects.map(formatSubject)).toEqual([subject]);
    expect(Object.fromEntries(single.map(([protocol, ranges]) => [protocol, ranges[0]?.from]))).toEqual(
      ports,
    );
    expect(rule?.origin).toEqual({ file: '--allow', line: 0, column: 0 });
    expect(rule?.id).toBe(`command-line/allow:${subject}`);
  });

  test.each([
    '',
    '*.com',
    'host.sand',
    'a b',
    'a.example:0',
    'a.example:99999',
    'http://a.example',
    '169.254.169.254',
    '127.1',
    '198.18.0.1',
  ])('%j is refused', (host) => {
    expect(allowFlag(host).ok).toBe(false);
  });

  test('adds to a policy and takes its mode', () => {
    const compiled = compilePolicy(
      [
        { kind: 'named', name: 'observe' },
        { kind: 'allow', host: 'a.example' },
      ],
      memoryReader(),
    );
    expect(compiled.ok && [compiled.value.mode, compiled.value.name]).toEqual([
      'report',
      'observe+command-line',
    ]);
  });
});

describe('bounds', () => {
  const text = (ports: string): string =>
    `version: 1\nrules:\n  - {allow: a.example, tcp: [${ports}]}\n  - {allow: b.example, tcp: ["1000-1010"]}\n`;

  test('on what reports: a ceiling has no rule that only reports', () => {
    const text = 'version: 1\nrules:\n  - {deny: a.example, report: true}\n';
    const request = { kind: 'text', text, file: 'ceiling.yaml', directory: DIRECTORY } as const;
    const compiled = compilePolicy([request], memoryReader(), { role: 'ceiling' });
    expect(compiled.ok ? [] : compiled.issues.map(formatIssue)).toEqual([
      expect.stringContaining('ceiling.yaml:3:5: error: "report" has no place in a ceiling'),
    ]);
  });

  test('on distinct ports hold for a policy, and not for a ceiling', () => {
    expect(issuesOf(text('"1000-1511"'))).toEqual([]);
    expect(issuesOf(text('"1000-1512"')).join()).toContain(
      'policy.yaml:3:5: error: the rules name 513 ports',
    );
    const request = { kind: 'text', text: text('"1-65535"'), file: 'c.yaml', directory: DIRECTORY } as const;
    expect(compilePolicy([request], memoryReader(), { role: 'ceiling' }).ok).toBe(true);
  });

  test('let no request be a policy that denies all', () => {
    const compiled = compilePolicy([], memoryReader());
    expect(compiled.ok && [compiled.value.mode, compiled.value.rules]).toEqual(['enforce', []]);
  });

  test('leave room for many thousand names', () => {
    const rules = Array.from({ length: 5_000 }, (_, at) => `h${at}.example`).join(', ');
    const compiled = compileText(`version: 1\nrules:\n  - allow: [${rules}]\n`);
    expect(compiled.ok && compiled.value.rules[0]?.subjects).toHaveLength(5_000);
  });
});
