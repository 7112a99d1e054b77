/**
 * A policy text and a change → the new text, with formatting and comments kept. What comes out is read again and must
 * differ from what went in by exactly the change; where it does not, nothing is changed and the lines to paste are
 * given.
 */
import { decodeDocument, type PolicyDocument } from '../decode.ts';
import { type LaidOut, parseWithLayout } from '../document.ts';
import type { PolicyNode } from '../document-tree.ts';
import { formatRule } from '../format.ts';
import { IssueList } from '../issue.ts';
import type { PolicyIssue, Rule } from '../model.ts';
import { formatSubject } from '../subject.ts';
import { spliceAddition } from './addition.ts';
import { spliceExtension } from './extension.ts';
import { spliceRemoval } from './removal.ts';
import { blockItem, pasteLine, type RuleContent, scalarText } from './rule-text.ts';
import { applySplices, type Splice } from './splice.ts';

export type PolicyChange =
  /** Rules that are there already stay as they are. `phase`: in the rules of that phase. */
  | { readonly kind: 'add'; readonly rules: readonly RuleContent[]; readonly phase?: string }
  /** A subject in its canonical text, out of every rule with that verb. */
  | {
      readonly kind: 'remove';
      readonly verb: Rule['verb'];
      readonly subject: string;
      readonly phase?: string;
    }
  | { readonly kind: 'extend'; readonly names: readonly string[] };

export type Edited =
  | {
      readonly ok: true;
      readonly text: string;
      /** False where the text said it already. */
      readonly changed: boolean;
      /** Of the new text. */
      readonly warnings: readonly PolicyIssue[];
    }
  | {
      readonly ok: false;
      readonly issues: readonly PolicyIssue[];
      /** What to write by hand, a line each; none where there is nothing to write. */
      readonly paste: readonly string[];
    };

/** `file` is what issues call the text. */
export function editPolicy(content: Uint8Array | string, file: string, change: PolicyChange): Edited {
  const before = read(content, file);
  if (!before.ok) return { ok: false, issues: before.issues, paste: pasteLines(change) };
  const expected = expect(before.document, change);
  if (expected === null) {
    const phase = change.kind === 'extend' ? '' : (change.phase ?? '');
    return refused(file, change, `the policy has no phase "${phase}"`, 'Name a phase that it has.');
  }
  if (sameMeaning(expected, meaningOf(before.document))) {
    return { ok: true, text: before.laidOut.text, changed: false, warnings: before.warnings };
  }
  const text = rewrite(before.laidOut, before.document, change);
  return text === null ? cannotEdit(file, change) : acceptEdit(before.document, text, file, change);
}

/** The new text, where it says what the old document said and the change, and nothing else. */
export function acceptEdit(before: PolicyDocument, text: string, file: string, change: PolicyChange): Edited {
  const after = read(text, file);
  if (!after.ok) return { ok: false, issues: after.issues, paste: pasteLines(change) };
  const expected = expect(before, change);
  // Fail closed: whatever the layout of the file made of it, nothing but the change may have happened.
  if (expected === null || !sameMeaning(expected, meaningOf(after.document))) return cannotEdit(file, change);
  return { ok: true, text, changed: true, warnings: after.warnings };
}

/** A policy file of these rules alone. */
export function newPolicy(rules: readonly RuleContent[], names: readonly string[] = []): string {
  const bases = names.map((name) => scalarText(name, 'yaml'));
  const lines = rules.flatMap((rule) => blockItem(rule).map((line) => `  ${line}`));
  return [
    'version: 1',
    ...(bases.length === 0 ? [] : [`extends: [${bases.join(', ')}]`]),
    ...(lines.length === 0 ? ['rules: []'] : ['rules:', ...lines]),
    '',
  ].join('\n');
}

type ReadPolicy =
  | {
      readonly ok: true;
      readonly laidOut: LaidOut;
      readonly document: PolicyDocument;
      readonly warnings: readonly PolicyIssue[];
    }
  | { readonly ok: false; readonly issues: readonly PolicyIssue[] };

function read(content: Uint8Array | string, file: string): ReadPolicy {
  const parsed = parseWithLayout(content, file);
  if (!parsed.ok) return parsed;
  const issues = new IssueList(file);
  const document = decodeDocument(withoutBareRules(parsed.value.tree), issues, false);
  if (document === null) return { ok: false, issues: issues.issues };
  return { ok: true, laidOut: parsed.value, document, warnings: issues.issues };
}

/** `rules:` with nothing behind it is what somebody leaves who means to write the first one. */
function withoutBareRules(tree: PolicyNode): PolicyNode {
  if (tree.kind !== 'map') return tree;
  const entries = tree.entries.filter(
    ({ key, value }) => key !== 'rules' || value.kind !== 'scalar' || value.value !== null,
  );
  return { ...tree, entries };
}

/** What a document says, rule by rule and subject by subject, so that joining lists changes nothing. */
interface Meaning {
  readonly head: string;
  readonly extends: readonly string[];
  readonly rules: ReadonlySet<string>;
}

