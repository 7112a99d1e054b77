import { describe, expect, test } from 'vitest';
import { NO_LIMITS } from '../../policies/guest-limits.ts';
import { POLICY_LIMITS } from '../../policies/limits.ts';
import { compileText, issuesOf, policyOf, rulesPolicy } from './reader.ts';

const ruleIssue = (rule: string): string => issuesOf(`version: 1\nrules:\n${rule}\n`).join('\n');

describe('a mistake in a policy', () => {
  test.each([
    ['', 'policy.yaml:1:1: error: the file is empty'],
    ['- allow: a.example', 'policy.yaml:1:1: error: a policy is a map'],
    ['rules: []', 'names no version'],
    ['version: 2', 'policy.yaml:1:10:'],
    ['version: "1"', 'Write "version: 1"'],
    ['version: 1.0', 'Write "version: 1"'],
    ['version: 1\nrule: []', 'Did you mean "rules"?'],
    ['version: 1\nRules: []', 'Did you mean "rules"?'],
    ['version: 1\nxyz: 1', 'Its keys are version'],
    ['version: 1\nname: 5', 'Quote it: "5"'],
    ['version: 1\nname: "a b"', 'cannot be a name'],
    ['version: 1\nname: ../x', 'cannot be a name'],
    [`version: 1\nname: ${'a'.repeat(65)}`, 'cannot be a name'],
    ['version: 1\nmode: observe', 'Write "enforce" or "report"'],
    ['version: 1\nrules:', 'is a list, and here stands nothing'],
    ['version: 1\nrules: {allow: a.example}', 'Begin each rule with "- "'],
    ['version: 1\nextends: 5', 'Quote it: "5"'],
    ['version: 1\nextends: ""', 'empty or unprintable'],
    ['version: 1\nrequires: {confinement: cooperative}', 'Write "enforced"'],
    ['version: 1\nrequires: {isolation: none}', 'Write "namespaces" or "gvisor" or "vm"'],
    ['version: 1\nrequires: {isolation: VM}', '"isolation" cannot be VM'],
    ['version: 1\nrequires: {isolation: [gvisor, vm]}', '"isolation" cannot be a list'],
    ['version: 1\nrequires: {isolation: null}', '"isolation" cannot be null'],
    ['version: 1\nrequires: {isolaton: vm}', 'Did you mean "isolation"?'],
    ['version: 1\nphases: []', '"phases" is a map of names, and here stands a list'],
    ['version: 1\nphases: {}', '"phases" names from 1 to 16 phases'],
    [
      `version: 1\nphases: {${Array.from({ length: 17 }, (_, at) => `p${at}: {}`).join(', ')}}`,
      'from 1 to 16',
    ],
    ['version: 1\nphases: {a b: {}}', 'cannot be a name'],
    ['version: 1\nphases: {../x: {}}', 'cannot be a name'],
    ['version: 1\nphases: {setup: []}', 'a phase is a map of keys'],
    ['version: 1\nphases: {setup: {rule: []}}', 'Did you mean "rules"?'],
    ['version: 1\nphases: {setup: {limits: {bytesOut: 1}}}', 'a phase has no key "limits"'],
    ['version: 1\nphases: {setup: {rules: x}}', '"rules" is a list'],
    ['version: 1\nphases: {setup: {}, setup: {}}', 'setup'],
    ['version: 1\nlimits: {connections: 0}', 'connections: 256'],
    ['version: 1\nlimits: {connections: "5"}', 'connections: 256'],
    ['version: 1\nlimits: {bytesOut: 2GB}', 'KiB, MiB or GiB'],
    ['version: 1\nlimits: {bytesOut: 1.5GiB}', 'KiB, MiB or GiB'],
    ['version: 1\nlimits: {bytesIn: 99999999999999GiB}', 'KiB, MiB or GiB'],
    ['version: 1\nlimits: {byteOut: 1GiB}', 'Did you mean "bytesOut"?'],
    ['version: 1\nlimits: {connections: 5000}', '"connections" is outside its bounds, 1 to 4096'],
    ['version: 1\nlimits: {requestsPerSecond: 0.5}', 'a whole number from 1'],
    ['version: 1\nlimits: {requestsPerSecond: 20000}', 'outside its bounds'],
    ['version: 1\nlimits: {headBytes: 100}', 'outside its bounds, 1KiB to 64KiB'],
    ['version: 1\nlimits: {headBytes: 1MiB}', 'outside its bounds'],
    ['version: 1\nlimits: {bodyBytes: 0}', 'KiB, MiB or GiB'],
    ['version: 1\nlimits: {idle: 30}', 'Write it with s, m or h, for example idle: 30s'],
    ['version: 1\nlimits: {idle: 500ms}', 'Write it with s, m or h'],
    ['version: 1\nlimits: {total: 8760h}', '"total" is outside its bounds, 1s to 168h'],
    ['version: 1\nlimits: {names: 5}', 'not supported by this version'],
  ])('%j is told with what to write', (text, said) => {
    expect(issuesOf(text).join('\n')).toContain(said);
    expect(compileText(text).ok).toBe(false);
  });

  test.each([
    ['  - a.example', 'a rule is a map'],
    ['  - {because: x}', 'Begin it with allow:, deny: or mute:'],
    ['  - {alow: a.example}', 'Did you mean "allow"?'],
    ['  - {allow: a.example, deny: b.example}', 'Write two rules'],
    ['  - allow: []', 'empty list'],
    ['  - allow:', 'here stands nothing'],
    ['  - allow: 1.5', 'Quote it: "1.5"'],
    ['  - allow: true', 'here stands the word true'],
    ['  - {allow: a.example, http: []}', 'empty list'],
    ['  - {allow: a.example, http: 0}', 'ports from 1 to 65535'],
    ['  - {allow: a.example, http: 0x50}', 'ports from 1 to 65535'],
    ['  - {allow: a.example, http: 8e1}', 'ports from 1 to 65535'],
    ['  - {allow: a.example, tcp: "10-5"}', 'ports from 1 to 65535'],
    ['  - {allow: a.example, tcp: [65536]}', 'ports from 1 to 65535'],
    ['  - {allow: a.example, udp: 53}', 'a rule has no key "udp"'],
    ['  - {allow: a.example, methods: [GET]}', 'allows https on 443 too. Add http: [80]'],
    ['  - {allow: a.example, paths: ["/x"]}', '"paths" is held for plain HTTP alone'],
    ['  - {allow: a.example, https: [443], methods: GET}', 'has https ports. Write http: [80] here'],
    ['  - {allow: a.example, http: [80], https: [443], paths: /x}', 'https in a rule of its own'],
    ['  - {allow: a.example, http: [80], tcp: [22], paths: /x}', 'tcp in a rule of its own'],
    ['  - {allow: a.example, http: [80], methods: get}', 'Write GET'],
    ['  - {allow: a.example, http: [80], methods: "*"}', 'no method'],
    ['  - {allow: a.example, http: [80], methods: [GET, TRACE]}', 'TRACE is never relayed'],
    ['  - {allow: a.example, http: [80], methods: CONNECT}', 'CONNECT is never relayed'],
    ['  - {allow: a.example, http: [80], methods: []}', 'empty list'],
    ['  - {allow: a.example, http: [80], paths: x}', 'Begin it with "/"'],
    ['  - {allow: a.example, http: [80], paths: []}', 'empty list'],
    ['  - {deny: a.example, methods: GET}', '"methods" stands in an allow rule only'],
    ['  - {deny: a.example, paths: /x}', '"paths" stands in an allow rule only'],
    ['  - {allow: a.example, limits: {bytesOut: 1KB}}', 'KiB, MiB or GiB'],
    ['  - {allow: a.example, limits: {idle: 1m}}', '"limits" of a rule has no key "idle"'],
    ['  - {allow: a.example, limits: {}}', 'is empty'],
    ['  - {allow: a.example, limits: 5}', 'is a map of keys'],
    [
      '  - {allow: [a.example, 10.0.0.0/8], limits: {bytesOut: 1KiB}}',
      'Write two rules, each with its limits',
    ],
    ['  - {deny: a.example, limits: {bytesOut: 1KiB}}', '"limits" stands in an allow rule only'],
    [
      '  - {allow: a.example, report: true}',
      '"report" stands in a deny rule only, and this is an allow rule',
    ],
    ['  - {mute: a.example, report: true}', '"report" stands in a deny rule only'],
    ['  - {deny: a.example, report: false}', '"report" can only be true'],
    ['  - {deny: a.example, report: "yes"}', '"report" can only be true'],
    ['  - {deny: a.example, tcp: 22}', '"tcp" stands in an allow rule only'],
    ['  - {mute: a.example, https: 443}', '"https" stands in an allow rule only'],
    ['  - {deny: a.example, addresses: 10.0.0.0/8}', '"addresses" stands in an allow rule only'],
    ['  - {deny: a.example, until: 2027-01-01T00:00:00Z}', '"until" stands in an allow rule only'],
    ['  - {allow: 10.0.0.0/8, addresses: 10.0.0.0/8}', 'is no name'],
    ['  - {allow: [a.example, 10.0.0.0/8], addresses: 10.0.0.0/8}', 'is no name'],
    ['  - {allow: host.sand, tcp: 1, addresses: 127.0.0.1}', 'is no name'],
    ['  - allow: host.sand', 'port by port'],
    ['  - allow: [a.example, host.sand]', 'port by port'],
    ['  - {allow: a.example, metadata: true}', 'needs the exact address'],
    ['  - {allow: 169.254.0.0/16, metadata: true}', 'no single cloud metadata address'],
    ['  - {allow: 198.51.100.7, metadata: true}', 'no single cloud metadata address'],
    ['  - allow: 169.254.169.254', 'Add "metadata: true"'],
    ['  - {allow: 169.254.169.254, metadata: false}', 'can only be true'],
    ['  - {allow: a.example, addresses: 169.254.169.254}', 'no name may lead to it'],
    ['  - {allow: a.example, addresses: 10.1.0.0/8}', 'write 10.0.0.0/8'],
    ['  - {allow: a.example, addresses: b.example}', 'no range of addresses'],
    ['  - {allow: a.example, addresses: []}', 'empty list'],
    ['  - {allow: a.example, until: 2027-01-31}', '2027-01-31T18:00:00Z'],
    ['  - {allow: a.example, until: 2027-02-30T00:00:00Z}', '2027-01-31T18:00:00Z'],
    ['  - {allow: a.example, until: 2027-01-31T25:00:00Z}', '2027-01-31T18:00:00Z'],
    ['  - {allow: a.example, because: ""}', 'one line'],
    ['  - {allow: a.example, because: "a\\nb"}', 'one line'],
    ['  - {allow: a.example, because: "\\u202e"}', 'one line'],
    [`  - {allow: a.example, because: ${'a'.repeat(301)}}`, 'one line'],
    ['  - allow: "*.com"', 'anybody can register under com'],
    ['  - deny: "**.co.uk"', 'anybody can register under co.uk'],
  ])('in a rule, %j is told with what to write', (rule, said) => {
    expect(ruleIssue(rule)).toContain(said);
    expect(compileText(`version: 1\nrules:\n${rule}\n`).ok).toBe(false);
  });

  test('is told together with all others, each with its line', () => {
    const lines = issuesOf('version: 1\nnme: x\nrules:\n  - allow: "a b"\n  - deny: "*"\n').map(
      (line) => line.split(': ')[0],
    );
    expect(lines).toEqual(['policy.yaml:2:1', 'policy.yaml:4:12', 'policy.yaml:5:11']);
  });

  test('is told a bounded number of times', () => {
    const rules = '  - allow: "*"\n'.repeat(POLICY_LIMITS.issues * 3);
    expect(issuesOf(`version: 1\nrules:\n${rules}`)).toHaveLength(POLICY_LIMITS.issues);
  });

  test('is not hidden by a flood of warnings', () => {
    const rules = `${'  - allow: "*.github.io"\n'.repeat(POLICY_LIMITS.issues * 2)}  - allow: "*"\n`;
    expect(compileText(`version: 1\nrules:\n${rules}`).ok).toBe(false);
  });
});

