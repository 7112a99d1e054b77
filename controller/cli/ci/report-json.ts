/** The outcome of `sand ci` for programs. Keys are added, never renamed; `version` grows where one changes its meaning. Pure. */
import { escapeJson } from '../../../audit/escape.ts';
import { describeDrift } from '../../ci/drift-text.ts';
import type { CiOutcome } from '../../ci/outcome.ts';

export function formatJsonReport(outcome: CiOutcome): string {
  const { drift, denied, ceiling, ...rest } = outcome;
  const report = {
    version: 1,
    ...rest,
    denied: denied.map(({ rule, ...denial }) => ({
      ...denial,
      rule: rule?.id ?? null,
      because: rule?.because ?? null,
    })),
    drift: drift.map((one) => ({ ...one, text: describeDrift(one) })),
    ceiling: {
      files: ceiling.files,
      cuts: ceiling.cuts.map(({ rules, ...cut }) => ({
        ...cut,
        rules: rules.map(({ id, origin }) => ({ id, ...origin })),
      })),
    },
  };
  return `${escapeJson(JSON.stringify(report))}\n`;
}
