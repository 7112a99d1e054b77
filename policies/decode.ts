/**
 * The tree of a policy file → what it says, before `extends` is resolved. Every key is known, unsupported by
 * name, or an error; nothing is ignored.
 */
import path from 'node:path';
import { GUEST_LIMIT_TABLE, readLimits } from './decode-limits.ts';
import { type DraftRule, decodeRule } from './decode-rule.ts';
import type { MapEntry, PolicyNode } from './document-tree.ts';
import { mapLimits, NO_LIMITS } from './guest-limits.ts';
import type { IssueList, Position } from './issue.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { Mode, PolicyLimits, Requirements } from './model.ts';
import {
  describe,
  type KeyTable,
  readMap,
  readText,
  readWord,
  shorten,
  wholeNumber,
} from './node-reading.ts';
import { ISOLATIONS, REQUIREMENT_KEYS, type RequirementKey } from './requirements.ts';

/** One thing that a document extends, as written. */
export interface Extension {
  readonly text: string;
  readonly at: Position;
}

export interface DraftPhase {
  readonly name: string;
  readonly at: Position;
  readonly rules: readonly DraftRule[];
}

export interface PolicyDocument {
  readonly name: string | null;
  readonly extends: readonly Extension[];
  readonly rules: readonly DraftRule[];
  readonly phases: readonly DraftPhase[];
  /** Null where the document does not say. */
  readonly mode: { readonly value: Mode; readonly at: Position } | null;
  readonly limits: PolicyLimits;
  readonly requires: Requirements;
  /** Of the keys "limits" and "requires"; null where they are not written. */
  readonly places: { readonly limits: Position | null; readonly requires: Position | null };
}

export const DOCUMENT_KEYS: KeyTable = {
  place: 'a policy',
  known: ['version', 'name', 'extends', 'mode', 'rules', 'phases', 'requires', 'limits'],
  later: [],
};
const PHASE_KEYS: KeyTable = { place: 'a phase', known: ['rules'], later: [] };
const REQUIRE_KEYS: KeyTable = { place: '"requires"', known: REQUIREMENT_KEYS, later: [] };
const MODES: readonly Mode[] = ['enforce', 'report'];
const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._+-]*$/;

/** Null after reporting; a document is given only where nothing in it is an error. */
export function decodeDocument(tree: PolicyNode, issues: IssueList, shipped: boolean): PolicyDocument | null {
  if (tree.kind === 'scalar' && tree.value === null) {
    issues.error(tree.at, 'the file is empty', 'Write "version: 1" and rules.');
    return null;
  }
  const entries = readMap(tree, DOCUMENT_KEYS, issues);
  if (entries === null) return null;
  readVersion(tree, entries.get('version'), issues);
  const document: PolicyDocument = {
    name: readName(entries.get('name'), issues),
    extends: readExtends(entries.get('extends'), issues),
    mode: readMode(entries.get('mode'), issues),
    rules: readRules(entries.get('rules'), issues, shipped),
    phases: readPhases(entries.get('phases'), issues, shipped),
    limits: readGuestLimits(entries.get('limits'), issues),
    requires: readRequires(entries.get('requires'), issues),
    places: { limits: entries.get('limits')?.at ?? null, requires: entries.get('requires')?.at ?? null },
  };
  return issues.failed ? null : document;
}

function readVersion(tree: PolicyNode, entry: MapEntry | undefined, issues: IssueList): void {
  if (entry === undefined) {
    issues.error(tree.at, 'the policy names no version', 'Begin with "version: 1".');
  } else if (wholeNumber(entry.value) !== 1) {
    issues.error(
      entry.value.at,
      `this version of sand reads version 1, not ${describe(entry.value)}`,
      'Write "version: 1".',
    );
  }
}

function readName(entry: MapEntry | undefined, issues: IssueList): string | null {
  if (entry === undefined) return null;
  const name = readText('name', entry.value, issues);
  if (name === null) return null;
  return holdName(name, entry.value.at, issues) ? name : null;
}

