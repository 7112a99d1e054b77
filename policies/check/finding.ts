/** What the check says of one place of a policy: an issue of the compiler, or advice with the code of its warning. */
import type { Origin, PolicyIssue, Rule } from '../model.ts';
import type { WarningCode } from '../warnings.ts';

/** `note`: unwise, and the policy gives its reason; it fails no check. */
export type Severity = 'error' | 'warning' | 'note';

export interface PolicyFinding {
  readonly severity: Severity;
  /** `policy-invalid` and `policy-missing` for errors. */
  readonly code: WarningCode | 'policy-invalid' | 'policy-missing';
  readonly message: string;
  /** An imperative sentence: what to write instead. */
  readonly hint: string;
  readonly at: Origin;
}

/** What an issue of the compiler is here. */
export function findingOf({ severity, message, hint, at, code }: PolicyIssue): PolicyFinding {
  if (severity === 'error') {
    return { severity, code: code === 'missing' ? 'policy-missing' : 'policy-invalid', message, hint, at };
  }
  const known = code !== undefined && code !== 'missing' ? code : 'mode-ignored';
  return { severity, code: known, message, hint, at };
}

export function warn(code: WarningCode, at: Origin, message: string, hint: string): PolicyFinding {
  return { severity: 'warning', code, message, hint, at };
}

/** Advice that a person may have good reasons against: with a `because` it is a note. */
export function advise(code: WarningCode, rule: Rule, message: string, hint: string): PolicyFinding {
  const severity = rule.because === null ? 'warning' : 'note';
  return { severity, code, message, hint, at: rule.origin };
}
