/** An operational failure as a person and as a program reads it. Pure. */
import { escapeTerminal } from '../../audit/escape.ts';
import type { SandError } from '../errors.ts';

/** Two lines: what happened, with its code, and what to do. */
export function formatError(error: SandError): string {
  const message = error.message.split('\n').map(escapeTerminal).join('\n');
  return `sand: ${message} (${error.code})\n  do: ${escapeTerminal(error.hint)}\n`;
}

export function describeError(error: SandError) {
  return { code: error.code, message: error.message, hint: error.hint, details: error.details };
}
