import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PLAIN_GRANT } from '../../../policies/allow-flag.ts';
import { decodeDocument } from '../../../policies/decode.ts';
import { parseDocument } from '../../../policies/document.ts';
import {
  acceptEdit,
  type Edited,
  editPolicy,
  newPolicy,
  type PolicyChange,
} from '../../../policies/edit/edit.ts';
import { pasteLine, type RuleContent } from '../../../policies/edit/rule-text.ts';
import { formatRule } from '../../../policies/format.ts';
import { IssueList } from '../../../policies/issue.ts';
import { NO_PORTS } from '../../../policies/port-range.ts';
import { parseSubject } from '../../../policies/subject.ts';
import { anyPolicy } from '../generators.ts';
import { compileText } from '../reader.ts';

function rule(subjects: string | readonly string[], terms: Partial<RuleContent> = {}): RuleContent {
  const { at, ...grant } = PLAIN_GRANT;
  const verb = terms.verb ?? 'allow';
  const parsed = [subjects].flat().map((text) => {
    const subject = parseSubject(text);
    if (!subject.ok) throw new Error(subject.message);
    return subject.value;
  });
  return { ...grant, ...(verb === 'allow' ? {} : { ports: NO_PORTS }), subjects: parsed, ...terms };
}

const add = (...rules: readonly RuleContent[]): PolicyChange => ({ kind: 'add', rules });
const NEW = add(rule('new.example'));
const TCP = { ports: { ...NO_PORTS, tcp: [{ from: 5432, to: 5432 }] } };

function textOf(edited: Edited): string {
  if (!edited.ok) throw new Error(edited.issues.map(({ message }) => message).join('\n'));
  return edited.text;
}

function edit(text: string, change: PolicyChange): string {
  return textOf(editPolicy(text, 'policy.yaml', change));
}

