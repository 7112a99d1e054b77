/**
 * What `sand doctor` says of limits: which of them hold for guests of this caller here, and why the others do not. Pure.
 */

import type { Finding } from '../backends/backend.ts';
import { ok, warning } from '../doctor/finding.ts';
import { NO_RESOURCES } from './flags.ts';
import { type CgroupFacts, planCgroups } from './plan.ts';
import { CGROUP_LIMITS, LIMIT_TABLE } from './table.ts';

const CHECK = 'resources';

/** One finding where all hold; else one for each cure, with the reasons that it cures. */
export function judgeResources(facts: CgroupFacts): readonly Finding[] {
  const tried = CGROUP_LIMITS.map((limit) => ({
    flag: LIMIT_TABLE[limit].flag,
    planned: planCgroups(facts, { ...NO_RESOURCES, [limit]: 1 }, 'doctor'),
  }));
  // bubblewrap's own, of every version that sand takes.
  const holding = [...tried.filter(({ planned }) => planned.ok).map(({ flag }) => flag), '--disk'];
  const blocked = tried.flatMap(({ planned }) => (planned.ok ? [] : [planned]));
  const hold = `${list(holding)} ${holding.length === 1 ? 'holds' : 'hold'}`;
  if (blocked.length === 0) return [ok(CHECK, hold)];
  const hints = [...new Set(blocked.map(({ hint }) => hint))];
  return hints.map((cure) => {
    const reasons = blocked.filter(({ hint }) => hint === cure).map(({ message }) => message);
    return warning(CHECK, [hold, ...reasons].join('; '), cure);
  });
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
