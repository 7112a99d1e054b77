/**
 * What a policy asks for and a ceiling does not give, each with a request as its witness. Decides nothing: the ceiling
 * refuses by itself whatever is told of it. Pure.
 */
import { comparePolicies } from '../../policies/compare/compare.ts';
import type { ComparedRule, PolicyChange, RequestWitness } from '../../policies/compare/difference.ts';
import { formatWitness } from '../../policies/compare/format-difference.ts';
import { evaluate, evaluateAddress } from '../../policies/evaluate.ts';
import type { CompiledPolicy, EgressRequest, PolicyInForce } from '../../policies/model.ts';
import { inPhase, phaseNames } from '../../policies/phase.ts';
import { parseRequestPath } from '../../policies/request-path.ts';
import type { PolicyNotice } from './policy-choice.ts';

export interface CeilingCut {
  /** The file of the ceiling. */
  readonly ceiling: string;
  /** A request that the policy allows and the ceiling does not; null where the two could not be compared. */
  readonly witness: string | null;
  readonly phase: string | null;
  /** The rules of the policy that ask for it; none where its mode does. */
  readonly rules: readonly ComparedRule[];
}

/** `files`: those of the ceilings, in their order. Limits and requirements are no requests: there the strictest holds. */
export function ceilingCuts(
  { policy, ceilings }: PolicyInForce,
  files: readonly string[],
  nowMs: number,
): readonly CeilingCut[] {
  const cuts = ceilings.flatMap((ceiling, at) => {
    const given = { policy: ceiling, ceilings: [] };
    const wanted = { policy, ceilings: [] };
    const { changes } = comparePolicies(given, wanted, { nowMs });
    return changes
      .filter(
        ({ direction, witness }) =>
          direction === 'widens' && (witness === null || witness.kind === 'request'),
      )
      .map((change): CeilingCut => {
        const { witness, phase } = change;
        return {
          ceiling: files[at] ?? ceiling.name,
          witness: witness === null ? null : formatWitness(witness),
          phase,
          rules: rulesOf(change, policy),
        };
      });
  });
  // A deny rule of the ceiling and the rule that meets it are two changes with one witness.
  return [...new Map(cuts.map((cut) => [JSON.stringify(cut), cut])).values()];
}

/** Where the ceiling denies by a rule of its own, the change is that rule's, and the policy's is the one that allows. */
function rulesOf({ after, witness, phase }: PolicyChange, policy: CompiledPolicy): readonly ComparedRule[] {
  if (after.length > 0 || witness?.kind !== 'request') return after;
  const index = phase === null ? 0 : phaseNames(policy).indexOf(phase);
  const inForce = inPhase({ policy, ceilings: [] }, Math.max(0, index));
  if (inForce === null) return after;
  const { rule } = evaluateAddress(inForce, evaluate(inForce, requestOf(witness)), witness.address, []);
  return rule === null ? after : [{ id: rule.id, origin: rule.origin }];
}

function requestOf({ authority, protocol, http }: RequestWitness): EgressRequest {
  if (http === null) return { authority, protocol };
  return { authority, protocol, http: { method: http.method, path: parseRequestPath(http.target) } };
}

/** One line for the log and for the person; none where nothing is cut. */
export function ceilingNotices(cuts: readonly CeilingCut[]): readonly PolicyNotice[] {
  const [first] = cuts;
  if (first === undefined) return [];
  const rules = new Set(cuts.flatMap((cut) => cut.rules.map(({ id }) => id)));
  const where = rules.size === 0 ? '' : rules.size === 1 ? ' in one rule' : ` in ${rules.size} rules`;
  const witness = first.witness === null ? '' : `, which cuts for example ${first.witness}${placesOf(first)}`;
  const detail = `the policy asks${where} for more than the ceiling ${first.ceiling} allows${witness}`;
  return [{ code: 'ceiling-cuts', detail }];
}

function placesOf({ rules: [rule] }: CeilingCut): string {
  if (rule === undefined) return '';
  const { file, line } = rule.origin;
  return ` (${line === 0 ? file : `${file}:${line}`})`;
}

/** A sentence without a full stop. */
export function describeCut({ ceiling, witness, rules, phase }: CeilingCut): string {
  const places = rules.map(({ id, origin: { file, line } }) => (line === 0 ? id : `${file}:${line}`));
  const where = `${places.length === 0 ? 'the mode of the policy' : places.join(', ')}${phase === null ? '' : ` in the phase ${phase}`}`;
  const what = witness === null ? 'cannot be compared with what it allows' : `asks for ${witness}`;
  return `${where} ${what}, which ${ceiling} does not allow`;
}
