/**
 * What a run was denied, as a reviewer needs it: why, by which rule or where a rule would stand, the line to paste, and
 * what that line would allow besides. Pure.
 */
import type { ProcessFact, RuleFact } from '../../audit/event.ts';
import type { Row } from '../../audit/summary.ts';
import { comparePolicies } from '../../policies/compare/compare.ts';
import { formatWitness } from '../../policies/compare/format-difference.ts';
import { compilePolicy } from '../../policies/compile.ts';
import { withRules } from '../../policies/consent.ts';
import type { PolicyInForce, Rule } from '../../policies/model.ts';
import { inPhase, phaseNames } from '../../policies/phase.ts';
import type { Reason } from '../../policies/reasons.ts';
import { keyOf } from './baseline.ts';
import { CI_LIMITS } from './limits.ts';

/** One thing that a line of policy would newly allow. */
export interface Widening {
  /** A sentence without a full stop. */
  readonly text: string;
  /** A request, a use or a guest; null where the comparison could not be finished. */
  readonly witness: string | null;
}

export interface CiDenial {
  readonly host: string;
  /** Null for a name that was only looked up. */
  readonly port: number | null;
  readonly protocol: string;
  readonly count: number;
  readonly reason: Reason;
  readonly detail: string | null;
  /** The rule that denied; null where none did. */
  readonly rule: RuleFact | null;
  /** Where to look: the rule, else the policy file at its rules; null where only presets and flags speak. */
  readonly file: string | null;
  readonly line: number | null;
  /** To paste into the policy, or what was probably meant; null where no line turns it. */
  readonly suggestion: string | null;
  /** What pasting it would allow: none where it would turn nothing, null where it was not compared. */
  readonly widening: readonly Widening[] | null;
  /** Who in the guest asked first, where the backend can tell. */
  readonly process?: ProcessFact;
}

/** Where a rule would stand. */
export interface PolicyPlace {
  readonly file: string;
  readonly line: number;
}

export interface DenialFacts {
  readonly inForce: PolicyInForce;
  readonly place: PolicyPlace | null;
  /** By `keyOf` of a denial. */
  readonly processes: ReadonlyMap<string, ProcessFact>;
  readonly nowMs: number;
}

/** In the order of the rows: what was denied most often first. */
export function describeDenials(rows: readonly Row[], facts: DenialFacts): readonly CiDenial[] {
  const compared = new Map<string, readonly Widening[] | null>();
  return rows.map((row): CiDenial => {
    const { host, port, count, reason, detail, rule, suggestion } = row;
    const protocol = row.how.find((how) => how !== 'dns') ?? 'dns';
    const place = rule !== null && rule.line > 0 ? rule : facts.place;
    const process = facts.processes.get(keyOf({ host, port, protocol, reason }));
    return {
      ...{ host, port, protocol, count, reason, detail, rule, suggestion },
      file: place?.file ?? null,
      line: place?.line ?? null,
      widening: suggestion === null ? null : wideningOf(suggestion, facts, compared),
      ...(process === undefined ? {} : { process }),
    };
  });
}

/** Each line is compared once, and no more lines than a person reads. */
function wideningOf(
  line: string,
  facts: DenialFacts,
  compared: Map<string, readonly Widening[] | null>,
): readonly Widening[] | null {
  const known = compared.get(line);
  if (known !== undefined) return known;
  if (compared.size >= CI_LIMITS.compared) return null;
  const widening = compareWith(line, facts);
  compared.set(line, widening);
  return widening;
}

function compareWith(line: string, { inForce, nowMs }: DenialFacts): readonly Widening[] | null {
  const rules = rulesOf(line);
  const before = inPhase(inForce, Math.max(0, phaseNames(inForce.policy).length - 1));
  if (rules === null || before === null) return null;
  const { changes } = comparePolicies(before, withRules(before, rules), { nowMs });
  return changes
    .filter(({ direction }) => direction === 'widens')
    .map(({ text, witness }) => ({ text, witness: witness === null ? null : formatWitness(witness) }));
}

/** Null for what is no line of policy, such as a question. */
function rulesOf(line: string): readonly Rule[] | null {
  if (!isPasteLine(line)) return null;
  const text = `version: 1\nrules:\n  ${line}\n`;
  const request = { kind: 'text', text, file: 'the suggestion', directory: '/' } as const;
  const compiled = compilePolicy([request], NO_FILES);
  return compiled.ok ? compiled.value.rules : null;
}

/** One rule names no file and no preset. */
const NO_FILES = {
  directory: '/',
  readFile: () => ({ kind: 'missing' }) as const,
  readData: () => null,
};

export function isPasteLine(line: string): boolean {
  return line.startsWith('- ');
}
