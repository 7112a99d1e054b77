/** `sand policy allow | deny | mute HOST…`: a rule more in a policy file, or with `--remove` one less. */
import { isAbsolute, relative, resolve } from 'node:path';
import { type Edited, editPolicy, newPolicy, type PolicyChange } from '../../../policies/edit/edit.ts';
import { NO_FLAGS, readRuleFlags } from '../../../policies/edit/rule-flags.ts';
import { pasteLine, type RuleContent } from '../../../policies/edit/rule-text.ts';
import { explain } from '../../../policies/explain/explain.ts';
import { parseHost } from '../../../policies/hostname.ts';
import type { CompiledPolicy, PolicyIssue, Rule } from '../../../policies/model.ts';
import { formatSubject } from '../../../policies/subject.ts';
import { SandError } from '../../errors.ts';
import { openPolicyFile, type PolicyFile } from '../../policy-file/policy-file.ts';
import { usage } from '../../run/options.ts';
import { FOUND_NAME, findPolicy } from '../../run/policy-choice.ts';
import { compileText, type ProposalOptions, propose } from './proposal.ts';
import { readCeilings, type Surroundings } from './surroundings.ts';

export interface ChangeFlags {
  readonly http?: readonly string[];
  readonly https?: readonly string[];
  readonly tcp?: readonly string[];
  readonly method?: readonly string[];
  readonly path?: readonly string[];
  readonly address?: readonly string[];
  readonly for?: string;
  readonly until?: string;
  readonly because?: string;
  readonly phase?: string;
  readonly remove: boolean;
  readonly file?: string;
  readonly yes: boolean;
  readonly json: boolean;
}

export interface ChangeRequest {
  readonly verb: Rule['verb'];
  readonly hosts: readonly string[];
  readonly flags: ChangeFlags;
}

/** 0 where the file says it now, 1 where it does not. Raises `usage`, `policy-invalid`, `policy-unwritable`. */
export async function changePolicy(
  { verb, hosts, flags }: ChangeRequest,
  options: Pick<ProposalOptions, 'ask'>,
  surroundings: Surroundings,
): Promise<number> {
  const rules = readRules(verb, hosts, flags, surroundings.nowMs);
  const target = targetOf(flags.file, surroundings);
  if (target.before === null && (flags.remove || flags.phase !== undefined)) {
    throw usage(`there is no ${target.file}`, 'name the policy file with --file');
  }
  const phase = flags.phase === undefined ? {} : { phase: flags.phase };
  const changes: readonly PolicyChange[] = flags.remove
    ? rules.flatMap(({ subjects }) =>
        subjects.map((one) => ({ kind: 'remove', verb, subject: formatSubject(one), ...phase }) as const),
      )
    : [{ kind: 'add', rules, ...phase }];
  const text = applyChanges(target, changes, rules);
  const after = compileText(text, target.file, surroundings).policy;
  const notes = verb === 'allow' && !flags.remove ? stillDenied(rules, after, surroundings) : [];
  return propose({ ...target, text }, { ...options, yes: flags.yes, json: flags.json, notes }, surroundings);
}

function readRules(
  verb: Rule['verb'],
  hosts: readonly string[],
  flags: ChangeFlags,
  nowMs: number,
): readonly RuleContent[] {
  const { http = [], https = [], tcp = [] } = flags;
  const read = readRuleFlags(
    {
      ...NO_FLAGS,
      verb,
      hosts,
      ports: { http, https, tcp },
      methods: flags.method ?? [],
      paths: flags.path ?? [],
      addresses: flags.address ?? [],
      forTime: flags.for ?? null,
      until: flags.until ?? null,
      because: flags.because ?? null,
    },
    nowMs,
  );
  if (read.ok) return read.value;
  const [first] = read.issues;
  throw usage(
    read.issues.map(({ message }) => message).join('\n'),
    first?.hint ?? 'see `sand policy --help`',
  );
}

export interface Target {
  readonly file: string;
  readonly path: string;
  readonly before: PolicyFile | null;
}

/** The file that is named, or the one that is found. Only one that is named need not exist. */
export function targetOf(named: string | undefined, { cwd }: Surroundings): Target {
  if (named !== undefined) {
    const path = resolve(cwd, named);
    return { file: named, path, before: openPolicyFile(path) };
  }
  const found = findPolicy({ cwd });
  if (found === null) {
    throw usage(`there is no ${FOUND_NAME} here`, `begin one with --file ${FOUND_NAME}`);
  }
  const file = relative(cwd, found.path);
  return { file: isAbsolute(file) ? found.path : file, path: found.path, before: openPolicyFile(found.path) };
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
  surroundings: Surroundings,
): readonly string[] {
  const inForce = { policy, ceilings: readCeilings(surroundings) };
  return rules.flatMap((rule) =>
    rule.subjects.flatMap((subject) => {
      if (subject.kind !== 'names' || subject.pattern.text.includes('*')) return [];
      const port = [...rule.ports.https, ...rule.ports.http, ...rule.ports.tcp][0]?.from ?? 443;
      const host = parseHost(subject.pattern.text);
      if (!host.ok) return [];
      const known = { nowMs: surroundings.nowMs, addresses: [], hostAddresses: [] };
      const said = explain(inForce, { authority: { host: host.value, port }, protocol: null }, known);
      if (said.reason !== 'deny-rule' && said.reason !== 'ceiling') return [];
      const by = said.rule === null ? 'a ceiling' : `${said.rule.origin.file}:${said.rule.origin.line}`;
      return [`${formatSubject(subject)} stays denied by ${by}: deny beats allow (${pasteLine(rule)})`];
    }),
  );
}
