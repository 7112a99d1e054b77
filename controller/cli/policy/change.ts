/** `sand policy allow | deny | mute HOST…`: a rule more in a policy file, or with `--remove` one less. */
import { isAbsolute, relative, resolve } from 'node:path';
import type { PolicyChange } from '../../../policies/edit/edit.ts';
import { NO_FLAGS, readRuleFlags } from '../../../policies/edit/rule-flags.ts';
import type { RuleContent } from '../../../policies/edit/rule-text.ts';
import type { Rule } from '../../../policies/model.ts';
import { formatSubject } from '../../../policies/subject.ts';
import { planChange, type Target } from '../../policy-file/change-plan.ts';
import { openPolicyFile } from '../../policy-file/policy-file.ts';
import { usage } from '../../run/options.ts';
import { FOUND_NAME, findPolicy } from '../../run/policy-choice.ts';
import { type ProposalOptions, propose } from './proposal.ts';
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
  const around = { ...surroundings, ceilings: readCeilings(surroundings) };
  const plan = planChange({ target, changes, rules: flags.remove ? [] : rules }, around);
  const { yes, json } = flags;
  return propose(plan, { ...options, yes, json, notes: plan.stillDenied }, surroundings);
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
