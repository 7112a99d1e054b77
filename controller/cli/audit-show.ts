/** `sand audit [RUN]` and `sand audit show`: one run, folded into rows, or its events one by one. */
import { PLAIN } from '../../audit/columns.ts';
import { escapeTerminal } from '../../audit/escape.ts';
import { formatRunHeader } from '../../audit/header.ts';
import { type Overview, readOverview } from '../../audit/overview.ts';
import { readAuditLog } from '../../audit/read.ts';
import type { RunPlace } from '../../audit/runs.ts';
import { type Criteria, EVERYTHING, type EventKind, Selection, selectsAll } from '../../audit/selection.ts';
import { formatInbound, formatTable } from '../../audit/table.ts';
import {
  type AuditedRun,
  type AuditOutput,
  chooseAudited,
  jsonLine,
  readingLog,
  signalOf,
  writeLine,
} from './audit-output.ts';

export interface ShowOptions extends AuditOutput, AuditedRun {
  /** Show what the policy mutes, too. */
  readonly all: boolean;
  readonly criteria?: Criteria;
  /** One line an event instead of rows. */
  readonly events?: boolean;
  /** One row a command line that asked. */
  readonly byProcess?: boolean;
}

const FOLDED: readonly EventKind[] = ['dns', 'connection', 'unplanted', 'inbound'];
/** So many events are written before what reads them is waited for. */
const DRAIN_EVERY = 256;

/** 1 when lines of the log are unreadable. Kinds that have no row are shown as events. */
export async function auditShow(options: ShowOptions): Promise<number> {
  const { criteria = EVERYTHING } = options;
  const run = await chooseAudited(options);
  const isFoldable = criteria.kinds.length === 0 || criteria.kinds.some((kind) => FOLDED.includes(kind));
  const show = options.events === true || !isFoldable ? showEvents : showRows;
  return readingLog(run, () => show(run, options, criteria));
}

async function showRows(run: RunPlace, options: ShowOptions, criteria: Criteria): Promise<number> {
  const { json, write, terminal = PLAIN } = options;
  const overview = await readOverview(run.auditPath, {
    ...signalOf(options),
    muted: options.all,
    criteria,
    byProcess: options.byProcess === true,
  });
  if (json) write(jsonLine({ run: run.id, ...overview }));
  else {
    const { start, end, phases } = overview;
    write(formatRunHeader({ run: run.id, start, end, begun: phases }, terminal));
    const tables = [formatTable(overview.rows, terminal), formatInbound(overview.inbound, terminal)];
    const shown = tables.filter((table) => table !== '');
    const nothing = selectsAll(criteria) ? 'No requests to show.\n' : 'No requests that fit to show.\n';
    write(`\n${shown.length === 0 ? nothing : shown.join('\n')}`);
    if (options.byProcess === true && overview.rows.every((row) => row.process === null))
      write('\nThe log does not say which processes asked.\n');
    write(formatFindings(overview, selectsAll(criteria)));
  }
  return overview.faultCount > 0 ? 1 : 0;
}

async function showEvents(run: RunPlace, options: ShowOptions, criteria: Criteria): Promise<number> {
  const selection = new Selection(criteria, 'by itself');
  let faults = 0;
  let written = 0;
  for await (const line of readAuditLog(run.auditPath, signalOf(options))) {
    if (!line.ok) faults += 1;
    if (line.ok && !selection.has(line.event)) continue;
    writeLine(line, options);
    written += 1;
    if (written % DRAIN_EVERY === 0) await options.drain?.();
  }
  if (written === 0 && !options.json) options.write('No events that fit.\n');
  return faults > 0 ? 1 : 0;
}

/** What stands under the table: mutes, lines that could not be read, and of a whole run its findings. */
function formatFindings(overview: Overview, isWhole: boolean): string {
  const { mutedCount, failedProbes, notices, noticeCount, faults, faultCount } = overview;
  const findings = [
    ...failedProbes.map((probe) => `probe failed: ${probe.name}: ${probe.detail}`),
    ...notices.map((notice) => `notice: ${notice.code}: ${notice.detail}`),
    ...moreOf(noticeCount - notices.length, 'notices'),
  ];
  const lines = [
    ...(mutedCount > 0 ? [`${mutedCount} muted, not shown (--all shows them)`] : []),
    ...(isWhole ? findings : []),
    ...faults.map((fault) => `line ${fault.line} is unreadable: ${fault.detail}`),
    ...moreOf(faultCount - faults.length, 'unreadable lines'),
  ];
  return lines.length === 0 ? '' : `\n${lines.map((line) => `${escapeTerminal(line)}\n`).join('')}`;
}

function moreOf(count: number, what: string): readonly string[] {
  return count > 0 ? [`and ${count} more ${what}`] : [];
}