function meaningOf(document: PolicyDocument): Meaning {
  const { name, mode, limits, requires } = document;
  const phases = document.phases.map((phase) => phase.name);
  return {
    head: JSON.stringify([name, mode?.value ?? null, limits, requires, phases]),
    extends: document.extends.map(({ text }) => text),
    rules: new Set([
      ...statements(document.rules, undefined),
      ...document.phases.flatMap((phase) => statements(phase.rules, phase.name)),
    ]),
  };
}

function statements(rules: readonly RuleContent[], phase: string | undefined): readonly string[] {
  return rules.flatMap((rule) => {
    // The limits of a rule count for all its subjects together.
    const parts = rule.limits === undefined ? rule.subjects.map((subject) => [subject]) : [rule.subjects];
    return parts.map((subjects) => `${phase ?? ''}\n${formatRule({ ...rule, subjects })}`);
  });
}

function sameMeaning(a: Meaning, b: Meaning): boolean {
  return (
    a.head === b.head &&
    a.extends.join('\n') === b.extends.join('\n') &&
    a.rules.size === b.rules.size &&
    [...a.rules].every((rule) => b.rules.has(rule))
  );
}

/** Null where the phase does not exist. */
function expect(document: PolicyDocument, change: PolicyChange): Meaning | null {
  const before = meaningOf(document);
  if (change.kind === 'extend') {
    return { ...before, extends: [...new Set([...before.extends, ...change.names])] };
  }
  const { phase } = change;
  const scope = phase === undefined ? document : document.phases.find(({ name }) => name === phase);
  if (scope === undefined) return null;
  if (change.kind === 'add') {
    return { ...before, rules: new Set([...before.rules, ...statements(change.rules, phase)]) };
  }
  const kept = scope.rules.map((rule) => withoutSubject(rule, change.verb, change.subject));
  const others = new Set(before.rules);
  for (const statement of statements(scope.rules, phase)) others.delete(statement);
  return { ...before, rules: new Set([...others, ...statements(kept, phase)]) };
}

function withoutSubject<T extends RuleContent>(rule: T, verb: Rule['verb'], subject: string): T {
  if (rule.verb !== verb) return rule;
  return { ...rule, subjects: rule.subjects.filter((one) => formatSubject(one) !== subject) };
}

/** Null where the text has no place for it. */
function rewrite(laidOut: LaidOut, document: PolicyDocument, change: PolicyChange): string | null {
  if (change.kind === 'remove') return removeAll(laidOut, change);
  const { text } = laidOut;
  const splices: readonly Splice[] | null =
    change.kind === 'extend'
      ? spliceExtension(laidOut, newNames(document, change.names))
      : spliceAddition(laidOut, newRules(document, change), change.phase);
  return splices === null ? null : applySplices(text, splices);
}

function newNames(document: PolicyDocument, names: readonly string[]): readonly string[] {
  const known = document.extends.map(({ text }) => text);
  return [...new Set(names)].filter((name) => !known.includes(name));
}

function newRules(
  document: PolicyDocument,
  { rules, phase }: Extract<PolicyChange, { readonly kind: 'add' }>,
): readonly RuleContent[] {
  const known = meaningOf(document).rules;
  return rules.flatMap((rule) => {
    if (rule.limits !== undefined)
      return statements([rule], phase).every((one) => known.has(one)) ? [] : [rule];
    const subjects = rule.subjects.filter(
      (subject) => !statements([{ ...rule, subjects: [subject] }], phase).every((one) => known.has(one)),
    );
    return subjects.length === 0 ? [] : [{ ...rule, subjects }];
  });
}

/** Mentions of one subject that are taken out of one file: each costs reading it once more. */
const MOST_MENTIONS = 100;

function removeAll(
  laidOut: LaidOut,
  change: Extract<PolicyChange, { readonly kind: 'remove' }>,
): string | null {
  let current = laidOut;
  for (let turn = 0; turn < MOST_MENTIONS; turn += 1) {
    const splices = spliceRemoval(current, change);
    if (splices === null) return current.text;
    const parsed = parseWithLayout(applySplices(current.text, splices), 'policy');
    if (!parsed.ok) return null;
    current = parsed.value;
  }
  return null;
}

function pasteLines(change: PolicyChange): readonly string[] {
  if (change.kind === 'add') return change.rules.map(pasteLine);
  return change.kind === 'extend' ? [`extends: [${change.names.join(', ')}]`] : [];
}

function cannotEdit(file: string, change: PolicyChange): Edited {
  return refused(
    file,
    change,
    'the file is written in a way that cannot be changed without touching more than this',
    change.kind === 'remove' ? 'Remove the rule by hand.' : 'Write the line by hand.',
  );
}

function refused(file: string, change: PolicyChange, message: string, hint: string): Edited {
  const at = { file, line: 0, column: 0 };
  return { ok: false, issues: [{ severity: 'error', message, hint, at }], paste: pasteLines(change) };
}