function holdName(name: string, at: Position, issues: IssueList): boolean {
  if (NAME_PATTERN.test(name) && name.length <= POLICY_LIMITS.nameCharacters) return true;
  issues.error(
    at,
    `"${shorten(name)}" cannot be a name, since it becomes part of rule ids`,
    `Use up to ${POLICY_LIMITS.nameCharacters} letters, digits, ".", "_", "+" and "-".`,
  );
  return false;
}

function readExtends(entry: MapEntry | undefined, issues: IssueList): readonly Extension[] {
  if (entry === undefined) return [];
  const extensions: Extension[] = [];
  for (const node of entry.value.kind === 'list' ? entry.value.items : [entry.value]) {
    const text = readText('extends', node, issues);
    if (text === null) continue;
    if (text === '' || /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(text)) {
      issues.error(
        node.at,
        '"extends" holds an empty or unprintable name',
        'Name a preset, a group or a file.',
      );
    } else extensions.push({ text, at: node.at });
  }
  return extensions;
}

function readMode(entry: MapEntry | undefined, issues: IssueList): PolicyDocument['mode'] {
  if (entry === undefined) return null;
  const value = readWord('mode', entry.value, MODES, issues);
  return value === null ? null : { value, at: entry.value.at };
}

function readRules(entry: MapEntry | undefined, issues: IssueList, shipped: boolean): readonly DraftRule[] {
  if (entry === undefined) return [];
  const { value } = entry;
  if (value.kind !== 'list') {
    issues.error(
      value.at,
      `"rules" is a list, and here stands ${describe(value)}`,
      'Begin each rule with "- ".',
    );
    return [];
  }
  if (value.items.length > POLICY_LIMITS.rules) {
    issues.error(value.at, `a policy has at most ${POLICY_LIMITS.rules} rules`, 'Use wildcards.');
    return [];
  }
  return value.items.flatMap((item) => decodeRule(item, issues, shipped));
}

/** Their order is that of the file. */
function readPhases(entry: MapEntry | undefined, issues: IssueList, shipped: boolean): readonly DraftPhase[] {
  if (entry === undefined) return [];
  const { value } = entry;
  if (value.kind !== 'map') {
    const stands = `"phases" is a map of names, and here stands ${describe(value)}`;
    issues.error(value.at, stands, 'Write phases: {setup: {rules: []}, run: {rules: []}}.');
    return [];
  }
  const { length } = value.entries;
  if (length === 0 || length > POLICY_LIMITS.phases) {
    const most = POLICY_LIMITS.phases;
    issues.error(value.at, `"phases" names from 1 to ${most} phases`, 'Leave the key out, or name some.');
    return [];
  }
  return value.entries.map((phase) => {
    holdName(phase.key, phase.at, issues);
    const entries = readMap(phase.value, PHASE_KEYS, issues);
    return { name: phase.key, at: phase.at, rules: readRules(entries?.get('rules'), issues, shipped) };
  });
}

function readGuestLimits(entry: MapEntry | undefined, issues: IssueList): PolicyLimits {
  const stated = entry === undefined ? null : readLimits(entry, GUEST_LIMIT_TABLE, issues);
  return stated === null ? NO_LIMITS : mapLimits(({ field }) => stated[field] ?? null);
}

function readRequires(entry: MapEntry | undefined, issues: IssueList): Requirements {
  const entries = entry === undefined ? null : readMap(entry.value, REQUIRE_KEYS, issues);
  const word = <T extends string>(key: RequirementKey, words: readonly T[]): T | null => {
    const stated = entries?.get(key);
    return stated === undefined ? null : readWord(key, stated.value, words, issues);
  };
  return { confinement: word('confinement', ['enforced']), isolation: word('isolation', ISOLATIONS) };
}

/** What a document is called that does not say. */
export function nameFromFile(file: string): string {
  const stem = path
    .basename(file)
    .replace(/\.[^.]*$/, '')
    .replaceAll(/[^A-Za-z0-9._+-]/g, '-')
    .slice(0, POLICY_LIMITS.nameCharacters);
  return NAME_PATTERN.test(stem) ? stem : 'policy';
}
