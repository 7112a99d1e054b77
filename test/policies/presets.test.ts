import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { compilePolicy } from '../../policies/compile.ts';
import { parseDocument } from '../../policies/document.ts';
import type { PolicyNode } from '../../policies/document-tree.ts';
import type { CompiledPolicy } from '../../policies/model.ts';
import {
  type DomainGroup,
  GROUP_DATA,
  PRESET_NAMES,
  PRESET_TREES,
  presetDirectory,
  readGroups,
  readPreset,
} from '../../policies/presets.ts';
import { wildcardScope } from '../../policies/public-suffix.ts';
import { formatSubject, parseSubject } from '../../policies/subject.ts';
import { memoryReader, readShippedData } from './reader.ts';

const STRICT_GROUPS = [
  'npm',
  'pypi',
  'conda',
  'rubygems',
  'crates',
  'go',
  'jvm',
  'dotnet',
  'php',
  'elixir',
  'dart',
  'apt-ubuntu',
  'apt-debian',
  'alpine',
  'rpm-distros',
  'arch',
];
const BALANCED_GROUPS = [
  'github-core',
  'github-content',
  'github-packages',
  'github-actions',
  'gitlab',
  'bitbucket',
  'docker-hub',
  'container-other',
  'model-anthropic',
  'model-openai',
  'model-google',
  'model-copilot',
  'model-other',
];

function preset(...names: string[]): CompiledPolicy {
  const compiled = compilePolicy(
    names.map((name) => ({ kind: 'named', name })),
    memoryReader(),
  );
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues));
  return compiled.value;
}

function allowed(policy: CompiledPolicy): string[] {
  const texts = policy.rules.flatMap(({ subjects }) => subjects.map(formatSubject));
  return [...new Set(texts)].sort();
}

function groups(): ReadonlyMap<string, DomainGroup> {
  const read = readGroups(readShippedData);
  if (read === null) throw new Error('no groups');
  return read;
}

const sorted = (hosts: Iterable<string>): string[] => [...new Set(hosts)].sort();

describe('the shipped presets', () => {
  // UPDATE_GOLDEN=1 writes the trees anew after a preset has been edited.
  test('are read as trees that say what their YAML says', () => {
    const trees: Record<string, PolicyNode> = {};
    for (const name of PRESET_NAMES) {
      const parsed = parseDocument(readFileSync(path.join(presetDirectory(), `${name}.yaml`)), name);
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
      trees[name] = parsed.value;
    }
    if (process.env.UPDATE_GOLDEN === '1') {
      writeFileSync(path.join(presetDirectory(), PRESET_TREES), `${JSON.stringify(trees)}\n`);
    }
    for (const name of PRESET_NAMES) expect(readPreset(name, readShippedData)).toEqual(trees[name]);
  });

  test('demand enforced confinement, but for observe', () => {
    for (const name of PRESET_NAMES) {
      expect([name, preset(name).requires.confinement]).toEqual([
        name,
        name === 'observe' ? null : 'enforced',
      ]);
    }
  });

  test('enforce, but for observe, which reports', () => {
    const modes = PRESET_NAMES.map((name) => preset(name).mode);
    expect(modes).toEqual(['enforce', 'enforce', 'enforce', 'report']);
  });

  test('offline allows nothing', () => {
    expect(preset('offline').rules).toEqual([]);
  });

  test('strict is the usual hosts of the package and distribution groups and nothing else', () => {
    const hosts = STRICT_GROUPS.flatMap((name) => groups().get(name)?.usual ?? [name]);
    expect(allowed(preset('strict'))).toEqual(sorted(hosts));
  });

  test('balanced adds forges, container registries and model APIs, and no host with a high risk note', () => {
    const all = BALANCED_GROUPS.map((name) => groups().get(name)).filter((group) => group !== undefined);
    const risky = new Set(
      [...groups().values()].flatMap(({ risk }) =>
        Object.keys(risk).filter((host) => risk[host]?.startsWith('high')),
      ),
    );
    const added = all.flatMap(({ usual }) => usual.filter((host) => !risky.has(host)));
    expect(allowed(preset('balanced'))).toEqual(sorted([...allowed(preset('strict')), ...added]));
    expect(allowed(preset('balanced')).filter((host) => risky.has(host))).toEqual([]);
  });

  test('name rules by preset and first host, and the line of the YAML file', () => {
    const rule = preset('strict').rules.find(({ id }) => id === 'strict/allow:pypi.org');
    const text = readFileSync(path.join(presetDirectory(), 'strict.yaml'), 'utf8').split('\n');
    expect(rule?.origin.file).toBe('preset:strict');
    expect(text[(rule?.origin.line ?? 0) - 1]).toContain('pypi.org');
  });

  test('compile without a warning', () => {
    for (const name of PRESET_NAMES) {
      const compiled = compilePolicy([{ kind: 'named', name }], memoryReader());
      expect(compiled.ok && compiled.warnings).toEqual([]);
    }
  });
});

