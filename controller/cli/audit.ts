/** `sand audit verify`: whether a log is what was written. What that means is decided in `audit/`. */
import { basename } from 'node:path';
import { escapeTerminal } from '../../audit/escape.ts';
import { UNSEALED } from '../../audit/header.ts';
import { segmentPath } from '../../audit/segments.ts';
import { type Verification, verifyAuditLog } from '../../audit/verify.ts';
import { readVerifyingKey } from '../run/audit-key.ts';
import { workingFolder } from '../run/workspace.ts';
import { type AuditedRun, type AuditOutput, jsonLine, readingLog, signalOf } from './audit-output.ts';
import { chooseRun } from './run-choice.ts';

/**
 * Whether the log is what was written: 0 intact and sealed, and with `key` signed by that; 1 broken, without its seal, or
 * not signed so.
 */
export async function auditVerify(
  options: AuditOutput & AuditedRun & { readonly key?: string },
): Promise<number> {
  const run = await chooseRun(options);
  const key = options.key === undefined ? {} : { key: readVerifyingKey(options.key, workingFolder()) };
  const found = await readingLog(run, () =>
    verifyAuditLog(run.auditPath, { ...signalOf(options), ...key, run: run.id }),
  );
  options.write(
    options.json
      ? jsonLine({ run: run.id, ...found })
      : `run ${run.id}: ${describeVerification(found, run.auditPath)}\n`,
  );
  return found.intact && found.ended ? 0 : 1;
}

function describeVerification(found: Verification, path: string): string {
  if (!found.intact) return `broken at ${placeOf(found, path)}: ${escapeTerminal(found.detail)}`;
  const events = found.events === 1 ? '1 event' : `${found.events} events`;
  if (!found.ended) return `${events} intact, but ${UNSEALED}`;
  const sealed = `intact, ${events}, sealed`;
  if (found.signed) return `${sealed}, signed by this key`;
  return found.key === null ? sealed : `${sealed}, signed by ${found.key}: check it with --key FILE`;
}

/** The first file of a log needs no name. */
function placeOf(found: Extract<Verification, { intact: false }>, path: string): string {
  const { line, segment } = found;
  return segment === 1 ? `line ${line}` : `line ${line} of ${basename(segmentPath(path, segment))}`;
}
