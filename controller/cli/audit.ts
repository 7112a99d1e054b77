/**
 * `sand audit show | tail | verify | ls`: finds the run, reads its log and prints. Decides exit codes; what is
 * in a log and how it looks is decided in `audit/`.
 */
import { basename } from 'node:path';
import { type Column, formatColumns, PLAIN, type Terminal } from '../../audit/columns.ts';
import { readLogEnds } from '../../audit/ends.ts';
import { escapeJson, escapeTerminal } from '../../audit/escape.ts';
import type { AuditEvent } from '../../audit/event.ts';
import { formatEvent } from '../../audit/event-text.ts';
import { type FollowStep, followAuditLog } from '../../audit/follow.ts';
import { formatRunHeader, UNSEALED } from '../../audit/header.ts';
import { FOLLOW_LIMITS, RUNS_LIMITS } from '../../audit/limits.ts';
import { type Overview, readOverview } from '../../audit/overview.ts';
import { type ReadLine, readAuditLog } from '../../audit/read.ts';
import { auditRoot, type Environment, listRuns, type RunPlace } from '../../audit/runs.ts';
import { segmentPath } from '../../audit/segments.ts';
import { formatTable } from '../../audit/table.ts';
import { type Verification, verifyAuditLog } from '../../audit/verify.ts';
import { SandError } from '../errors.ts';
import { readVerifyingKey } from '../run/audit-key.ts';
import { workingFolder } from '../run/workspace.ts';
import { chooseRun } from './run-choice.ts';

export interface AuditOutput {
  readonly env: Environment;
  readonly write: (text: string) => void;
  readonly json: boolean;
  readonly terminal?: Terminal;
  readonly signal?: AbortSignal;
}

export interface RunChoice {
  /** A run id or its beginning; without it, the last run. */
  readonly run?: string | undefined;
}

/** The run as a table. 1 when lines of the log are unreadable. `all` shows what the policy mutes, too. */
export async function auditShow(
  options: AuditOutput & RunChoice & { readonly all: boolean },
): Promise<number> {
  const { json, write, terminal = PLAIN } = options;
  const run = await chooseRun(options);
  const overview = await readingLog(run, () =>
    readOverview(run.auditPath, { ...signalOf(options), muted: options.all }),
  );
  if (json) {
    write(jsonLine({ run: run.id, ...overview }));
  } else {
    write(
      formatRunHeader(
        { run: run.id, start: overview.start, end: overview.end, begun: overview.phases },
        terminal,
      ),
    );
    const table = formatTable(overview.rows, terminal);
    write(`\n${table === '' ? 'No requests to show.\n' : table}`);
    write(formatFindings(overview));
  }
  return overview.faultCount > 0 ? 1 : 0;
}

export interface TailOptions extends AuditOutput, RunChoice {
  readonly follow: boolean;
  /** Whether that run's supervisor still lives; ends the following of a log that will get no seal. */
  readonly alive?: (run: RunPlace) => boolean;
}

/**
 * The last events, and with `follow` every later one up to the seal or the signal. 1 when lines were
 * unreadable or the run ended without its seal.
 */
export async function auditTail(options: TailOptions): Promise<number> {
  const run = await chooseRun(options);
  return readingLog(run, () => (options.follow ? followRun(run, options) : showLast(run, options)));
}

/**
 * Whether the log is what was written: 0 intact and sealed, and with `key` signed by that; 1 broken, without its seal, or
 * not signed so.
 */
export async function auditVerify(
  options: AuditOutput & RunChoice & { readonly key?: string },
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

/** The newest runs, oldest first. */
export async function auditList(options: AuditOutput): Promise<number> {
  const runs = (await listRuns(auditRoot(options.env))).slice(-RUNS_LIMITS.shown);
  const listed: ListedRun[] = [];
  for (const run of runs) listed.push(await listedRun(run));
  if (options.json) {
    for (const run of listed) options.write(jsonLine(run));
  } else {
    const table = formatColumns(LIST_COLUMNS, listed, options.terminal ?? PLAIN);
    options.write(table === '' ? 'No runs yet.\n' : table);
  }
  return 0;
}

interface ListedRun {
  readonly run: string;
  readonly started: string | null;
  readonly policy: string | null;
  readonly mode: string | null;
  /** Null where the log has no seal. */
  readonly exitCode: number | null;
  readonly events: number | null;
  readonly command: readonly string[];
}

const LIST_COLUMNS: readonly Column<ListedRun>[] = [
  { title: 'RUN', align: 'left', cell: (run) => run.run },
  {
    title: 'POLICY',
    align: 'left',
    cell: (run) => run.policy ?? '-',
    cut: { keep: 'start', least: 8, weight: 1 },
  },
  { title: 'MODE', align: 'left', cell: (run) => run.mode ?? '-' },
  {
    title: 'EXIT',
    align: 'right',
    cell: (run) => (run.exitCode === null ? 'no seal' : String(run.exitCode)),
  },
  { title: 'EVENTS', align: 'right', cell: (run) => (run.events === null ? '-' : String(run.events)) },
  {
    title: 'COMMAND',
    align: 'left',
    cell: (run) => run.command.join(' '),
    cut: { keep: 'start', least: 10, weight: 2 },
  },
];

async function listedRun(run: RunPlace): Promise<ListedRun> {
  const { first, last } = await readEndsOrNothing(run);
  const start = first?.kind === 'run-start' ? first : null;
  return {
    run: run.id,
    started: start?.time ?? null,
    policy: start?.policy.name ?? null,
    mode: start?.policy.mode ?? null,
    exitCode: last?.kind === 'run-end' ? last.exitCode : null,
    events: last?.seq ?? null,
    command: start?.command ?? [],
  };
}

/** A run without a readable log is listed all the same: `sand audit show` says what is wrong with it. */
async function readEndsOrNothing(run: RunPlace): ReturnType<typeof readLogEnds> {
  try {
    return await readLogEnds(run.auditPath);
  } catch {
    return { first: null, last: null };
  }
}

/** A log that cannot be opened or read at all is a broken log; a stop by the signal is passed on as it is. */
async function readingLog<T>(run: RunPlace, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof SandError || (cause instanceof Error && cause.name === 'AbortError')) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SandError(
      'audit-broken',
      `the audit log of run ${run.id} cannot be read: ${why}`,
      'Look at the file and its mode; sand never removes or moves a log by itself.',
      { details: { run: run.id, path: run.auditPath }, cause },
    );
  }
}

