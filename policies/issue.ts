/** Collects what is wrong with a policy, up to a bound, and words one issue as a line for a terminal. */
import { POLICY_LIMITS } from './limits.ts';
import type { Origin, PolicyIssue } from './model.ts';
import type { WarningCode } from './warnings.ts';

/** A place in the text that is being read; its file is the collector's. */
export interface Position {
  /** 1-based; 0 where there is no text. */
  readonly line: number;
  readonly column: number;
}

/** The place of what is not in a text: a flag. */
export const NOWHERE: Position = { line: 0, column: 0 };

export class IssueList {
  readonly file: string;
  readonly #issues: PolicyIssue[] = [];

  constructor(file: string) {
    this.file = file;
  }

  error(at: Position, message: string, hint: string, code?: 'missing'): void {
    const issue = { severity: 'error', message, hint, at: this.origin(at) } as const;
    this.#add(code === undefined ? issue : { ...issue, code });
  }

  warning(code: WarningCode, at: Position, message: string, hint: string): void {
    this.#add({ severity: 'warning', message, hint, at: this.origin(at), code });
  }

  origin({ line, column }: Position): Origin {
    return { file: this.file, line, column };
  }

  get issues(): readonly PolicyIssue[] {
    return this.#issues;
  }

  get failed(): boolean {
    return this.#issues.some((issue) => issue.severity === 'error');
  }

  /** Past the bound only the first error is still taken, so that a flood of warnings cannot hide one. */
  #add(issue: PolicyIssue): void {
    if (this.#issues.length < POLICY_LIMITS.issues) this.#issues.push(issue);
    else if (issue.severity === 'error' && !this.failed) this.#issues.push(issue);
  }
}

/** `policy.yaml:4:5: error: message. Hint.` */
export function formatIssue({ severity, message, hint, at }: PolicyIssue): string {
  const place = at.line === 0 ? at.file : `${at.file}:${at.line}:${at.column}`;
  return `${place}: ${severity}: ${message}. ${hint}`;
}
