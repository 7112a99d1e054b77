/** `sand policy learn RUN…`: what runs needed → the smallest patch of a policy file that admits it. */
import { resolve } from 'node:path';
import { Needs } from '../../../audit/needs.ts';
import { readAuditLog } from '../../../audit/read.ts';
import { newPolicy, type PolicyChange } from '../../../policies/edit/edit.ts';
import { pasteLine } from '../../../policies/edit/rule-text.ts';
import { learnRules } from '../../../policies/learn/learn.ts';
import { readGroups } from '../../../policies/presets.ts';
import { SandError } from '../../errors.ts';
import { applyChanges, compileText, planText, type Target } from '../../policy-file/change-plan.ts';
import { usage } from '../../run/options.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';
import { chooseRun } from '../run-choice.ts';
import { targetOf } from './change.ts';
import { describeLearnt, formatLearnt, type LearnReport } from './learn-text.ts';
import { type ProposalOptions, propose } from './proposal.ts';
import { readCeilings, type Surroundings } from './surroundings.ts';

export interface LearnFlags {
  readonly file?: string;
  readonly wildcards: boolean;
  /** Presets and groups to extend, so that what they allow is not learnt. */
  readonly extend: readonly string[];
  readonly yes: boolean;
  readonly json: boolean;
}

export interface LearnRequest {
  /** Runs by name, or logs by path; none: the last run. */
  readonly runs: readonly string[];
  readonly flags: LearnFlags;
  /** Where the rules go; absent: by the flags. */
  readonly target?: Target;
  /** What a policy file that is not there yet begins with. */
  readonly bases?: readonly string[];
}

/** A person learns from a handful; more is a batch, and each is a log to read. */
const MOST_RUNS = 100;

/** 0 where the file admits it now, 1 where it does not. Raises `usage`, `run-missing`, and what writing can raise. */
export async function learnPolicy(
  { runs, flags, target = undefined, bases = [] }: LearnRequest,
  options: Pick<ProposalOptions, 'ask'>,
  surroundings: Surroundings,
): Promise<number> {
  if (runs.length > MOST_RUNS) throw usage(`${runs.length} runs are named`, `name at most ${MOST_RUNS}`);
  const { needs, faults, logs } = await readNeeds(runs, surroundings);
  const place = target ?? targetOf(flags.file, surroundings);
  const names = [...bases, ...flags.extend];
  const extension: readonly PolicyChange[] = names.length === 0 ? [] : [{ kind: 'extend', names }];
  const extended = applyChanges(place, extension, []);
  const ceilings = readCeilings(surroundings);
  const { policy } = compileText(extended, place.file, surroundings.cwd);
  const groups = readGroups(createPolicyReader(surroundings.cwd).readData) ?? new Map();
  const { nowMs } = surroundings;
  const { wildcards, yes, json } = flags;
  const learnt = learnRules(needs.hosts, { policy, ceilings }, { nowMs, groups, wildcards });
  const changes: readonly PolicyChange[] =
    learnt.rules.length === 0 ? extension : [...extension, { kind: 'add', rules: learnt.rules }];
  const text = applyChanges(place, changes, learnt.rules);
  const after = compileText(text, place.file, surroundings.cwd).policy;
  const missing = learnRules(needs.hosts, { policy: after, ceilings }, { nowMs, groups, wildcards: false });
  // A patch that does not admit what it was learnt from is a fault, and is not written.
  if (missing.rules.length > 0) {
    throw new SandError(
      'internal',
      `what was learnt lacks ${missing.rules.map(pasteLine).join(', ')}`,
      'report this',
    );
  }
  const report: LearnReport = {
    needs: needs.hosts,
    leftOut: needs.leftOut,
    learnt,
    runs: logs.length,
    faults,
  };
  const notes = json ? [] : formatLearnt(report);
  const baseline = names.length === 0 ? {} : { baseline: newPolicy([], bases) };
  return propose(
    planText({ ...place, ...baseline, text }, { ...surroundings, ceilings }),
    { ...options, yes, json, notes, more: describeLearnt(report) },
    surroundings,
  );
}

async function readNeeds(
  runs: readonly string[],
  { cwd, environ }: Surroundings,
): Promise<{ readonly needs: Needs; readonly faults: number; readonly logs: readonly string[] }> {
  const named = runs.length === 0 ? [undefined] : runs;
  const logs: string[] = [];
  for (const name of named) {
    const isPath = name !== undefined && /[/.]/.test(name);
    logs.push(isPath ? resolve(cwd, name) : (await chooseRun({ env: environ, run: name })).auditPath);
  }
  const needs = new Needs();
  let faults = 0;
  for (const path of new Set(logs)) {
    try {
      for await (const line of readAuditLog(path)) {
        if (line.ok) needs.add(line.event);
        else faults += 1;
      }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SandError(
        'run-missing',
        `the log ${path} cannot be read: ${why}`,
        'name a run or its audit.jsonl',
        {
          cause,
        },
      );
    }
  }
  return { needs, faults, logs: [...new Set(logs)] };
}
