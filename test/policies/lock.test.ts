import { describe, expect, test } from 'vitest';
import { compilePolicy } from '../../policies/compile.ts';
import { formatIssue } from '../../policies/issue.ts';
import { formatLock, lockPathOf, parseLock } from '../../policies/lock.ts';
import type { PolicyReader } from '../../policies/policy-source.ts';
import { GROUP_DATA } from '../../policies/presets.ts';
import { digestOf, digestShipped, HISTORY_DATA, readShipped } from '../../policies/shipped.ts';
import { memoryReader, readShippedData } from './reader.ts';

const POLICY = 'version: 1\nextends: [offline, group:npm, ./team.yaml]\n';
const TEAM = 'version: 1\nrules:\n  - allow: team.example.com\n';
const NAMES = ['group:npm', 'preset:offline'];

function lockText(names: readonly string[] = NAMES, policy = POLICY): string {
  return formatLock({
    files: [
      { file: 'policy.yaml', digest: digestOf(policy) },
      { file: 'team.yaml', digest: digestOf(TEAM) },
    ],
    shipped: names.map((name) => {
      const content = readShipped(name, readShippedData);
      if (content === null) throw new Error(name);
      return { name, digest: digestShipped(name, content), content };
    }),
  });
}

const FILES = { 'policy.yaml': POLICY, 'team.yaml': TEAM };

function compile(files: Readonly<Record<string, string>>, changes: Partial<PolicyReader> = {}) {
  return compilePolicy([{ kind: 'named', name: './policy.yaml' }], { ...memoryReader(files), ...changes });
}

function told(compiled: ReturnType<typeof compile>): string {
  return (compiled.ok ? (compiled.warnings ?? []) : compiled.issues).map(formatIssue).join('\n');
}

function digestOfPolicy(compiled: ReturnType<typeof compile>): string {
  if (!compiled.ok) throw new Error(told(compiled));
  return compiled.value.digest;
}

/** A later sand, whose npm group has another host, and whose history knows the earlier one or not. */
function laterSand(knowsOld = true): Partial<PolicyReader> {
  const text = (name: string): string => new TextDecoder().decode(readShippedData(name) ?? undefined);
  return {
    readData: (name) => {
      if (name === HISTORY_DATA) return new TextEncoder().encode(knowsOld ? text(name) : '{"digests":{}}');
      if (name !== GROUP_DATA) return readShippedData(name);
      const data = JSON.parse(text(name));
      data.groups.npm.usual = ['registry.later.example'];
      return new TextEncoder().encode(JSON.stringify(data));
    },
  };
}

describe('a lock', () => {
  test('lies beside its policy', () => {
    expect(['/p/sand.policy.yaml', '/p/a.yml', '/p/a'].map(lockPathOf)).toEqual([
      '/p/sand.policy.lock',
      '/p/a.lock',
      '/p/a.lock',
    ]);
  });

  test('reads as it is written', () => {
    const parsed = parseLock(new TextEncoder().encode(lockText()), 'policy.lock', readShippedData);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
    expect(formatLock(parsed.value)).toBe(lockText());
  });

  test('of every preset and group leaves the policy as it is', () => {
    for (const name of ['strict', 'balanced', 'observe', 'group:conda/all', 'group:macos-guest/quiet']) {
      const policy = `version: 1\nextends: ${name}\n`;
      const identity = name.includes(':') ? name : `preset:${name}`;
      const names = name === 'balanced' ? ['preset:balanced', 'preset:strict'] : [identity];
      const files = { 'policy.yaml': policy, 'team.yaml': TEAM };
      const locked = compile({ ...files, 'policy.lock': lockText(names, policy).replace(/.*team.*\n/, '') });
      expect(told(locked)).toBe('');
      expect(digestOfPolicy(locked)).toBe(digestOfPolicy(compile(files)));
    }
  });

  test('keeps what an earlier sand shipped, and says so', () => {
    const later = laterSand();
    expect(digestOfPolicy(compile(FILES, later))).not.toBe(digestOfPolicy(compile(FILES)));
    const locked = compile({ ...FILES, 'policy.lock': lockText() }, later);
    expect(digestOfPolicy(locked)).toBe(digestOfPolicy(compile(FILES)));
    expect(told(locked)).toBe(
      'policy.lock:1:1: warning: the lock is stale: this version of sand has another group:npm, and the locked one is used. Compare with sand policy diff, then run sand policy lock.',
    );
  });

  test('is among the files that a guest must not write', () => {
    const locked = compile({ ...FILES, 'policy.lock': lockText() });
    expect(locked.ok && locked.value.files).toContain('/project/policy.lock');
  });

  test('does not hold the files themselves: what they say now counts', () => {
    const team = 'version: 1\nrules:\n  - deny: team.example.com\n';
    const locked = compile({ ...FILES, 'team.yaml': team, 'policy.lock': lockText() });
    expect(digestOfPolicy(locked)).toBe(digestOfPolicy(compile({ ...FILES, 'team.yaml': team })));
    expect(told(locked)).toContain('the lock is stale: team.yaml has changed since.');
  });

  test('is stale where the policy extends more, or less', () => {
    const more = compile({ ...FILES, 'policy.lock': lockText(['preset:offline']) });
    expect(told(more)).toContain('the lock is stale: it does not hold group:npm.');
    const less = 'version: 1\n';
    expect(told(compile({ ...FILES, 'policy.yaml': less, 'policy.lock': lockText() }))).toContain(
      'policy.yaml has changed since; team.yaml is no longer part of the policy.',
    );
  });

  test('has no effect on what the policy does not extend', () => {
    const policy = 'version: 1\nextends: ./team.yaml\n';
    const files = { ...FILES, 'policy.yaml': policy };
    const locked = compile({
      ...files,
      'policy.lock': lockText(['group:github-core', 'preset:balanced'], policy),
    });
    expect(told(locked)).toBe('');
    expect(digestOfPolicy(locked)).toBe(digestOfPolicy(compile(files)));
  });
});

