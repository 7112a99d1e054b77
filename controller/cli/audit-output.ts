/** What the commands of `sand audit` share: where they write, which run they read, and what a log that cannot be read means. */
import type { Terminal } from '../../audit/columns.ts';
import { readLogEnds } from '../../audit/ends.ts';
import { escapeJson, escapeTerminal } from '../../audit/escape.ts';
import type { AuditEvent } from '../../audit/event.ts';
import { formatEvent } from '../../audit/event-text.ts';
import type { ReadLine } from '../../audit/read.ts';
import { auditRoot, type Environment, listRuns, type RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { usage } from '../run/options.ts';
import { chooseRun } from './run-choice.ts';

export interface AuditOutput {
  readonly env: Environment;
  readonly write: (text: string) => void;
  readonly json: boolean;
  readonly terminal?: Terminal;
  readonly signal?: AbortSignal;
  /** Waits until what was written has gone, so that a slow reader costs no memory. */
  readonly drain?: () => Promise<void>;
}

export interface AuditedRun {
  /** A guest, a run id or its beginning; without it, the last run. */
  readonly run?: string | undefined;
  /** In place of a run: the last one of the guest of that name, removed or not. */
  readonly guest?: string | undefined;
}

/** Raises `run-missing`, `usage`. */
export async function chooseAudited(options: AuditOutput & AuditedRun): Promise<RunPlace> {
  const { env, run, guest } = options;
  if (guest === undefined) return chooseRun({ env, run });
  if (run !== undefined)
    throw usage('a run and --guest are two choices', 'write one of them: a run has one guest');
  const runs = await listRuns(auditRoot(env));
  for (const place of runs.toReversed()) if ((await guestOf(place)) === guest) return place;
  const hint = 'List the runs with their guests with `sand audit ls`.';
  throw new SandError('run-missing', `no run on record is of a guest named ${escapeTerminal(guest)}`, hint);
}

async function guestOf(run: RunPlace): Promise<string> {
  try {
    const { first } = await readLogEnds(run.auditPath);
    return first?.kind === 'run-start' ? (first.name ?? run.id) : run.id;
  } catch {
    return run.id;
  }
}

/** A log that cannot be opened or read at all is a broken log; a stop by the signal is passed on as it is. */
export async function readingLog<T>(run: RunPlace, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof SandError || (cause instanceof Error && cause.name === 'AbortError')) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SandError(
      'audit-broken',
      `the audit log of run ${run.id} cannot be read: ${why}`,
      'Look at the file and its mode; sand never moves a log by itself.',
      { details: { run: run.id, path: run.auditPath }, cause },
    );
  }
}

/** An event as a line of text or of JSON; a line that is none is told. */
export function writeLine(line: ReadLine, options: AuditOutput): void {
  if (options.json) options.write(jsonLine(line.ok ? line.event : { ...line }));
  else if (line.ok) options.write(formatEvent(line.event, options.terminal));
  else options.write(`line ${line.line}: ${escapeTerminal(line.detail)}\n`);
}

export function jsonLine(value: AuditEvent | object): string {
  return `${escapeJson(JSON.stringify(value))}\n`;
}

export function signalOf({ signal }: AuditOutput): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
