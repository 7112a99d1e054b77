/**
 * What a reviewer reads of a run or of a change of policy: the report of `sand ci`, with the lines that allow what was denied and what
 * they open, and what was held back. The same for the job's summary and for the comment on a pull request. Pure.
 */
import type { HeldBack } from './handover.ts';
import { LIMITS } from './limits.ts';
import { code, folded, table } from './markdown.ts';
import type { CiReport, PolicyDiff } from './report.ts';

export interface StepResult {
  /** What people call the step; null where it needs no name. */
  readonly title: string | null;
  readonly report: CiReport;
  /** As `sand ci` writes it for such places: denied first, what was allowed folded, bounded. */
  readonly markdown: string;
  readonly heldBack: readonly HeldBack[];
}

/** Each part has a share of what a summary may hold. */
const PART = LIMITS.summaryCharacters / 6;

export function summarizeRun(result: StepResult, limit: number = LIMITS.summaryCharacters): string {
  const { title, markdown, heldBack } = result;
  const head = title === null ? '' : `## ${code(title)}\n\n`;
  return within(head, [markdown, heldBackTable(heldBack)], limit);
}

/** Whether there is something for a person to look at. */
export function isTelling({ report: { denied, drift, cuts } }: Pick<StepResult, 'report'>): boolean {
  return denied.length + drift.length + cuts.length > 0;
}

export function heldBackTable(heldBack: readonly HeldBack[]): string {
  const rows = heldBack.map(({ file, what, why }) => [file, code(what), code(why)]);
  const content = rows.length === 0 ? '' : table(['file', 'what', 'why'], rows, PART);
  return folded(
    `${counted(heldBack.length, 'thing')} held back that the guest wrote for later steps`,
    content,
  );
}

export interface DiffResult {
  readonly before: string;
  readonly after: string;
  readonly diff: PolicyDiff;
}

export function summarizeDiff(results: readonly DiffResult[]): string {
  const widens = results.reduce((sum, { diff }) => sum + diff.widens, 0);
  const narrows = results.reduce((sum, { diff }) => sum + diff.narrows, 0);
  const parts = results.map(({ before, after, diff }) => {
    const rows = diff.changes.map(({ direction, text, witness, file, line }) => [
      direction === 'widens' ? `**${direction}**` : code(direction),
      code(text),
      witness === null ? '' : code(witness),
      file === null ? '' : code(line === null ? file : `${file}:${line}`),
    ]);
    const changes =
      rows.length === 0
        ? 'No request is judged otherwise.\n'
        : table(['', 'change', 'a request that shows it', 'rule'], rows, PART * 2);
    return `${code(before)} → ${code(after)}\n\n${changes}`;
  });
  const title = `### sand: the egress policy has ${counted(widens, 'widening')}, ${counted(narrows, 'narrowing')}\n\n`;
  return within(title, parts, LIMITS.summaryCharacters);
}

/** One job, many steps: those in which something is to be seen, the others counted. */
export function summarizeSteps(steps: readonly StepResult[], limit: number): string {
  const telling = steps.filter(isTelling);
  const quiet = steps.length - telling.length;
  const rest = quiet === 0 ? '' : `In ${counted(quiet, 'other step')} nothing was denied.\n`;
  const runs = telling.map((step) => summarizeRun(step, limit / 2));
  return within('', [...runs, rest], limit);
}

/** A part is whole or left out: one that is cut could leave its markup open. */
function within(head: string, parts: readonly string[], limit: number): string {
  let text = head;
  let isWhole = true;
  for (const part of parts) {
    if (text.length + part.length > limit - 100) isWhole = false;
    else if (part !== '') text += `${part}\n`;
  }
  return isWhole ? text : `${text}There is more in the report.\n`;
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
