/** `sand audit diff`: what a later run used that an earlier one did not, and the other way round. */
import { readOverview } from '../../audit/overview.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { diffUsage, isSameUsage, type Use, usageOf } from '../../audit/usage.ts';
import { formatUsageDiff } from '../../audit/usage-text.ts';
import { type AuditOutput, chooseAudited, jsonLine, readingLog, signalOf } from './audit-output.ts';

export interface DiffOptions extends AuditOutput {
  readonly before: string;
  readonly after: string;
  /** Compare what the policies mute, too. */
  readonly all: boolean;
}

/** 1 where the two differ. Counts are no difference; bytes are one where they are ten times apart. */
export async function auditDiff(options: DiffOptions): Promise<number> {
  const before = await chooseAudited({ ...options, run: options.before });
  const after = await chooseAudited({ ...options, run: options.after });
  const diff = diffUsage(await usedBy(before, options), await usedBy(after, options));
  const isSame = isSameUsage(diff);
  if (options.json)
    options.write(jsonLine({ before: before.id, after: after.id, different: !isSame, ...diff }));
  else if (isSame) options.write(`${before.id} and ${after.id} used the same.\n`);
  else options.write(`from ${before.id} to ${after.id}\n${formatUsageDiff(diff, options.terminal)}`);
  return isSame ? 0 : 1;
}

async function usedBy(run: RunPlace, options: DiffOptions): Promise<readonly Use[]> {
  const read = { ...signalOf(options), muted: options.all };
  return usageOf((await readingLog(run, () => readOverview(run.auditPath, read))).rows);
}
