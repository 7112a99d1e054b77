/** An operational failure as a person and as a program reads it. Pure. */
import { escapeTerminal } from '../../audit/escape.ts';
import type { SandError } from '../errors.ts';

/** Two lines: what happened, with its code, and what to do. */
export function formatError(error: SandError): string {
  return `sand: ${escapeTerminal(error.message)} (${error.code})\n  do: ${escapeTerminal(error.hint)}\n`;
}

export function describeError(error: SandError) {
  return { code: error.code, message: error.message, hint: error.hint, details: error.details };
}