describe('a hostile lock', () => {
  const wider = lockText().replace('- "*.npmjs.org"', '- "*.npmjs.org"\n      - "evil.example"');

  test.each([
    ['with a host more', wider],
    ['with a host more and the digest that fits', refit(wider)],
    ['of another name', lockText().replace('"group:npm"', '"group:pypi"')],
    ['that gives a preset the hosts of a group', lockText().replace('"group:npm"', '"preset:strict"')],
    ['with rules in a preset', lockText().replace('mode: enforce', 'mode: report')],
    ['of a version to come', lockText().replace('version: 1', 'version: 2')],
    ['with a key more', `${lockText()}rules:\n  - allow: evil.example\n`],
    ['with a name twice', lockText([...NAMES, 'group:npm'])],
    ['with an absolute file', lockText().replace('"team.yaml"', '"/etc/passwd"')],
    ['without a digest', lockText().replace(/, digest: "sha256:[0-9a-f]+"/, '')],
    ['with half a digest', lockText().replace(/sha256:[0-9a-f]{9}/, 'sha256:')],
    ['that is no map', '- a\n'],
    ['that is empty', ''],
    ['with a list too long', `version: 1\nfiles: [${'x,'.repeat(300)}]\n`],
    ['with an alias', 'version: 1\nfiles: &a [*a]\n'],
    ['with a NUL', 'version: 1\0\n'],
  ])('%s leaves no policy, with its line', (_, lock) => {
    const compiled = compile({ ...FILES, 'policy.lock': lock });
    expect(compiled.ok).toBe(false);
    expect(told(compiled)).toMatch(/^policy\.lock:\d+:\d+: error: /);
  });

  /** Whoever can write the content can write its digest. */
  function refit(lock: string): string {
    const hosts = ['*.npmjs.org', 'evil.example'];
    const digest = digestShipped('group:npm', { kind: 'group', verb: 'allow', hosts });
    return lock.replace(/(name: "group:npm"\n {4}digest: )"[^"]+"/, `$1"${digest}"`);
  }

  test('of content that this sand never shipped is one too', () => {
    const compiled = compile({ ...FILES, 'policy.lock': lockText() }, laterSand(false));
    expect(compiled.ok).toBe(false);
    expect(told(compiled)).toContain('no version of sand that this one knows shipped such a group:npm');
  });

  test('that says to allow what was shipped as muted leaves no policy', () => {
    const policy = 'version: 1\nextends: group:macos-guest/quiet\n';
    const lock = lockText(['group:macos-guest/quiet'], policy).replace(/.*team.*\n/, '');
    for (const change of [
      lock.replace('mutes:', 'hosts:'),
      lock.replace('mutes:', 'hosts: [evil.example]\n    mutes:'),
      lock.replace('mutes:', 'mutes: []\n    hosts:'),
    ]) {
      const compiled = compile({ 'policy.yaml': policy, 'policy.lock': change });
      expect([compiled.ok, change === lock]).toEqual([false, false]);
      expect(told(compiled)).toContain('policy.lock');
    }
  });

  test('that cannot be read leaves no policy', () => {
    const files = memoryReader({ ...FILES, 'policy.lock': { kind: 'unreadable', detail: 'EACCES' } });
    const compiled = compilePolicy([{ kind: 'named', name: './policy.yaml' }], files);
    expect(told(compiled)).toContain('policy.lock:1:1: error: the lock cannot be read: EACCES');
  });

  test('beside another that holds other content leaves no policy', () => {
    const text = new TextDecoder().decode(readShippedData(HISTORY_DATA) ?? undefined);
    const old = digestShipped('group:npm', { kind: 'group', verb: 'allow', hosts: ['old.example'] });
    const history = JSON.parse(text);
    history.digests['group:npm'].unshift(old);
    const other = `version: 1\nshipped:\n  - {name: "group:npm", digest: "${old}", hosts: [old.example]}\n`;
    const files = { ...FILES, 'policy.lock': lockText(), 'b.yaml': POLICY, 'b.lock': other };
    const reader = {
      ...memoryReader(files),
      readData: (name: string) =>
        name === HISTORY_DATA ? new TextEncoder().encode(JSON.stringify(history)) : readShippedData(name),
    };
    const requests = ['./policy.yaml', './b.yaml'].map((name) => ({ kind: 'named', name }) as const);
    expect(told(compilePolicy(requests, reader))).toContain('policy.lock holds another group:npm');
  });
});