describe('a rule added to a policy text', () => {
  it('goes below the last rule, and comments stay where they are', () => {
    const text = 'version: 1 # first\nrules:\n  # the web\n  - allow: a.example # why\n\n# end\nname: x\n';
    expect(edit(text, NEW)).toBe(
      'version: 1 # first\nrules:\n  # the web\n  - allow: a.example # why\n  - allow: new.example\n\n# end\nname: x\n',
    );
  });

  it('takes the indentation of the rules before it, whatever it is', () => {
    expect(edit('version: 1\nrules:\n- allow: a.example\n', add(rule('b.example', TCP)))).toBe(
      'version: 1\nrules:\n- allow: a.example\n- allow: b.example\n  tcp: [5432]\n',
    );
    expect(edit('version: 1\nrules:\n      - allow: a.example\n        tcp: [1]\n', NEW)).toBe(
      'version: 1\nrules:\n      - allow: a.example\n        tcp: [1]\n      - allow: new.example\n',
    );
  });

  it.each([
    ['rules: []', 'rules:\n  - allow: new.example'],
    ['rules: [] # none yet', 'rules: # none yet\n  - allow: new.example'],
    ['rules:', 'rules:\n  - allow: new.example'],
    ['rules: # none yet', 'rules: # none yet\n  - allow: new.example'],
    ['rules: [ # none\n  ]', 'rules: [ # none\n  {allow: new.example}]'],
    ['rules: [{allow: a.example}]', 'rules: [{allow: a.example}, {allow: new.example}]'],
    [
      'rules: [\n  {allow: a.example}, # a\n]',
      'rules: [\n  {allow: a.example}, # a\n  {allow: new.example},\n]',
    ],
    [
      'rules: [\n  {allow: a.example} # a\n]',
      'rules: [\n  {allow: a.example}, # a\n  {allow: new.example}\n]',
    ],
  ])('finds its place in %j', (before, after) => {
    expect(edit(`version: 1\n${before}\nname: x\n`, NEW)).toBe(`version: 1\n${after}\nname: x\n`);
  });

  it('brings `rules` along where there are none', () => {
    expect(edit('version: 1\nextends: [strict] # base\n# end\n', NEW)).toBe(
      'version: 1\nextends: [strict] # base\nrules:\n  - allow: new.example\n# end\n',
    );
    expect(edit('{version: 1}\n', NEW)).toBe('{version: 1, rules: [{allow: new.example}]}\n');
  });

  it('keeps CRLF, and a last line without an end', () => {
    expect(edit('version: 1\r\nrules:\r\n  - allow: a.example\r\n', NEW)).toBe(
      'version: 1\r\nrules:\r\n  - allow: a.example\r\n  - allow: new.example\r\n',
    );
    expect(edit('version: 1\nrules:\n  - allow: a.example', NEW)).toBe(
      'version: 1\nrules:\n  - allow: a.example\n  - allow: new.example',
    );
    expect(edit('version: 1\r\nrules: []', NEW)).toBe('version: 1\r\nrules:\r\n  - allow: new.example');
  });

  it('keeps a byte order mark, a document marker and a document end', () => {
    expect(edit('\ufeffversion: 1\nrules:\n- allow: a.example\n', NEW)).toBe(
      '\ufeffversion: 1\nrules:\n- allow: a.example\n- allow: new.example\n',
    );
    expect(edit('---\nversion: 1\n...\n', NEW)).toBe(
      '---\nversion: 1\nrules:\n  - allow: new.example\n...\n',
    );
  });

  it('leaves JSON as JSON', () => {
    const text = edit('{"version": 1, "rules": [{"allow": "a.example"}]}', add(rule('*.b.example', TCP)));
    expect(JSON.parse(text)).toEqual({
      version: 1,
      rules: [{ allow: 'a.example' }, { allow: '*.b.example', tcp: [5432] }],
    });
  });

  it('joins the list of the last rule that says the same of other hosts', () => {
    expect(
      edit('version: 1\nrules:\n  - allow: [a.example, b.example] # ours\n  - deny: c.example\n', NEW),
    ).toBe(
      'version: 1\nrules:\n  - allow: [a.example, b.example, new.example] # ours\n  - deny: c.example\n',
    );
    expect(edit('version: 1\nrules:\n  - allow:\n      - a.example # a\n', NEW)).toBe(
      'version: 1\nrules:\n  - allow:\n      - a.example # a\n      - new.example\n',
    );
  });

  it.each([
    '- {allow: [a.example], tcp: [22]}',
    '- {allow: [a.example], because: ours}',
    '- {allow: [a.example], until: 2027-01-31T18:00:00Z}',
    '- {allow: [a.example], limits: {connections: 3}}',
    '- allow: [198.51.100.0/24]',
    '- deny: [a.example]',
    '- allow: [a.example]\n  - allow: b.example',
  ])('joins no list on other terms: %s', (before) => {
    const text = `version: 1\nrules:\n  ${before}\n`;
    expect(edit(text, NEW)).toBe(`${text}  - allow: new.example\n`);
  });

  it('goes into the phase that is named', () => {
    const text = 'version: 1\nphases:\n  setup:\n    rules:\n      - allow: a.example\n  run: {rules: []}\n';
    expect(edit(text, { ...NEW, phase: 'setup' } as PolicyChange)).toContain(
      '      - allow: a.example\n      - allow: new.example\n  run: {rules: []}\n',
    );
    expect(edit(text, { ...NEW, phase: 'run' } as PolicyChange)).toContain(
      '  run: {rules: [{allow: new.example}]}\n',
    );
    expect(editPolicy(text, 'policy.yaml', { ...NEW, phase: 'later' } as PolicyChange)).toMatchObject({
      ok: false,
      paste: ['- allow: new.example'],
    });
  });

  it('changes nothing where the policy says so already', () => {
    const text = 'version: 1\nrules: [{allow: [new.example, a.example]}]\n';
    expect(editPolicy(text, 'policy.yaml', NEW)).toMatchObject({ ok: true, changed: false, text });
  });

  it('writes what a reader could take for something else in quotes', () => {
    const because = 'yes: #1, "really" \u{1f600}';
    const rules = [
      rule('**.a.example', { because }),
      rule('2001:db8::/32', TCP),
      rule('1.5e3', { untilMs: 1_800_000_000_000 }),
      rule('host.sand', TCP),
      rule('null', { verb: 'deny' }),
    ];
    const text = edit('version: 1\nrules: []\n', add(...rules));
    expect(text).toContain('- allow: "**.a.example"\n    because: "yes: #1, \\"really\\" \u{1f600}"\n');
    expect(text).toContain('- deny: "null"\n');
    expect(compileText(text).ok).toBe(true);
  });
});

