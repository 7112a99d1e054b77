/**
 * Checks that a log is what was written: every line there, in order, unchanged, and sealed. Names the first
 * line that breaks this. What it cannot show is in docs/audit.md: who can write the file can write it anew.
 */
import type { AuditEvent } from './event.ts';
import { FIRST_PREV, hashLine } from './line.ts';
import { type RawLine, readLineBatches } from './lines.ts';
import { type ReadOptions, readRawLine } from './read.ts';

export type ChainProblem =
  | 'torn'
  | 'unreadable'
  | 'newer-schema'
  | 'gap'
  | 'changed-before'
  | 'first-line-missing'
  | 'wrong-count'
  | 'after-seal';

export type Verification =
  | {
      readonly intact: true;
      readonly events: number;
      /** False: no run-end. The run still goes on or was killed, or the tail of the log was cut. */
      readonly ended: boolean;
    }
  | {
      readonly intact: false;
      /** From 1: the first line that does not fit. */
      readonly line: number;
      readonly problem: ChainProblem;
      readonly detail: string;
    };

interface ChainState {
  readonly events: number;
  readonly prev: string;
  readonly ended: boolean;
}

/** Rejects when the file cannot be read, or the signal aborts. */
export async function verifyAuditLog(path: string, options: ReadOptions = {}): Promise<Verification> {
  let state: ChainState = { events: 0, prev: FIRST_PREV, ended: false };
  for await (const batch of readLineBatches(path, options.signal)) {
    for (const raw of batch) {
      const next = linkOf(state, raw);
      if ('intact' in next) return next;
      state = next;
    }
  }
  return { intact: true, events: state.events, ended: state.ended };
}

function linkOf(state: ChainState, raw: RawLine): ChainState | Extract<Verification, { intact: false }> {
  const broken = (problem: ChainProblem, detail: string) =>
    ({ intact: false, line: raw.line, problem, detail }) as const;

  if (state.ended) return broken('after-seal', 'a line stands after the run-end line, which is the last');
  const read = readRawLine(raw);
  if (!read.ok) {
    const told = read.problem === 'torn' || read.problem === 'newer-schema';
    return broken(told ? read.problem : 'unreadable', read.detail);
  }
  const problem = problemOf(state, read.event);
  if (problem !== null) return broken(...problem);
  return {
    events: state.events + 1,
    prev: hashLine(raw.bytes ?? ''),
    ended: read.event.kind === 'run-end',
  };
}

function problemOf(state: ChainState, event: AuditEvent): readonly [ChainProblem, string] | null {
  const expected = state.events + 1;
  if (event.seq !== expected) {
    if (state.events === 0) return ['first-line-missing', `the log begins at event ${event.seq}, not at 1`];
    return ['gap', `event ${event.seq} stands where event ${expected} belongs`];
  }
  if (event.prev !== state.prev) {
    return ['changed-before', 'its prev is not the hash of the line before it: one of the two was changed'];
  }
  if (event.kind === 'run-end' && event.events !== state.events) {
    return ['wrong-count', `run-end counts ${event.events} events before it, there are ${state.events}`];
  }
  return null;
}
