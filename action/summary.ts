/**
 * What a reviewer reads of a run or of a change of policy: denied first, how to allow it and what that opens, and what was held
 * back. The same for the job's summary and for the comment on a pull request. Pure.
 */
import { destinationOf } from './annotation.ts';
import type { HeldBack } from './handover.ts';
import { LIMITS } from './limits.ts';
import { block, code, folded, table } from './markdown.ts';
import type { CiReport, PolicyDiff, PolicyPatch } from './report.ts';

export interface StepResult {
  /** What people call the step; the command of a run, or null for a step of the job. */
  readonly title: string | null;
  readonly report: CiReport;
  readonly patch: PolicyPatch | null;
  readonly heldBack: readonly HeldBack[];
}

/** Each part has a share of what a summary may hold. */
const PART = LIMITS.summaryCharacters / 5;

export function summarizeRun({ title, report, patch, heldBack }: StepResult): string {
  const { denied, drift } = report;
  const name = title === null ? '' : ` ${code(title)}`;
  return [
    `### ${headline(denied.length, drift.length)}${name}\n\n`,
    deniedTable(report),
    driftList(report),
    patchOf(patch),
    heldBackTable(heldBack),
    `\nThe log of this run is ${code(report.run)}.\n`,
  ].join('');
}

function headline(denied: number, drift: number): string {
  const what = [
    ...(denied > 0 ? [`${counted(denied, 'destination')} denied`] : []),
    ...(drift > 0 ? [`${counted(drift, 'change')} against the baseline`] : []),
  ];
  return `${what.length === 0 ? '✅' : '⛔'} sand: ${what.length === 0 ? 'nothing was denied' : what.join(', ')}`;
}

export function deniedTable({ denied }: Pick<CiReport, 'denied'>): string {
  if (denied.length === 0) return '';
  const rows = denied.map((row) => [
    code(destinationOf(row)),
    String(row.count),
    code(row.reason),
    row.file === null ? '' : code(row.line === null ? row.file : `${row.file}:${row.line}`),
    row.suggestion === null ? '' : code(row.suggestion),
  ]);
  return `${table(['denied', 'times', 'why', 'rule', 'to allow it'], rows, PART)}\n`;
}

export function driftList({ drift }: Pick<CiReport, 'drift'>): string {
  if (drift.length === 0) return '';
  return `${table(
    ['drift from the baseline'],
    drift.map((text) => [code(text)]),
    PART,
  )}\n`;
}

export function patchOf(patch: PolicyPatch | null): string {
  if (patch === null || patch.patch === '') return '';
  const opens = table(
    ['what this opens'],
    patch.widens.map((text) => [code(text)]),
    PART,
  );
  return `To allow what was denied, after a look at what it opens:\n\n${block('diff', patch.patch, PART)}\n${opens}\n`;
}

export function heldBackTable(heldBack: readonly HeldBack[]): string {
  const rows = heldBack.map(({ file, what, why }) => [file, code(what), why]);
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
  const mark = widens > 0 ? '⚠️' : '✅';
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
  const title = `### ${mark} sand: the egress policy has ${counted(widens, 'widening')}, ${counted(narrows, 'narrowing')}\n\n`;
  return within(title, parts, LIMITS.summaryCharacters);
}

/** One job, many steps: those in which something was denied, the others counted. */
export function summarizeSteps(steps: readonly StepResult[], limit: number): string {
  const telling = steps.filter(({ report }) => report.denied.length > 0 || report.drift.length > 0);
  const quiet = steps.length - telling.length;
  const rest = quiet === 0 ? '' : `In ${counted(quiet, 'other step')} nothing was denied.\n`;
  return within('', [...telling.map(summarizeRun), rest], limit);
}

/** Parts are whole or left out: a part that is cut could leave its markup open. */
function within(head: string, parts: readonly string[], limit: number): string {
  let text = head;
  for (const part of parts) {
    if (text.length + part.length > limit - 100) return `${text}\nThere is more in the report.\n`;
    text += `${part}\n`;
  }
  return text;
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