describe('a rule taken out of a policy text', () => {
  const remove = (subject: string, verb: 'allow' | 'deny' = 'allow'): PolicyChange => ({
    kind: 'remove',
    verb,
    subject,
  });

  it('goes with its line and what stands behind it, and no other comment', () => {
    const text =
      'version: 1\nrules:\n  # a\n  - allow: a.example # gone\n    tcp: [1]\n  # b\n  - allow: b.example\n';
    expect(edit(text, remove('a.example'))).toBe('version: 1\nrules:\n  # a\n  # b\n  - allow: b.example\n');
    expect(edit('version: 1\nrules:\n  - deny: b.example\n  - allow: a.example', remove('a.example'))).toBe(
      'version: 1\nrules:\n  - deny: b.example',
    );
  });

  it('leaves an empty list behind where it was the only one', () => {
    expect(
      edit('version: 1\nrules:\n  # the web\n  - allow: a.example\nname: x\n', remove('a.example')),
    ).toBe('version: 1\nrules: []\n  # the web\nname: x\n');
    expect(edit('version: 1\nrules: [{allow: a.example}]\n', remove('a.example'))).toBe(
      'version: 1\nrules: []\n',
    );
  });

  it('leaves its list, in every place where it stands, and rules of another verb alone', () => {
    const text =
      'version: 1\nrules:\n  - allow: [a.example, b.example]\n  - allow:\n      - A.EXAMPLE\n      - c.example\n  - {allow: a.example, tcp: [22]}\n  - deny: a.example\n';
    expect(edit(text, remove('a.example'))).toBe(
      'version: 1\nrules:\n  - allow: [b.example]\n  - allow:\n      - c.example\n  - deny: a.example\n',
    );
  });
});

describe('a policy text extended', () => {
  const extend: PolicyChange = { kind: 'extend', names: ['group:npm'] };

  it.each([
    ['version: 1\n', 'version: 1\nextends: [group:npm]\n'],
    ['version: 1\nname: x # n\n', 'version: 1\nname: x # n\nextends: [group:npm]\n'],
    ['version: 1\nextends: strict # s\n', 'version: 1\nextends: [strict, group:npm] # s\n'],
    ['version: 1\nextends: []\n', 'version: 1\nextends: [group:npm]\n'],
    ['version: 1\nextends: [strict]\n', 'version: 1\nextends: [strict, group:npm]\n'],
    ['version: 1\nextends:\n  - strict # s\n', 'version: 1\nextends:\n  - strict # s\n  - group:npm\n'],
    ['{"version": 1}', '{"version": 1, "extends": ["group:npm"]}'],
  ])('%j', (before, after) => {
    expect(edit(before, extend)).toBe(after);
    expect(editPolicy(after, 'policy.yaml', extend)).toMatchObject({ ok: true, changed: false });
  });
});

describe('a policy text that cannot be changed safely', () => {
  it.each([
    ['version: 1\nrules:\n  - &x allow: a.example\n', 'anchor'],
    ['version: 1\nrules:\n  - allow: *a\n', 'alias'],
    ['version: 1\nrules: none\n', 'list'],
    ['version: 1\nunknown: 1\n', 'no key'],
    ['', 'empty'],
    ['- allow: a.example\n', 'map'],
    ['version: 1\n---\nversion: 1\n', 'second'],
  ])('is refused with what to paste: %j', (text, part) => {
    const edited = editPolicy(text, 'policy.yaml', NEW);
    expect(edited.ok).toBe(false);
    if (edited.ok) return;
    expect(edited.issues.map(({ message }) => message).join()).toContain(part);
    expect(edited.paste).toEqual(['- allow: new.example']);
  });

  it('is refused where the new rule itself is an error', () => {
    const edited = editPolicy('version: 1\n', 'policy.yaml', add(rule('**.com')));
    expect(edited).toMatchObject({ ok: false, paste: ['- allow: "**.com"'] });
  });

  it('is refused where the edit would mean anything else', () => {
    // An explicit key: the dash shares its line with the colon, so the rule cannot go by lines.
    const text = 'version: 1\n? rules\n: - allow: a.example\n';
    const change: PolicyChange = { kind: 'remove', verb: 'allow', subject: 'a.example' };
    expect(editPolicy(text, 'policy.yaml', change).ok).toBe(false);
    expect(edit(text, NEW)).toBe('version: 1\n? rules\n: - allow: a.example\n  - allow: new.example\n');
  });
});