async function showLast(run: RunPlace, options: TailOptions): Promise<number> {
  const last: ReadLine[] = [];
  let faults = 0;
  for await (const line of readAuditLog(run.auditPath, signalOf(options))) {
    if (!line.ok) faults += 1;
    last.push(line);
    if (last.length > FOLLOW_LIMITS.events) last.shift();
  }
  for (const line of last) writeLine(line, options);
  return faults > 0 ? 1 : 0;
}

async function followRun(run: RunPlace, options: TailOptions): Promise<number> {
  let before: ReadLine[] | null = [];
  let faults = 0;
  const { alive } = options;
  const follow = { ...signalOf(options), ...(alive === undefined ? {} : { alive: () => alive(run) }) };
  for await (const step of followAuditLog(run.auditPath, follow)) {
    if (step.kind === 'lines') {
      faults += step.lines.filter((line) => !line.ok).length;
      if (before === null) for (const line of step.lines) writeLine(line, options);
      else before = [...before, ...step.lines].slice(-FOLLOW_LIMITS.events);
      continue;
    }
    for (const line of before ?? []) writeLine(line, options);
    before = null;
    if (step.kind !== 'caught-up') return endOfFollowing(run, step, options) || Number(faults > 0);
  }
  return faults > 0 ? 1 : 0;
}

function endOfFollowing(
  run: RunPlace,
  step: Exclude<FollowStep, { kind: 'lines' | 'caught-up' }>,
  options: TailOptions,
): number {
  switch (step.kind) {
    case 'sealed':
      return 0;
    case 'abandoned':
      if (step.torn !== null) writeLine(step.torn, options);
      if (!options.json) options.write(`run ${run.id}: ${UNSEALED}\n`);
      return 1;
    case 'shortened': {
      const hint = `Run \`sand audit verify ${run.id}\`.`;
      throw new SandError('audit-broken', `the audit log of run ${run.id} was cut while it was read`, hint);
    }
  }
}

function writeLine(line: ReadLine, options: AuditOutput): void {
  if (options.json) options.write(jsonLine(line.ok ? line.event : { ...line }));
  else if (line.ok) options.write(formatEvent(line.event, options.terminal ?? PLAIN));
  else options.write(`line ${line.line}: ${escapeTerminal(line.detail)}\n`);
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

/** What stands under the table: mutes, findings, and lines that could not be read. */
function formatFindings(overview: Overview): string {
  const { mutedCount, failedProbes, notices, noticeCount, faults, faultCount } = overview;
  const lines = [
    ...(mutedCount > 0 ? [`${mutedCount} muted, not shown (--all shows them)`] : []),
    ...failedProbes.map((probe) => `probe failed: ${probe.name}: ${probe.detail}`),
    ...notices.map((notice) => `notice: ${notice.code}: ${notice.detail}`),
    ...moreOf(noticeCount - notices.length, 'notices'),
    ...faults.map((fault) => `line ${fault.line} is unreadable: ${fault.detail}`),
    ...moreOf(faultCount - faults.length, 'unreadable lines'),
  ];
  return lines.length === 0 ? '' : `\n${lines.map((line) => `${escapeTerminal(line)}\n`).join('')}`;
}

function moreOf(count: number, what: string): readonly string[] {
  return count > 0 ? [`and ${count} more ${what}`] : [];
}

function jsonLine(value: AuditEvent | object): string {
  return `${escapeJson(JSON.stringify(value))}\n`;
}

function signalOf(options: AuditOutput): { readonly signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}
