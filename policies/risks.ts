/**
 * What is known against hosts: the risk notes of the domain groups and of the hosts that no group allows. Which rule
 * deserves a warning for it is decided in `check/hosts.ts`.
 */
import type { HostPattern } from './model.ts';
import { literalTail, parsePattern, patternShape, subsumes } from './pattern.ts';
import type { DataReader } from './presets.ts';
import { readGroups } from './presets.ts';

export const RISK_DATA = 'risks.json';

export interface HostRisk {
  readonly pattern: HostPattern;
  /** `high: …`, `medium: …` or `low: …`. */
  readonly note: string;
  /** It serves what anybody publishes there. */
  readonly isUserContent: boolean;
}

/** Null where sand's own data is missing or damaged. */
export function readRisks(read: DataReader): readonly HostRisk[] | null {
  const groups = readGroups(read);
  const bytes = read(RISK_DATA);
  if (groups === null || bytes === null) return null;
  const { risk, userContent } = JSON.parse(new TextDecoder().decode(bytes)) as {
    readonly risk: Readonly<Record<string, string>>;
    readonly userContent: readonly string[];
  };
  const notes = new Map(
    [...[...groups.values()].map((group) => group.risk), risk].flatMap(Object.entries<string>),
  );
  return [...notes].flatMap(([text, note]) => {
    const pattern = parsePattern(text);
    return pattern.ok ? [{ pattern: pattern.value, note, isUserContent: userContent.includes(text) }] : [];
  });
}

/**
 * Whether who allows `allowed` takes that risk. A single name under a noted wildcard does not: it is the account that
 * is meant.
 */
export function takesRisk(allowed: HostPattern, { pattern }: HostRisk): boolean {
  if (patternShape(pattern) === 'exact') return subsumes(allowed, pattern);
  if (patternShape(allowed) === 'exact') return false;
  const inner = literalTail(allowed);
  const outer = literalTail(pattern);
  return (
    inner === outer ||
    inner.endsWith(`.${outer}`) ||
    (allowed.labels[0] === '**' && outer.endsWith(`.${inner}`))
  );
}
