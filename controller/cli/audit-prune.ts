/** `sand audit prune`: removes whole runs that have ended, the oldest first, and says what went. */
import { auditRoot } from '../../audit/runs.ts';
import { formatBytes } from '../../audit/table.ts';
import { type EndedRun, planRemoval, removeLeftovers, removeRun, surveyRuns } from '../guests/run-removal.ts';
import { usage } from '../run/options.ts';
import { parseAge, parseSize } from './audit-flags.ts';
import { type AuditOutput, jsonLine } from './audit-output.ts';

export interface PruneOptions extends AuditOutput {
  readonly olderThan?: string | undefined;
  readonly maxSize?: string | undefined;
  readonly dryRun: boolean;
  readonly nowMs: number;
}

/** 1 where a run could not be removed, or more than the cap is left because what is left may not go. */
export async function auditPrune(options: PruneOptions): Promise<number> {
  const { olderThan, maxSize, dryRun, nowMs, json, write } = options;
  if (olderThan === undefined && maxSize === undefined)
    throw usage(
      'nothing says which runs may go',
      'write --older-than, --max-size or both: sand audit prune --older-than 30d',
    );
  const wish = {
    beforeMs: olderThan === undefined ? null : nowMs - parseAge('--older-than', olderThan),
    mostBytes: maxSize === undefined ? null : parseSize('--max-size', maxSize),
  };
  const root = auditRoot(options.env);
  if (!dryRun) await removeLeftovers(root);
  const runs = await surveyRuns(root, nowMs);
  const removed: EndedRun[] = [];
  const failed: { readonly run: string; readonly why: string }[] = [];
  for (const ended of planRemoval(runs, wish)) {
    const why = dryRun ? null : await removeRun(ended.run);
    if (why === null) removed.push(ended);
    else failed.push({ run: ended.run.id, why });
  }
  const bytes = sumOf(removed);
  const left = sumOf(runs.ended) + sumOf(runs.kept) - bytes;
  const isOver = wish.mostBytes !== null && left > wish.mostBytes;
  if (json) {
    const named = removed.map(({ run, bytes: size, endedMs }) => ({
      run: run.id,
      bytes: size,
      ended: new Date(endedMs).toISOString(),
    }));
    const kept = runs.kept.map(({ run, bytes: size, why }) => ({ run: run.id, bytes: size, why }));
    write(jsonLine({ dryRun, removed: named, bytes, leftBytes: left, over: isOver, kept, failed }));
  } else {
    for (const run of removed) write(describeRun(run));
    for (const { run, why } of failed) write(`${run}  not removed: ${why}\n`);
    const count = removed.length === 1 ? '1 run' : `${removed.length} runs`;
    const verb = dryRun ? 'would be removed' : 'removed';
    write(`${count} ${verb}, ${formatBytes(bytes)}; ${formatBytes(left)} left\n`);
    if (isOver) write(`that is more than ${maxSize}: what is left runs, or is a guest that is not removed\n`);
  }
  return failed.length > 0 || isOver ? 1 : 0;
}

function describeRun({ run, endedMs, bytes }: EndedRun): string {
  const ended = new Date(endedMs).toISOString().slice(0, 16).replace('T', ' ');
  return `${run.id}  ended ${ended}  ${formatBytes(bytes)}\n`;
}

function sumOf(runs: readonly { readonly bytes: number }[]): number {
  return runs.reduce((sum, { bytes }) => sum + bytes, 0);
}
