/** `sand policy diff OLD NEW`: what the new policy allows that the old one does not, and the other way round. */
import { escapeJson } from '../../../audit/escape.ts';
import { comparePolicies } from '../../../policies/compare/compare.ts';
import {
  type ComparedRule,
  narrows,
  type PolicyChange,
  type PolicyDifference,
  type Witness,
  widens,
} from '../../../policies/compare/difference.ts';
import { formatDifference, formatWitness } from '../../../policies/compare/format-difference.ts';
import { formatHost } from '../../../policies/hostname.ts';
import { usage } from '../../run/options.ts';
import { type ArgumentSurroundings, readPolicyArgument } from './policy-argument.ts';

export interface DiffFlags {
  readonly before: string;
  readonly after: string;
  readonly failOn: string;
  readonly format: string;
}

export interface DiffSurroundings extends ArgumentSurroundings {
  readonly write: (text: string) => void;
  /** Compared is what holds from then on; without it: from now on. */
  readonly nowMs?: number;
}

const FAIL_ON = ['widen', 'any', 'none'] as const;
const FORMATS = ['text', 'markdown', 'json'] as const;

/** 1 where `--fail-on` says so, else 0. The ceilings of this machine play no part. Raises `usage` and as `run` does. */
export async function diffPolicies(flags: DiffFlags, surroundings: DiffSurroundings): Promise<number> {
  const failOn = oneOf('--fail-on', flags.failOn, FAIL_ON);
  const format = oneOf('--format', flags.format, FORMATS);
  if (flags.before === '-' && flags.after === '-') {
    throw usage('standard input is one policy, not two', 'name a file for the other one');
  }
  const before = await readPolicyArgument(flags.before, surroundings);
  const after = await readPolicyArgument(flags.after, surroundings);
  const nowMs = surroundings.nowMs ?? Date.now();
  const difference = comparePolicies(
    { policy: before, ceilings: [] },
    { policy: after, ceilings: [] },
    { nowMs },
  );
  const names = { before: flags.before, after: flags.after };
  const text =
    format === 'json'
      ? formatJson(difference, names)
      : formatDifference(difference, { style: format, names });
  surroundings.write(text);
  const isWider = widens(difference);
  const fails = failOn === 'widen' ? isWider : failOn === 'any' && (isWider || narrows(difference));
  return fails ? 1 : 0;
}

function oneOf<T extends string>(flag: string, value: string, known: readonly T[]): T {
  const found = known.find((word) => word === value);
  if (found !== undefined) return found;
  throw usage(`${flag} ${value}: there is no such word`, `write one of: ${known.join(', ')}`);
}

function formatJson(
  difference: PolicyDifference,
  names: { readonly before: string; readonly after: string },
): string {
  return `${escapeJson(JSON.stringify({ ...names, ...describeDifference(difference) }))}\n`;
}

/** For programs. Pure. */
export function describeDifference({ changes }: PolicyDifference) {
  const count = (direction: PolicyChange['direction']): number =>
    changes.filter((change) => change.direction === direction).length;
  return {
    widens: count('widens'),
    narrows: count('narrows'),
    neutral: count('neutral'),
    changes: changes.map(describeChange),
  };
}

function describeChange({ before, after, witness, ...change }: PolicyChange) {
  const places = (rules: readonly ComparedRule[]) => rules.map(({ id, origin }) => ({ id, ...origin }));
  return {
    ...change,
    witness: witness === null ? null : describeWitness(witness),
    before: places(before),
    after: places(after),
  };
}

/** In words, and in parts. */
function describeWitness(witness: Witness) {
  const text = formatWitness(witness);
  if (witness.kind === 'guest') return { text, ...witness };
  const { authority, ...rest } = witness;
  const where = authority === null ? {} : { host: formatHost(authority.host), port: authority.port };
  return { text, ...rest, ...where };
}
