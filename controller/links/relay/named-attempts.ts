/** Attempts of the relay's `probe` that are told apart by names, so that many of one kind can be tried at once. Pure. */
import {
  formatAttempt,
  linesOf,
  parseObservation,
  type RelayAttempt,
  type RelayObservation,
} from './relay-program.ts';

export interface NamedAttempt {
  /** Letters, digits and `-`. */
  readonly id: string;
  readonly attempt: RelayAttempt;
}

/** What was seen of each, by its name; nothing of a list that is empty. */
export type NamedObservations = ReadonlyMap<string, readonly RelayObservation[]>;

/** For a file that the guest can read. */
export function probeFileArguments(path: string): readonly string[] {
  return ['probe', path];
}

export function formatNamedAttempts(attempts: readonly NamedAttempt[]): string {
  return attempts.map(({ id, attempt }) => `as ${id} ${formatAttempt(attempt)}\n`).join('');
}

/** Null where the output is cut short, or any line of it is not one that the program prints. */
export function parseNamedProbe(output: string): NamedObservations | null {
  const lines = linesOf(output);
  if (lines === null || lines.at(-1) !== 'end') return null;
  const found = new Map<string, RelayObservation[]>();
  for (const line of lines.slice(0, -1)) {
    const [, id, rest] = /^as ([A-Za-z0-9-]{1,80}) (.*)$/.exec(line) ?? [];
    if (id === undefined || rest === undefined) return null;
    if (rest === 'nothing' && !found.has(id)) {
      found.set(id, []);
      continue;
    }
    const observation = parseObservation(rest);
    if (observation === null) return null;
    found.set(id, [...(found.get(id) ?? []), observation]);
  }
  return found;
}
