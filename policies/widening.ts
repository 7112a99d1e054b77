/**
 * Whether a policy that was merely found asks for more than `strict`: by the comparison of the two, and by what it
 * no longer denies of what `strict` denies, whatever else is allowed besides. Each reason is a sentence for the
 * person who is asked.
 */
import { comparePolicies } from './compare/compare.ts';
import type { PolicyChange } from './compare/difference.ts';
import type { CompiledPolicy } from './model.ts';
import { formatSubject } from './subject.ts';

export type Widening =
  | { readonly wider: false }
  | { readonly wider: true; readonly because: readonly string[] };

/** In whatever phase. From `nowMs` on; without it from now on. */
export function widerThanStrict(
  found: CompiledPolicy,
  strict: CompiledPolicy,
  nowMs: number = Date.now(),
): Widening {
  const policies = found.phases?.map(({ policy }) => policy) ?? [found];
  const because = [
    ...wideningsOf(strict, found, nowMs).map(({ text }) => `it ${text}`),
    ...policies.flatMap((policy) => [...droppedDenials(policy, strict, nowMs), ...reportedDenials(policy)]),
  ];
  return because.length === 0 ? { wider: false } : { wider: true, because: [...new Set(because)] };
}

function wideningsOf(before: CompiledPolicy, after: CompiledPolicy, nowMs: number): readonly PolicyChange[] {
  const inForce = (policy: CompiledPolicy) => ({ policy, ceilings: [] });
  const { changes } = comparePolicies(inForce(before), inForce(after), { nowMs });
  return changes.filter(({ direction }) => direction === 'widens');
}

/** Where everything passes that is not denied: what a person allows besides may be what `strict` denies. */
function droppedDenials(found: CompiledPolicy, strict: CompiledPolicy, nowMs: number): readonly string[] {
  return wideningsOf(denialsOf(strict), denialsOf(found), nowMs)
    .filter(({ aspect }) => aspect === 'deny' || aspect === 'undecided')
    .map(({ text }) => text.replace(/^no longer denies /, 'it does not deny '));
}

function denialsOf({ phases: _, ...policy }: CompiledPolicy): CompiledPolicy {
  return { ...policy, mode: 'report', rules: policy.rules.filter(({ verb }) => verb === 'deny') };
}

/** A deny rule that refuses nothing reads as one that does. */
function reportedDenials(found: CompiledPolicy): readonly string[] {
  return found.rules
    .filter(({ report }) => report === true)
    .flatMap(({ subjects }) =>
      subjects.map((subject) => `it only reports what it denies of ${formatSubject(subject)}`),
    );
}