describe('what came of an edit', () => {
  const before = 'version: 1\nmode: enforce\nrules:\n  - allow: a.example\n';
  const parsed = parseDocument(before, 'policy.yaml');
  const document = parsed.ok ? decodeDocument(parsed.value, new IssueList('policy.yaml'), false) : null;
  const accept = (text: string): boolean => {
    if (document === null) throw new Error('the policy of the test is wrong');
    return acceptEdit(document, text, 'policy.yaml', NEW).ok;
  };
  const good = `${before}  - allow: new.example\n`;

  it('is taken where it says the old and the change', () => {
    expect(accept(good)).toBe(true);
  });

  it.each([
    ['lacks the change', before],
    ['lacks what was there', good.replace('  - allow: a.example\n', '')],
    ['opens more', `${good}  - allow: more.example\n`],
    ['opens more of the same', good.replace('new.example', '"**.new.example"')],
    ['has another mode', good.replace('enforce', 'report')],
    ['extends something', `${good}extends: [balanced]\n`],
    ['drops the mode', good.replace('mode: enforce\n', '')],
    ['is no policy', `${good}  - allow: [\n`],
  ])('is refused where it %s', (_, text) => {
    expect(accept(text)).toBe(false);
  });
});

describe('any policy text', () => {
  const layouts: readonly ((policy: unknown) => string)[] = [
    (policy) => JSON.stringify(policy),
    (policy) => JSON.stringify(policy, null, 2),
    (policy) => {
      const { rules, ...head } = policy as { rules: readonly unknown[] };
      const items = rules.map((one) => `  - ${JSON.stringify(one)} # kept\n`).join('');
      const lines = Object.entries(head).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`);
      return `${lines.join('')}# before\nrules:${items === '' ? ' []' : ''}\n${items}# after\n`;
    },
  ];

  it('differs by exactly the rule that is added, and taking it out again gives the same meaning', () => {
    fc.assert(
      fc.property(anyPolicy, fc.constantFrom(...layouts), fc.boolean(), (policy, layout, crlf) => {
        const text = crlf ? layout(policy).replaceAll('\n', '\r\n') : layout(policy);
        const added = edit(text, add(rule('new.added.example', TCP)));
        const old = compileText(text);
        const now = compileText(added);
        if (!old.ok || !now.ok) throw new Error(added);
        const texts = (rules: readonly RuleContent[]) => rules.map(formatRule);
        const extra = texts(now.value.rules).filter((one) => !texts(old.value.rules).includes(one));
        expect(extra).toEqual(['  - allow: "new.added.example"\n    tcp: [5432]']);
        expect(now.value.rules.length).toBe(old.value.rules.length + 1);
        for (const comment of text.match(/#.*/g) ?? []) expect(added).toContain(comment);
        const back = compileText(
          edit(added, { kind: 'remove', verb: 'allow', subject: 'new.added.example' }),
        );
        expect(back.ok && back.value.digest).toBe(old.value.digest);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a new policy', () => {
  it('holds the rules and nothing else', () => {
    expect(newPolicy([rule('a.example'), rule('b.example', TCP)], ['group:npm'])).toBe(
      'version: 1\nextends: [group:npm]\nrules:\n  - allow: a.example\n  - allow: b.example\n    tcp: [5432]\n',
    );
    expect(newPolicy([])).toBe('version: 1\nrules: []\n');
  });

  it('gives each rule as one line to paste', () => {
    expect(pasteLine(rule(['a.example', 'b.example']))).toBe('- allow: [a.example, b.example]');
    expect(pasteLine(rule('2001:db8::1', TCP))).toBe('- {allow: "2001:db8::1", tcp: [5432]}');
  });
});
