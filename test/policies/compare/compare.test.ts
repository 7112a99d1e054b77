import { describe, expect, test } from 'vitest';
import { comparePolicies } from '../../../policies/compare/compare.ts';
import { narrows, widens } from '../../../policies/compare/difference.ts';
import { formatDifference, formatWitness } from '../../../policies/compare/format-difference.ts';
import type { PolicyInForce } from '../../../policies/model.ts';
import { NOW_MS } from '../generators.ts';
import { inForce, policyOf, rulesPolicy } from '../reader.ts';

function compare(before: string, after: string) {
  return comparePolicies(inForce(rulesPolicy(before)), inForce(rulesPolicy(after)), { nowMs: NOW_MS });
}

/** `widens name: allows a.example (…): https to …`, one for each change. */
function told(before: string, after: string): readonly string[] {
  return compare(before, after).changes.map(
    ({ direction, aspect, witness }) =>
      `${direction} ${aspect}${witness === null ? '' : `: ${formatWitness(witness)}`}`,
  );
}

describe('a policy that says the same otherwise', () => {
  test.each([
    ['split', '  - allow: [a.example, b.example]\n', '  - allow: b.example\n  - allow: a.example\n'],
    ['explained', '  - allow: a.example\n', '  - {allow: a.example, because: it is needed}\n'],
    [
      'with its ports written',
      '  - allow: a.example\n',
      '  - {allow: a.example, http: [80], https: [443]}\n',
    ],
    [
      'without what has ended',
      '  - {allow: a.example, until: 2026-06-01T00:00:00Z}\n  - allow: b.example\n',
      '  - allow: b.example\n',
    ],
  ])('%s, does not differ', (_, before, after) => {
    expect(compare(before, after).changes).toEqual([]);
  });

  test('is told as neutral where a rule comes or goes that others make no difference of', () => {
    expect(told('  - allow: "**.a.example"\n', '  - allow: ["**.a.example", x.a.example]\n')).toEqual([
      'neutral name',
    ]);
    expect(told('  - allow: b.example\n  - deny: a.example\n', '  - allow: b.example\n')).toEqual([
      'neutral deny',
    ]);
    expect(told('  - allow: b.example\n', '  - allow: b.example\n  - mute: a.example\n')).toEqual([
      'neutral mute',
    ]);
  });
});

