/**
 * What a comparison of two policies says: changes, each with a direction and a witness. How they are found is
 * `compare.ts`; how they are told is `format-difference.ts`.
 */
import type { Authority, IpAddress, Origin, Protocol } from '../model.ts';
import type { Isolation } from '../requirements.ts';

/** `neutral`: it reads differently, and every request, limit and requirement is what it was. */
export type Direction = 'widens' | 'narrows' | 'neutral';

/** In what a change consists. `undecided`: it could not be decided within bounds, and counts as widening. */
export type Aspect =
  | 'name'
  | 'wildcard'
  | 'port'
  | 'scheme'
  | 'method'
  | 'path'
  | 'address'
  | 'metadata'
  | 'until'
  | 'deny'
  | 'mode'
  | 'ceiling'
  | 'limit'
  | 'requires'
  | 'mute'
  | 'phase'
  | 'undecided';

/** One request that one policy allows and the other does not, both as the evaluator says. */
export interface RequestWitness {
  readonly kind: 'request';
  readonly authority: Authority;
  readonly protocol: Protocol;
  /** A plain-HTTP request, where its method or path decides. `target` stands as a client sends it. */
  readonly http: { readonly method: string; readonly target: string } | null;
  /** What the name resolves to; of a literal, itself. */
  readonly address: IpAddress;
  /** Unix time in milliseconds at which it is asked; null: now. */
  readonly atMs: number | null;
}

/** What both policies allow, and one of them to a lesser amount. */
export interface UseWitness {
  readonly kind: 'use';
  /** As written in a policy, for example `bytesOut`. */
  readonly limit: string;
  /** Bytes, milliseconds or a count that one of them admits and the other does not. */
  readonly amount: number;
  /** Of the limit of a rule: a destination that it covers. Null: all of the guest. */
  readonly authority: Authority | null;
}

/** A guest that one policy lets start and the other does not. */
export interface GuestWitness {
  readonly kind: 'guest';
  readonly confinement: 'enforced' | 'cooperative';
  readonly isolation: Isolation;
}

export type Witness = RequestWitness | UseWitness | GuestWitness;

/** Where a line of either policy stands, and as what it is known in audit events. */
export interface ComparedRule {
  readonly id: string;
  readonly origin: Origin;
}

export interface PolicyChange {
  readonly direction: Direction;
  readonly aspect: Aspect;
  /** One sentence for a person, without a full stop. */
  readonly text: string;
  /** Null where the change is neutral or undecided. */
  readonly witness: Witness | null;
  /** The phase in which it holds; null where neither policy has phases, or for what is of all of them. */
  readonly phase: string | null;
  /** The rules that make the change, on either side; none where no rule does. */
  readonly before: readonly ComparedRule[];
  readonly after: readonly ComparedRule[];
}

export interface PolicyDifference {
  /** What widens first, then what narrows, then what is neutral. */
  readonly changes: readonly PolicyChange[];
}

/** Whether anything is allowed after that was not before. */
export function widens({ changes }: PolicyDifference): boolean {
  return changes.some(({ direction }) => direction === 'widens');
}

export function narrows({ changes }: PolicyDifference): boolean {
  return changes.some(({ direction }) => direction === 'narrows');
}
