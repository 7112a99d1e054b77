/**
 * Follows a process that reports on descriptor 3 in the lines of entry.c, the helper among them, and joins its bytes to this
 * process's own. When it may be left alone and what a status means to the caller is decided there.
 */
import type { ChildProcess, StdioOptions } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { Failure } from '../../failure.ts';
import type { RunningProcess, Stdio } from '../runtime.ts';

/** What the tool grants to output after the end. */
const OUTPUT_MS = 3000;
/** Status of a process whose guest is gone. */
export const VANISHED = 255;

export function stdioFor({ isInteractive, isAttached }: Stdio, isTerminal: boolean): StdioOptions {
  const output = isAttached ? 'pipe' : 'ignore';
  return [isInteractive ? 'pipe' : 'ignore', output, output, 'pipe', isTerminal ? 'pipe' : 'ignore'];
}

/** Calls back for each line; resolves when there will be no more. */
export function readReport(child: ChildProcess, onLine: (word: string, rest: string) => void): Promise<void> {
  const report = child.stdio[3];
  let text = '';
  return new Promise((resolve) => {
    report?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const at = line.indexOf(' ');
        onLine(line.slice(0, at), line.slice(at + 1));
      }
    });
    report?.on('error', () => resolve());
    report?.on('close', () => resolve());
  });
}

/** Null for a line that tells of no failure. */
export function failureOf(word: string, rest: string): Failure | null {
  if (word === 'missing') return new Failure(`failed to find target executable ${rest}`);
  return word === 'failed' ? new Failure(rest) : null;
}

/** Resolves when the program runs, rejects with what hindered it. */
export function follow(
  child: ChildProcess,
  stdio: Stdio,
): Promise<RunningProcess & { readonly pid: number }> {
  return new Promise((resolve, reject) => {
    let pid = 0;
    let status: number | null = null;
    let output = Promise.resolve();
    const { promise: ended, resolve: end, reject: failEnd } = Promise.withResolvers<{ status: number }>();
    // Whoever does not attach does not wait for it.
    ended.catch(() => {});
    const closed = readReport(child, (word, rest) => {
      const failure = failureOf(word, rest);
      if (failure !== null) reject(failure);
      if (word === 'started') {
        pid = Number(rest);
        // Not before: who sees output may take it that signals are listened to.
        if (stdio.isAttached) output = passOn(child);
        resolve({ pid, ended, resize: (rows, columns) => resize(child, rows, columns) });
        if (stdio.isInteractive) passIn(child);
        if (!stdio.isAttached) leave(child);
      }
      if (word === 'exited') {
        status = Number(rest);
        endWith(status, output).then(end, failEnd);
      }
    });
    child.once('error', reject);
    closed.then(() => {
      if (pid === 0) reject(new Failure('the guest ended before it was started'));
      if (status === null) end({ status: VANISHED });
    });
  });
}

async function endWith(status: number, output: Promise<void>): Promise<{ status: number }> {
  const { promise: tooLong, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Failure('timeout waiting for the output of the process to end')),
    OUTPUT_MS,
  );
  try {
    await Promise.race([output, tooLong]);
  } finally {
    clearTimeout(timer);
  }
  return { status };
}

async function passOn(child: ChildProcess): Promise<void> {
  await Promise.all([copy(child.stdout, process.stdout), copy(child.stderr, process.stderr)]);
}

function copy(from: Readable | null, to: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (from === null) return resolve();
    // A reader that is gone does not end the guest's process.
    to.on('error', () => from.resume());
    from.pipe(to, { end: false });
    from.on('close', () => resolve());
  });
}

function passIn(child: ChildProcess): void {
  if (child.stdin === null) return;
  child.stdin.on('error', () => process.stdin.unpipe());
  process.stdin.pipe(child.stdin);
}

function leave(child: ChildProcess): void {
  child.unref();
  const report = child.stdio[3];
  if (report !== null && report !== undefined && 'unref' in report && typeof report.unref === 'function')
    report.unref();
}

function resize(child: ChildProcess, rows: number, columns: number): void {
  const control = child.stdio[4];
  if (control !== null && control !== undefined && 'write' in control) control.write(`${rows} ${columns}\n`);
}
