/**
 * A policy file and a change → all that a person has to see before it is written: the patch, what it opens and closes
 * with a witness each, its warnings, and what stays denied all the same. Writes nothing; whoever shows the plan asks
 * and writes.
 */
import { dirname, resolve } from 'node:path';
import { soleAddress } from '../../policies/address.ts';
import { comparePolicies } from '../../policies/compare/compare.ts';
import type { PolicyDifference } from '../../policies/compare/difference.ts';
import { compilePolicy } from '../../policies/compile.ts';
import { type Edited, editPolicy, newPolicy, type PolicyChange } from '../../policies/edit/edit.ts';
import { formatPatch } from '../../policies/edit/patch.ts';
import { pasteLine, type RuleContent } from '../../policies/edit/rule-text.ts';
import { explain } from '../../policies/explain/explain.ts';
import { parseHost } from '../../policies/hostname.ts';
import type { CompiledPolicy, Host, PolicyIssue, Subject } from '../../policies/model.ts';
import { formatSubject } from '../../policies/subject.ts';
import { SandError } from '../errors.ts';
import { formatIssue } from '../run/policy-choice.ts';
import { createPolicyReader } from '../run/policy-reader.ts';
import type { PolicyFile } from './policy-file.ts';

export interface Target {
  /** As the user knows it: relative to the working folder. */
  readonly file: string;
  readonly path: string;
  /** Null where there is no file yet. */
  readonly before: PolicyFile | null;
}

export interface ProposedText extends Target {
  readonly text: string;
  /** What a file that is not there yet is compared with; absent: a policy that allows nothing. */
  readonly baseline?: string;
}

export interface PlanSurroundings {
  readonly cwd: string;
  readonly ceilings: readonly CompiledPolicy[];
  readonly nowMs: number;
}

export interface ChangePlan extends Target {
  readonly text: string;
  /** False where the file says so already. */
  readonly changed: boolean;
  /** Unified, as `git apply` and `patch` read it. */
  readonly patch: string;
  readonly difference: PolicyDifference;
  /** That the file did not have before. */
  readonly warnings: readonly PolicyIssue[];
  /** What the rules allow and a deny rule or a ceiling denies all the same; a sentence each. */
  readonly stillDenied: readonly string[];
}

export interface ChangeToPlan {
  readonly target: Target & Pick<ProposedText, 'baseline'>;
  readonly changes: readonly PolicyChange[];
  /** The rules that the changes add. */
  readonly rules: readonly RuleContent[];
}

/** Raises `policy-invalid`: with the lines to paste where the text cannot be changed. */
export function planChange({ target, changes, rules }: ChangeToPlan, around: PlanSurroundings): ChangePlan {
  const text = applyChanges(target, changes, rules);
  const plan = planText({ ...target, text }, around);
  const allowing = rules.filter(({ verb }) => verb === 'allow');
  if (allowing.length === 0) return plan;
  const after = compileText(text, target.file, around.cwd).policy;
  return { ...plan, stillDenied: stillDenied(allowing, after, around) };
}

/** The same of a text that others have made. Raises `policy-invalid`. */
export function planText(proposed: ProposedText, { cwd, ceilings }: PlanSurroundings): ChangePlan {
  const { file, path, before, text, baseline = 'version: 1\n' } = proposed;
  const old = before === null ? null : before.bytes.toString('utf8');
  const from = compileText(before === null ? baseline : before.bytes, file, cwd);
  const { policy, warnings } = compileText(text, file, cwd);
  const known = new Set(from.warnings.map(({ message }) => message));
  return {
    file,
    path,
    before,
    text,
    changed: old !== text,
    patch: formatPatch(file, old, text),
    difference: comparePolicies({ policy: from.policy, ceilings }, { policy, ceilings }),
    warnings: warnings.filter(({ message }) => !known.has(message)),
    stillDenied: [],
  };
}

/** Raises `policy-invalid` with the lines to paste where the text cannot be changed. */
export function applyChanges(
  { file, before }: Target,
  changes: readonly PolicyChange[],
  rules: readonly RuleContent[],
): string {
  if (before === null) return newPolicy(rules, changes.flatMap(namesOf));
  let text: string | null = null;
  for (const change of changes) text = textOf(editPolicy(text ?? before.bytes, file, change));
  return text ?? before.bytes.toString('utf8');
}

/** What a policy file means that says this. Raises `policy-invalid`. */
export function compileText(
  text: string | Uint8Array,
  file: string,
  cwd: string,
): { readonly policy: CompiledPolicy; readonly warnings: readonly PolicyIssue[] } {
  const reader = createPolicyReader(cwd);
  const directory = dirname(resolve(cwd, file));
  const compiled = compilePolicy([{ kind: 'text', text, file, directory }], reader);
  if (compiled.ok) return { policy: compiled.value, warnings: compiled.warnings ?? [] };
  const errors = compiled.issues.filter(({ severity }) => severity === 'error');
  throw new SandError(
    'policy-invalid',
    errors.slice(0, 20).map(formatIssue).join('\n'),
    errors[0]?.hint ?? 'mend the policy',
    { details: { issues: errors } },
  );
}

function namesOf(change: PolicyChange): readonly string[] {
  return change.kind === 'extend' ? change.names : [];
}

function textOf(edited: Edited): string {
  if (edited.ok) return edited.text;
  const [first] = edited.issues;
  const lines = edited.issues.map(formatPlace);
  const paste = edited.paste.map((line) => `  ${line}`);
  throw new SandError(
    'policy-invalid',
    [...lines, ...(paste.length === 0 ? [] : ['what was to be written:', ...paste])].join('\n'),
    first?.hint ?? 'mend the policy',
    { details: { issues: edited.issues, paste: edited.paste } },
  );
}

function formatPlace({ at, message }: PolicyIssue): string {
  return at.line === 0 ? `${at.file}: ${message}` : `${at.file}:${at.line}:${at.column}: ${message}`;
}

/** A rule that a deny rule or a ceiling beats changes nothing, and whoever writes it expects something. */
function stillDenied(
  rules: readonly RuleContent[],
  policy: CompiledPolicy,
  { ceilings, nowMs }: PlanSurroundings,
): readonly string[] {
  return rules.flatMap((rule) =>
    rule.subjects.flatMap((subject) => {
      const host = hostOf(subject);
      if (host === null) return [];
      const port = [...rule.ports.https, ...rule.ports.http, ...rule.ports.tcp][0]?.from ?? 443;
      const known = { nowMs, addresses: [], hostAddresses: [] };
      const said = explain({ policy, ceilings }, { authority: { host, port }, protocol: null }, known);
      const where = said.rule === null ? '' : `${said.rule.origin.file}:${said.rule.origin.line}`;
      if (said.reason === 'ceiling') {
        const by = `the ceiling of this machine's owner${where === '' ? '' : ` (${where})`}`;
        return [`${formatSubject(subject)} stays denied by ${by}, which nothing widens (${pasteLine(rule)})`];
      }
      if (said.reason !== 'deny-rule') return [];
      return [`${formatSubject(subject)} stays denied by ${where}: deny beats allow (${pasteLine(rule)})`];
    }),
  );
}

/** Null where it stands for many. */
function hostOf(subject: Subject): Host | null {
  if (subject.kind === 'range') {
    const address = soleAddress(subject.range);
    return address === null ? null : { kind: 'address', address };
  }
  if (subject.kind !== 'names' || subject.pattern.text.includes('*')) return null;
  const host = parseHost(subject.pattern.text);
  return host.ok ? host.value : null;
}
