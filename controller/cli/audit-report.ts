/**
 * `sand audit report`: finds the runs, reads their logs and writes the report as a whole file or not at all. What is
 * in a report is decided in `audit/page/`.
 */
import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { escapeTerminal } from '../../audit/escape.ts';
import { loadAssets } from '../../audit/page/assets.ts';
import { PAGE_LIMITS } from '../../audit/page/limits.ts';
import { readPage } from '../../audit/page/read.ts';
import { renderPage } from '../../audit/page/render.ts';
import type { Environment, RunPlace } from '../../audit/runs.ts';
import { SandError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { chooseRun } from './run-choice.ts';

export interface AuditContext {
  readonly env: Environment;
  readonly write: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface ReportFlags {
  /** A file, or `-` for stdout. */
  readonly html?: string;
  readonly force: boolean;
}

export interface ReportOptions extends AuditContext, ReportFlags {
  /** Run ids or their beginnings; none: the last run. */
  readonly runs: readonly string[];
}

/** 1 when a log is broken or has no seal; the report is written and says so. */
export async function auditReport(options: ReportOptions): Promise<number> {
  const { html, write } = options;
  if (html === undefined || html === '') {
    throw new SandError('usage', 'a report wants a file', 'write --html FILE, or --html - for stdout');
  }
  // Before a million events are read.
  if (html !== '-') refuseTarget(html, options.force);
  const runs = await chooseRuns(options);
  const [{ summary, events }, assets] = await Promise.all([
    readingLogs(runs, () =>
      readPage(runs, {
        sand: VERSION,
        madeAt: new Date().toISOString(),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      }),
    ),
    loadAssets('report'),
  ]);
  const pieces = renderPage({ summary, events, assets });
  if (html === '-') for (const piece of pieces) write(piece);
  else {
    writeWhole(html, pieces, options.force);
    const told = runs.length === 1 ? `run ${runs[0]?.id}` : `${runs.length} runs`;
    write(
      `${escapeTerminal(html)}: ${told}, ${summary.totalEvents} events, ${summary.totals.denied} denied\n`,
    );
  }
  return summary.runs.some(({ chain }) => chain.state !== 'sealed') ? 1 : 0;
}

async function chooseRuns({ env, runs }: ReportOptions): Promise<readonly RunPlace[]> {
  if (runs.length > PAGE_LIMITS.runs) {
    const what = `a report holds ${PAGE_LIMITS.runs} runs, and these are ${runs.length}`;
    throw new SandError('usage', what, 'name fewer runs');
  }
  const found = new Map<string, RunPlace>();
  for (const run of runs.length === 0 ? [undefined] : runs) {
    const place = await chooseRun({ env, run });
    found.set(place.id, place);
  }
  return [...found.values()];
}

async function readingLogs<T>(runs: readonly RunPlace[], read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof SandError || (cause instanceof Error && cause.name === 'AbortError')) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const of = runs.length === 1 ? `run ${runs[0]?.id}` : 'these runs';
    throw new SandError(
      'audit-broken',
      `the audit log of ${of} cannot be read: ${why}`,
      'Look at the file and its mode; sand never removes or moves a log by itself.',
      { cause },
    );
  }
}

/** Fail closed: what is no ordinary file is never replaced, and an ordinary one only when that is asked for. */
function refuseTarget(path: string, force: boolean): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isFile()) throw unwritable(path, 'is no ordinary file', 'name another file, or - for stdout');
  if (!force) throw isThere(path);
}

/** A log is its owner's alone, and so is what is made of it. */
const MODE = 0o600;

/** At every moment there is no file, the old one, or the whole new one. */
function writeWhole(path: string, pieces: Iterable<string>, force: boolean): void {
  const fresh = `${path}.${process.pid}.new`;
  try {
    // Exclusive, so that nobody's link is written through.
    const descriptor = openSync(fresh, 'wx', MODE);
    try {
      for (const piece of pieces) writeAll(descriptor, Buffer.from(piece));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (force) renameSync(fresh, path);
    // Unlike a rename, a link never replaces what has come there meanwhile.
    else linkSync(fresh, path);
  } catch (error) {
    const code = error instanceof Error ? String(Reflect.get(error, 'code') ?? error.message) : '';
    if (code === 'EEXIST') throw isThere(path);
    throw unwritable(path, `cannot be written: ${code}`, 'mend its folder, or name another file', error);
  } finally {
    rmSync(fresh, { force: true });
  }
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}

function isThere(path: string): SandError {
  return unwritable(
    path,
    'is there already, and is left as it is',
    'name another file, or replace it with --force',
  );
}

function unwritable(path: string, what: string, hint: string, cause?: unknown): SandError {
  return new SandError('file-invalid', `${escapeTerminal(path)} ${what}`, hint, { cause });
}
