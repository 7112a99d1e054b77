/**
 * Decides in what two policies differ, by a decision procedure and not by their text: everything that one allows
 * and the other does not is in some change, and each change has a witness that the evaluator has confirmed.
 */
import { evaluateAddress } from '../evaluate.ts';
import type { CompiledPolicy, PolicyInForce } from '../model.ts';
import { ComparisonBound } from './compare-limits.ts';
import type { ComparedRule, PolicyChange, PolicyDifference, Witness } from './difference.ts';
import { phasePairs } from './phase-pairs.ts';
import { ask, limitKey } from './request-comparison.ts';
import { type Finding, findDifferences } from './rule-findings.ts';
import { sharingChanges } from './shared-limits.ts';
import { type Sides, type Statement, type SubjectChange, takeApart } from './sides.ts';
import { compareMutes, compareTerms } from './terms.ts';
import { wordFinding, wordNeutral } from './wording.ts';

export interface CompareOptions {
  /** Compared is what holds from then on; without it: from now on. */
  readonly nowMs?: number;
}

/** Never throws on policies that compiled. */
export function comparePolicies(
  before: PolicyInForce,
  after: PolicyInForce,
  { nowMs = Date.now() }: CompareOptions = {},
): PolicyDifference {
  const pairs = phasePairs(before.policy, after.policy);
  const byPhase = pairs.flatMap((pair) => {
    const found = compareRules(
      { ...before, policy: withoutPhases(pair.before) },
      { ...after, policy: withoutPhases(pair.after) },
      nowMs,
    );
    return found.map((change): PolicyChange => ({ ...change, phase: pair.name }));
  });
  return { changes: sortChanges([...compareTerms(before, after), ...mergePhases(byPhase, pairs.length)]) };
}

function withoutPhases({ phases: _, ...policy }: CompiledPolicy): CompiledPolicy {
  return policy;
}

function compareRules(before: PolicyInForce, after: PolicyInForce, nowMs: number): readonly PolicyChange[] {
  const sides = takeApart(before, after, nowMs);
  const mutes = compareMutes(before, after);
  if (sides.changes.length === 0 && !sides.modesDiffer && !sides.ceilingsDiffer) return mutes;
  try {
    const findings = findDifferences(sides);
    const told = findings.map((finding) => changeOf(sides, finding));
    const caused = new Set(findings.map(({ cause }) => cause));
    const sharing = sides.changes.flatMap((change) => sharingChanges(sides, change));
    const shared = new Set<unknown>(sharing.map(({ change }) => change));
    const neutral = sides.changes.filter((change) => !caused.has(change) && !shared.has(change));
    return [
      ...told,
      ...sharing
        .filter(({ change, direction }) => !isLimited(findings, change, direction))
        .map(({ change, direction, text, witness }) => ({
          ...{ direction, aspect: 'limit' as const, text, witness, phase: null },
          ...rulesOf(change),
        })),
      ...neutral.map(neutralChange),
      ...mutes,
    ];
  } catch (error) {
    if (!(error instanceof ComparisonBound)) throw error;
    // Fail closed: what could not be compared within bounds counts as widening.
    return [undecided(error.message)];
  }
}

/** A limit that is higher or lower for one host alone says it better. */
function isLimited(findings: readonly Finding[], cause: SubjectChange, direction: string): boolean {
  return findings.some((one) => one.cause === cause && one.aspect === 'limit' && one.direction === direction);
}

function undecided(because: string): PolicyChange {
  const text = `overlaps with what it was in more ways than can be compared (${because})`;
  return {
    direction: 'widens',
    aspect: 'undecided',
    text,
    witness: null,
    phase: null,
    before: [],
    after: [],
  };
}

function changeOf(sides: Sides, finding: Finding): PolicyChange {
  const { cause, direction, aspect } = finding;
  const text = wordFinding(finding);
  // Fail closed: a difference that the evaluator does not confirm is a fault in the comparison, and no witness.
  if (!isConfirmed(sides, finding)) return undecided(`${text}, which the evaluator does not confirm`);
  const rules = typeof cause === 'string' ? { before: [], after: [] } : rulesOf(cause);
  return { direction, aspect, text, witness: witnessOf(sides, finding), phase: null, ...rules };
}

function neutralChange(change: SubjectChange): PolicyChange {
  const aspect = change.verb === 'deny' ? 'deny' : change.text.includes('*') ? 'wildcard' : 'name';
  const neutral = { direction: 'neutral', witness: null, phase: null } as const;
  return { ...neutral, aspect, text: wordNeutral(change), ...rulesOf(change) };
}

function rulesOf({ removed, added }: SubjectChange): Pick<PolicyChange, 'before' | 'after'> {
  const refs = (statements: readonly Statement[]): readonly ComparedRule[] =>
    statements.map(({ rule: { id, origin } }) => ({ id, origin }));
  return { before: refs(removed), after: refs(added) };
}

function isConfirmed({ before, after }: Sides, { host, direction, point }: Finding): boolean {
  const [was, is] = [before, after].map(
    (side) =>
      evaluateAddress(side.inForce, ask(side, host, point.asked), point.address, []).decision === 'allow',
  );
  if (point.limit !== null) return was === true && is === true;
  return direction === 'widens' ? was === false && is === true : was === true && is === false;
}

function witnessOf({ nowMs }: Sides, { host, point }: Finding): Witness {
  const { port, protocol, request, atMs } = point.asked;
  const authority = { host, port };
  if (point.limit !== null) {
    return { kind: 'use', limit: limitKey(point.limit.field), amount: point.limit.amount, authority };
  }
  const http = request === null ? null : { method: request.method, target: request.target };
  const at = atMs === nowMs ? null : atMs;
  return { kind: 'request', authority, protocol, http, address: point.address, atMs: at };
}

/** What holds in every phase is told once. */
function mergePhases(changes: readonly PolicyChange[], phases: number): readonly PolicyChange[] {
  if (phases === 1) return changes;
  const groups = Map.groupBy(changes, ({ direction, aspect, text, before, after }) =>
    JSON.stringify([direction, aspect, text, before, after]),
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first !== undefined && group.length === phases ? [{ ...first, phase: null }] : group;
  });
}

const ORDER = ['widens', 'narrows', 'neutral'] as const;

/** By direction, then by where the rules stand. */
function sortChanges(changes: readonly PolicyChange[]): readonly PolicyChange[] {
  const place = ({ before, after }: PolicyChange): readonly [string, number, number] => {
    const { file, line, column } = (after[0] ?? before[0])?.origin ?? { file: '', line: 0, column: 0 };
    return [file, line, column];
  };
  const keyed = changes.map((change) => ({
    change,
    rank: ORDER.indexOf(change.direction),
    at: place(change),
  }));
  return keyed
    .toSorted(
      (a, b) => a.rank - b.rank || compareText(a.at[0], b.at[0]) || a.at[1] - b.at[1] || a.at[2] - b.at[2],
    )
    .map(({ change }) => change);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