describe('a difference is found', () => {
  test.each([
    [
      'a deeper wildcard',
      'allow: "*.a.example"',
      'allow: "**.a.example"',
      ['widens wildcard: https to a.example:443 at 192.0.2.1', 'neutral wildcard'],
    ],
    [
      'a star inside a label',
      'allow: "*-1.a.example"',
      'allow: "*-*.a.example"',
      ['widens wildcard: https to x-x.a.example:443 at 192.0.2.1', 'neutral wildcard'],
    ],
    [
      'a port',
      '{allow: a.example, tcp: ["1-9"]}',
      '{allow: a.example, tcp: ["1-10"]}',
      ['widens port: tcp to a.example:10 at 192.0.2.1'],
    ],
    [
      'a scheme',
      '{allow: a.example, https: [443]}',
      '{allow: a.example, tcp: [443]}',
      ['widens scheme: tcp to a.example:443 at 192.0.2.1'],
    ],
    [
      'metadata',
      'allow: b.example',
      '{allow: 169.254.169.254, http: [80], metadata: true}',
      ['widens metadata: http to 169.254.169.254:80', 'narrows name: https to b.example:443 at 192.0.2.1'],
    ],
    [
      'an address below a denied one',
      'deny: 10.0.0.0/8',
      'deny: 10.0.0.0/9',
      ['neutral deny', 'neutral deny'],
    ],
  ])('in %s', (_, before, after, expected) => {
    expect(told(`  - ${before}\n`, `  - ${after}\n`)).toEqual(expected);
  });

  test('between wildcards that together leave one label out', () => {
    const covering = '  - allow: ["a*.x.example", "*a.x.example", "*-*.x.example"]\n';
    const change = compare(covering, '  - allow: "*.x.example"\n').changes[0];
    expect(change).toMatchObject({
      direction: 'widens',
      witness: { authority: { host: { name: 'x.x.example' } } },
    });
    expect(widens(compare('  - allow: "*.x.example"\n', covering))).toBe(false);
    expect(narrows(compare('  - allow: "*.x.example"\n', covering))).toBe(true);
  });

  test('beside thousands of names that a star in a label covers as well', () => {
    const names = Array.from({ length: 3_000 }, (_, at) => `a${at.toString(36)}.x.example`).join(', ');
    const before = `  - allow: [${names}, a.x.example, ax.x.example]\n`;
    expect(told(before, `${before}  - allow: "a*.x.example"\n`)).toMatchObject([
      expect.stringMatching(/^widens wildcard: https to a[a-z0-9_-]+\.x\.example:443/),
    ]);
  });

  test('in what a rule that both have is held to by a rule that one has', () => {
    const base = '  - allow: api.a.example\n';
    expect(told(`${base}  - deny: "**.a.example"\n`, base)).toEqual([
      'widens deny: https to api.a.example:443 at 192.0.2.1',
    ]);
  });

  test('in a denied range that names may resolve to, and in how IPv6 embeds it', () => {
    const base = '  - allow: a.example\n';
    expect(told(`${base}  - deny: 203.0.113.0/24\n`, base)).toEqual([
      'widens deny: https to a.example:443 at 203.0.113.1',
    ]);
    const listed = '  - {allow: "::ffff:0:0/96", tcp: [22]}\n';
    expect(told(`${listed}  - deny: 10.0.0.0/8\n`, listed)).toEqual([
      'widens deny: tcp to [::ffff:10.0.0.1]:22',
    ]);
  });

  test('in a list of which one address is denied and the others are not', () => {
    const base = '  - allow: b.example\n';
    const listed = '  - {allow: a.example, addresses: ["2001:db8::1", 198.51.100.0/24]}\n';
    expect(told(base, `${base}${listed}  - deny: 2001:db8::/32\n`)[0]).toBe(
      'widens name: https to a.example:443 at 198.51.100.1',
    );
  });

  test('in paths that no pattern covers, and in those that cannot be read', () => {
    const rule = (paths: string): string => `  - {allow: a.example, http: [80]${paths}}\n`;
    expect(told(rule(', paths: ["/a/**", "/*"]'), rule(', paths: ["/**"]'))).toEqual([
      'widens path: GET http://a.example:80/ at 192.0.2.1',
    ]);
    expect(told(rule(', paths: ["/**"]'), rule(''))).toEqual([
      'widens path: GET http://a.example:80/x//x at 192.0.2.1',
    ]);
  });

  test('in the time at which a rule ends', () => {
    const rule = (end: string): string => `  - {allow: a.example, until: ${end}}\n`;
    expect(told(rule('2027-02-01T00:00:00Z'), rule('2027-03-01T00:00:00Z'))).toEqual([
      'widens until: https to a.example:443 at 192.0.2.1 on 2027-02-01T00:00:00Z',
    ]);
  });

  test('in the limit of a rule, and in who shares it', () => {
    const rule = (hosts: string, bytes: string): string =>
      `  - {allow: ${hosts}, limits: {bytesOut: ${bytes}}}\n`;
    expect(told(rule('a.example', '1KiB'), rule('a.example', '2KiB'))).toEqual([
      'widens limit: bytesOut of 1025 with a.example:443',
    ]);
    const split = rule('a.example', '1KiB') + rule('b.example', '1KiB');
    const joined = rule('[a.example, b.example]', '1KiB');
    expect(widens(compare(joined, split))).toBe(true);
    expect(widens(compare(split, joined))).toBe(false);
    expect(narrows(compare(split, joined))).toBe(true);
    const freed = compare(rule('a.example', '1KiB'), '  - allow: a.example\n');
    expect(freed.changes.map(({ text }) => text)).toEqual([
      'raises the limit on bytesOut of a.example from 1024 to none',
    ]);
  });
});

