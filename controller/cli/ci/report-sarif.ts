/** The outcome of `sand ci` as SARIF 2.1.0, each denial at the policy's line. Pure. */
import { createHash } from 'node:crypto';
import { escapeTerminal } from '../../../audit/escape.ts';
import type { Origin } from '../../../policies/model.ts';
import { REASONS } from '../../../policies/reasons.ts';
import { BASELINE_NAME } from '../../ci/baseline-text.ts';
import type { CiDenial } from '../../ci/denials.ts';
import { authorityOf, describeDrift } from '../../ci/drift-text.ts';
import { CI_LIMITS } from '../../ci/limits.ts';
import type { CiOutcome } from '../../ci/outcome.ts';
import { type CeilingCut, describeCut } from '../../run/ceiling-cuts.ts';
import { FOUND_NAME } from '../../run/policy-choice.ts';
import { formatSarifLog, type SarifResult } from '../policy/sarif.ts';

const RULES = {
  denied: 'the run asked for what the policy does not allow',
  drift: 'the run used other parts of the network than its baseline says',
  ceiling: 'the policy asks for more than the machine\u2019s owner allows',
} as const;

type RuleId = keyof typeof RULES;
type Result = SarifResult<RuleId>;

export function formatSarifReport(outcome: CiOutcome): string {
  const level = (kind: RuleId): Result['level'] => (outcome.failOn.includes(kind) ? 'error' : 'warning');
  const policy = { file: outcome.policy.file ?? FOUND_NAME, line: 1, column: 1 };
  const baseline = { file: outcome.baseline.file ?? BASELINE_NAME, line: 1, column: 1 };
  const results: readonly Result[] = [
    ...outcome.denied.map((denial) => deniedResult(denial, level('denied'), policy)),
    ...outcome.drift.map((drift): Result => {
      const text = describeDrift(drift);
      return resultOf('drift', level('drift'), text, baseline);
    }),
    ...outcome.ceiling.cuts.map((cut) => cutResult(cut, level('ceiling'), policy)),
  ];
  return formatSarifLog('sand ci', RULES, results.slice(0, CI_LIMITS.results));
}

function deniedResult(denial: CiDenial, level: Result['level'], policy: Origin): Result {
  const { reason, suggestion, file, line } = denial;
  const allow = suggestion === null ? '' : `. To allow it: ${suggestion}`;
  const text = `${authorityOf(denial)} was denied: ${REASONS[reason]}${allow}`;
  const at = file === null ? policy : { file, line: line ?? 1, column: 1 };
  return resultOf('denied', level, text, at, `${authorityOf(denial)} ${reason}`);
}

function cutResult(cut: CeilingCut, level: Result['level'], policy: Origin): Result {
  const [rule] = cut.rules;
  const at = rule === undefined || rule.origin.line === 0 ? policy : rule.origin;
  return resultOf('ceiling', level, describeCut(cut), at);
}

/** `same`: what makes it the same finding in the next run. */
function resultOf(ruleId: RuleId, level: Result['level'], text: string, at: Origin, same = text): Result {
  const fingerprint = createHash('sha256').update(`${ruleId}\n${same}`).digest('hex');
  return { ruleId, level, text: escapeTerminal(text), at, fingerprint };
}