describe('a doubtful rule', () => {
  test.each([
    ['  - allow: "*.github.io"', 'every customer of github.io'],
    ['  - allow: 127.0.0.0/8', 'host.sand'],
    ['  - allow: 0.0.0.0/0', 'host.sand'],
  ])('%j compiles with a warning', (rule, said) => {
    expect(compileText(`version: 1\nrules:\n${rule}\n`).ok).toBe(true);
    expect(ruleIssue(rule)).toContain(said);
  });
});

describe('a rule', () => {
  test('carries what it says', () => {
    const [rule] = rulesPolicy(
      '  - allow: [db.example, "*.db.example"]\n    tcp: [5432, "6000-6010", 6011]\n    http: 8080\n    addresses: 10.20.4.7\n    until: 2027-01-31T18:00:00+01:00\n    because: größer',
    ).rules;
    expect(rule).toMatchObject({
      id: 'policy/allow:db.example',
      verb: 'allow',
      ports: {
        http: [{ from: 8080, to: 8080 }],
        https: [],
        tcp: [
          { from: 5432, to: 5432 },
          { from: 6000, to: 6011 },
        ],
      },
      addresses: ['10.20.4.7/32'],
      metadata: false,
      untilMs: Date.UTC(2027, 0, 31, 17),
      because: 'größer',
      origin: { file: 'policy.yaml', line: 3, column: 5 },
    });
  });

  test('with subjects of several kinds is one rule for each kind', () => {
    const { rules } = rulesPolicy('  - allow: [a.example, 198.51.100.0/24, host.sand]\n    tcp: 22');
    expect(rules.map(({ id, subjects }) => [id, subjects.map(({ kind }) => kind)])).toEqual([
      ['policy/allow:a.example', ['names']],
      ['policy/allow:198.51.100.0/24', ['range']],
      ['policy/allow:host.sand', ['host-loopback']],
    ]);
  });

  test('that denies covers every port', () => {
    expect(rulesPolicy('  - deny: a.example').rules[0]?.ports).toEqual({ http: [], https: [], tcp: [] });
  });
});

describe('limits and requirements', () => {
  test('are read in bytes', () => {
    const policy = policyOf(
      'version: 1\nlimits: {connections: 256, bytesOut: 2GiB, bytesIn: 512}\nrequires: {confinement: enforced}',
    );
    expect(policy.limits).toEqual({
      ...NO_LIMITS,
      connections: 256,
      bytesOut: 2 * 1024 ** 3,
      bytesIn: 512,
    });
    const rest = 'requestsPerSecond: 50, headBytes: 8KiB, bodyBytes: 50MiB, idle: 30s, total: 2h';
    expect(policyOf(`version: 1\nlimits: {${rest}}`).limits).toEqual({
      ...NO_LIMITS,
      requestsPerSecond: 50,
      headBytes: 8 * 1024,
      bodyBytes: 50 * 1024 ** 2,
      idleMs: 30_000,
      totalMs: 7_200_000,
    });
    expect(policy.requires).toEqual({ confinement: 'enforced', isolation: null });
    for (const isolation of ['namespaces', 'gvisor', 'vm'])
      expect(policyOf(`version: 1\nrequires: {isolation: ${isolation}}`).requires).toEqual({
        confinement: null,
        isolation,
      });
  });
});
