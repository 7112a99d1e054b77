/**
 * Writes the line that somebody said yes to into the policy file, its formatting and comments kept. Decides how a
 * file that a run uses is changed; which text comes out is `policies/edit/`'s.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { editPolicy } from '../../policies/edit/edit.ts';
import { POLICY_LIMITS } from '../../policies/limits.ts';
import type { Rule } from '../../policies/model.ts';
import { SandError } from '../errors.ts';

/**
 * Raises `policy-invalid` with the line to paste where the text cannot be changed, `file-invalid` where the file cannot.
 * `phase`: below its rules.
 */
export function writePolicyLine(path: string, rule: Rule, phase: string | null): void {
  // In place: a file that took its place by a rename would shed the mount that keeps a guest from writing it.
  const file = openPolicy(path);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > POLICY_LIMITS.fileBytes) throw new Error('it is no policy file');
    const { id, origin, ...content } = rule;
    const edited = editPolicy(readFileSync(file), path, {
      kind: 'add',
      rules: [content],
      ...(phase === null ? {} : { phase }),
    });
    if (!edited.ok) throw notWritten(path, edited.issues[0]?.message ?? 'it cannot be changed', edited.paste);
    if (!edited.changed) return;
    const bytes = Buffer.from(edited.text);
    const written = writeSync(file, bytes, 0, bytes.length, 0);
    if (written !== bytes.length) throw new Error('the disk is full');
    ftruncateSync(file, bytes.length);
  } catch (error) {
    throw error instanceof SandError ? error : unwritable(path, error);
  } finally {
    closeSync(file);
  }
}

function openPolicy(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw unwritable(path, error);
  }
}

function notWritten(path: string, why: string, paste: readonly string[]): SandError {
  const lines = paste.length === 0 ? 'write the rule by hand' : `write it by hand: ${paste.join(' ')}`;
  return new SandError('policy-invalid', `${path} was not changed: ${why}`, lines);
}

function unwritable(path: string, cause: unknown): SandError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SandError(
    'file-invalid',
    `${path} cannot be written: ${why}`,
    'answer for this run, or mend the file',
    {
      cause,
    },
  );
}