describe('the shipped groups', () => {
  test('hold valid patterns only, none over a registry suffix', () => {
    for (const [name, group] of groups()) {
      for (const host of [...group.hosts, ...group.usual, ...(group.muted ?? [])]) {
        const subject = parseSubject(host);
        expect([name, host, subject.ok && subject.value.kind]).toEqual([name, host, 'names']);
        if (!subject.ok || subject.value.kind !== 'names') continue;
        expect([host, wildcardScope(subject.value.pattern).kind]).not.toEqual([host, 'icann']);
        expect(subject.value.pattern.text).toBe(host);
      }
    }
  });

  test('carry source, date and risk notes', () => {
    for (const group of groups().values()) {
      expect(group.source.length).toBeGreaterThan(0);
      expect(group.date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
      for (const [host, note] of Object.entries(group.risk)) {
        expect(group.hosts).toContain(host);
        expect(note).toMatch(/^(low|medium|high)/);
      }
    }
  });

  test('are the minimal set by name and the whole list with /all', () => {
    expect(allowed(preset('group:npm'))).toEqual(['*.npmjs.org']);
    expect(allowed(preset('npm'))).toEqual(['*.npmjs.org']);
    expect(allowed(preset('group:npm/all'))).toEqual(sorted(groups().get('npm')?.hosts ?? []));
  });

  test('mute with /quiet, and allow nothing there', () => {
    const quiet = preset('group:macos-guest/quiet');
    const muted = groups().get('macos-guest')?.muted ?? [];
    expect(muted.length).toBeGreaterThan(0);
    expect(allowed(quiet)).toEqual(sorted(muted));
    expect(new Set(quiet.rules.map(({ verb }) => verb))).toEqual(new Set(['mute']));
  });

  test('of macOS give each host its source, or say that it is inferred, or seen', () => {
    const { sources } = JSON.parse(new TextDecoder().decode(readShippedData(GROUP_DATA) ?? undefined));
    for (const name of ['macos-guest', 'xcode']) {
      const group = groups().get(name);
      const entries = Object.entries(group?.entries ?? {});
      const hosts = [...(group?.usual ?? []), ...(group?.hosts ?? []), ...(group?.muted ?? [])];
      expect(sorted(entries.map(([host]) => host))).toEqual(sorted(hosts));
      for (const [host, entry] of entries) {
        const keys = [...entry.source, ...(entry.seen ?? [])];
        expect([host, keys.length > 0 || (entry.inferred ?? '') !== '']).toEqual([host, true]);
        expect([host, keys.filter((key) => !Object.hasOwn(sources, key))]).toEqual([host, []]);
        expect([host, keys.filter((key) => !group?.source.includes(key))]).toEqual([host, []]);
        expect([host, entry.for.length > 5]).toEqual([host, true]);
      }
    }
  });

  test('cite no source that the data does not have, and have none that nobody cites', () => {
    const { sources } = JSON.parse(new TextDecoder().decode(readShippedData(GROUP_DATA) ?? undefined));
    const cited = [...groups().values()].flatMap((group) => group.source);
    expect(sorted(cited).filter((key) => !Object.hasOwn(sources, key))).toEqual([]);
    const evidence = [...groups().values()].flatMap(({ entries }) =>
      Object.values(entries ?? {}).flatMap(({ source, seen }) => [...source, ...(seen ?? [])]),
    );
    for (const name of ['macos-guest', 'xcode']) {
      expect([
        name,
        groups()
          .get(name)
          ?.source.filter((key) => !evidence.includes(key)),
      ]).toEqual([name, []]);
    }
  });

  test('leave out telemetry, broad storage and metadata', () => {
    for (const name of ['telemetry', 'cloud-storage-and-broad', 'deny-metadata']) {
      expect(groups().has(name)).toBe(false);
      expect(compilePolicy([{ kind: 'named', name: `group:${name}` }], memoryReader()).ok).toBe(false);
    }
    const hosts = [...groups().values()].flatMap((group) => group.hosts);
    expect(hosts.filter((host) => /sentry|statsig|169\.254/.test(host))).toEqual([]);
  });

  test('that are missing from the package leave no policy', () => {
    const reader = { ...memoryReader(), readData: () => null };
    for (const name of ['strict', 'group:npm']) {
      const compiled = compilePolicy([{ kind: 'named', name }], reader);
      expect(compiled.ok ? '' : compiled.issues[0]?.message).toContain('missing or damaged');
    }
  });
});