describe('what is of the whole policy', () => {
  const policy = (head: string) => inForce(policyOf(`version: 1\n${head}rules:\n  - allow: a.example\n`));
  const texts = (before: string, after: string): readonly string[] =>
    comparePolicies(policy(before), policy(after)).changes.map(
      ({ direction, text }) => `${direction} ${text}`,
    );

  test('is compared: mode, requirements and limits, where the default counts', () => {
    expect(texts('', 'mode: report\n')).toEqual(['widens only reports, and refuses nothing']);
    expect(texts('mode: report\n', '')).toEqual(['narrows refuses what was only reported']);
    expect(texts('requires: {confinement: enforced}\n', '')).toEqual([
      'widens does not require enforced confinement',
    ]);
    expect(texts('requires: {isolation: vm}\n', '')).toEqual([
      'widens lowers the isolation that it requires from vm to namespaces',
    ]);
    expect(texts('requires: {isolation: gvisor}\n', 'requires: {isolation: vm}\n')).toEqual([
      'narrows raises the isolation that it requires from gvisor to vm',
    ]);
    expect(texts('', 'requires: {isolation: namespaces}\n')).toEqual([]);
    expect(texts('limits: {connections: 1025}\n', '')).toEqual([
      'narrows lowers the limit on connections from 1025 to 1024',
    ]);
    expect(texts('', 'limits: {connections: 1024}\n')).toEqual([]);
  });

  test('has guests as witnesses, which meet whatever else is required', () => {
    const both = policy('requires: {confinement: enforced, isolation: vm}\n');
    const { changes } = comparePolicies(both, policy('requires: {isolation: gvisor}\n'));
    expect(changes.map(({ witness }) => witness)).toEqual([
      { kind: 'guest', confinement: 'cooperative', isolation: 'vm' },
      { kind: 'guest', confinement: 'enforced', isolation: 'gvisor' },
    ]);
    expect(changes.flatMap(({ witness }) => (witness === null ? [] : [formatWitness(witness)]))).toEqual([
      'a guest whose confinement is cooperative and whose isolation is vm',
      'a guest whose isolation is gvisor',
    ]);
  });

  test('counts with what ceilings require', () => {
    const [own, strong, weak] = ['', 'requires: {isolation: vm}\n', 'requires: {isolation: gvisor}\n'].map(
      (head) => policyOf(`version: 1\n${head}rules: []\n`),
    );
    if (own === undefined || strong === undefined || weak === undefined) throw new Error('three policies');
    const required = (before: PolicyInForce, after: PolicyInForce) =>
      comparePolicies(before, after).changes.filter(({ aspect }) => aspect === 'requires');
    expect(required(inForce(weak, strong), inForce(own, strong))).toEqual([]);
    expect(required(inForce(weak, strong), inForce(weak))).toMatchObject([
      { direction: 'widens', text: 'lowers the isolation that it requires from vm to gvisor' },
    ]);
  });

  test('counts in report mode, where a rule that goes can widen: it listed the addresses', () => {
    const head = 'version: 1\nmode: report\nrules:\n  - allow: b.example\n';
    const listing = policyOf(`${head}  - {allow: a.example, addresses: [198.51.100.0/24]}\n`);
    const { changes } = comparePolicies(inForce(listing), inForce(policyOf(head)));
    expect(changes).toMatchObject([
      { direction: 'widens', text: 'no longer holds a.example to what a rule says of it' },
    ]);
  });

  test('a ceiling that comes narrows, and one that goes widens', () => {
    const own = rulesPolicy('  - allow: a.example\n');
    const under = inForce(own, rulesPolicy('  - allow: b.example\n'));
    expect(
      comparePolicies(inForce(own), under).changes.map(({ direction, aspect }) => [direction, aspect]),
    ).toEqual([['narrows', 'ceiling']]);
    expect(widens(comparePolicies(under, inForce(own)))).toBe(true);
  });
});

describe('phases', () => {
  const phased = (phases: string) =>
    inForce(policyOf(`version: 1\nrules:\n  - allow: a.example\nphases: ${phases}\n`));
  const told = (before: string, after: string): readonly string[] =>
    comparePolicies(phased(before), phased(after)).changes.map(
      ({ direction, phase, text }) => `${phase} ${direction} ${text}`,
    );
  const B = '{rules: [allow: b.example]}';

  test('are compared each with its own', () => {
    expect(told(`{setup: ${B}, run: {}}`, `{setup: {}, run: ${B}}`)).toEqual([
      'run widens allows b.example (http 80, https 443)',
      'setup narrows no longer allows b.example (http 80, https 443)',
    ]);
  });

  test('by their place where their order differs', () => {
    expect(told(`{setup: ${B}, run: {}}`, `{run: {}, setup: ${B}}`)).toHaveLength(2);
  });

  test('that are new are held to what holds in every phase', () => {
    expect(told(`{run: ${B}}`, `{run: ${B}, late: ${B}}`)).toEqual([
      'late widens allows b.example (http 80, https 443)',
    ]);
  });

  test('tell once what is of all of them', () => {
    const plain = inForce(rulesPolicy('  - allow: b.example\n'));
    const after = inForce(
      policyOf(`version: 1\nrules:\n  - allow: [b.example, c.example]\nphases: {x: {}, y: {}}\n`),
    );
    expect(comparePolicies(plain, after).changes.map(({ phase, text }) => [phase, text])).toEqual([
      [null, 'allows c.example (http 80, https 443)'],
    ]);
  });
});

describe('a comparison that cannot be finished', () => {
  test('counts as widening', () => {
    const labels = [...'abcdefghijklmnop'].map((letter) => `"*${letter}*.x.example"`);
    const before = `  - allow: [${labels.join(', ')}]\n`;
    const difference = compare(before, '  - allow: "**.x.example"\n');
    expect(difference.changes).toMatchObject([{ direction: 'widens', aspect: 'undecided', witness: null }]);
    expect(widens(difference)).toBe(true);
  });
});

describe('Markdown', () => {
  test('takes nothing of a policy for markup', () => {
    const origin = { file: 'a|b`c`\n<img>.yaml', line: 3, column: 1 };
    const change = {
      direction: 'widens',
      aspect: 'name',
      text: 'allows **.x_y_.example',
      witness: null,
      phase: null,
    } as const;
    const text = formatDifference(
      { changes: [{ ...change, before: [], after: [{ id: 'p/allow:x', origin }] }] },
      { style: 'markdown' },
    );
    expect(text).toContain(
      '| allows \\*\\*.x\\_y\\_.example |  | after `` a\\|b`c`\\u{a}<img>.yaml:3 (p/allow:x) `` |',
    );
  });
});
