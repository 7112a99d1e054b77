/**
 * What the action itself cannot do: a code of sand's own catalogue, and what to do next. Its exit codes stand here, so that the
 * bundle does not change with every code that sand gets; a test holds the two together.
 */
import type { ErrorCode } from '../controller/errors.ts';

export const EXITS = {
  usage: 2,
  'policy-missing': 2,
  'policy-invalid': 2,
  'tool-missing': 125,
  'tool-failed': 125,
  'backend-unavailable': 125,
  internal: 125,
} as const satisfies Partial<Record<ErrorCode, number>>;

export type FailureCode = keyof typeof EXITS;

export class ActionFailure extends Error {
  readonly code: FailureCode;
  readonly hint: string;

  constructor(code: FailureCode, message: string, hint: string) {
    super(message);
    this.name = 'ActionFailure';
    this.code = code;
    this.hint = hint;
  }
}

/** For an annotation. What is no failure of the catalogue is a fault of the action. */
export function describeFailure(error: unknown): {
  readonly exit: number;
  readonly title: string;
  readonly message: string;
} {
  if (error instanceof ActionFailure) {
    const { code, message, hint } = error;
    return { exit: EXITS[code], title: `sand (${code})`, message: `${message}\n${hint}` };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { exit: EXITS.internal, title: 'sand (internal)', message };
}
