/**
 * Checks that a log is what was written: every line there, in order, unchanged, sealed, of this run, and with a key, signed
 * by it. Names the first line that breaks this. What it cannot show without a key is in docs/audit.md: who can write
 * the file can write it anew.
 */
import type { AuditEvent } from './event.ts';
import { FIRST_PREV, hashLine } from './line.ts';
import { type RawLine, readLineBatches } from './lines.ts';
import { type ReadOptions, readRawLine } from './read.ts';
import { listSegments } from './segments.ts';
import { isSignedBy, type VerifyingKey } from './signature.ts';

export type ChainProblem =
  | 'torn'
  | 'unreadable'
  | 'newer-schema'
  | 'gap'
  | 'changed-before'
  | 'first-line-missing'
  | 'wrong-count'
  | 'after-seal'
  | 'file-missing'
  | 'other-run'
  | 'not-signed'
  | 'other-key'
  | 'bad-signature';

export interface VerifyOptions extends ReadOptions {
  /** The run that the log is said to be of; absent: any. */
  readonly run?: string;
  /** Whose signature the log must have; absent: none is checked. */
  readonly key?: VerifyingKey;
}

export type Verification =
  | {
      readonly intact: true;
      readonly events: number;
      /** False: no run-end. The run still goes on or was killed, or the tail of the log was cut. */
      readonly ended: boolean;
      /** Fingerprint of the key that the log says it is signed with; null: it says none. */
      readonly key: string | null;
      /** Whether the signature was checked, and held. */
      readonly signed: boolean;
    }
  | {
      readonly intact: false;
      /** From 1 in its file: the first line that does not fit. */
      readonly line: number;
      /** Which file of the log, from 1. */
      readonly segment: number;
      readonly problem: ChainProblem;
      readonly detail: string;
    };

type Broken = Extract<Verification, { intact: false }>;
type Problem = readonly [ChainProblem, string];

interface ChainState {
  readonly events: number;
  readonly prev: string;
  readonly ended: boolean;
  /** What the first line says of it. */
  readonly key: string | null;
  readonly segment: number;
  readonly line: number;
}

const NOTHING_READ: ChainState = {
  events: 0,
  prev: FIRST_PREV,
  ended: false,
  key: null,
  segment: 1,
  line: 0,
};

/** Rejects when the file cannot be read, or the signal aborts. */
export async function verifyAuditLog(path: string, options: VerifyOptions = {}): Promise<Verification> {
  let state = NOTHING_READ;
  for await (const batch of readLineBatches(path, options.signal)) {
    for (const raw of batch) {
      const next = linkOf(state, raw, options);
      if ('intact' in next) return next;
      state = next;
    }
  }
  return endOf(state, await listSegments(path), options);
}

/** What no line shows by itself: files that are missing in between, and a signature that nothing holds. */
function endOf(state: ChainState, segments: readonly number[], { key }: VerifyOptions): Verification {
  const missing = state.segment + 1;
  if (segments.some((segment) => segment > missing)) {
    const detail = `file ${missing} of the log is missing`;
    return { intact: false, line: 1, segment: missing, problem: 'file-missing', detail };
  }
  if (key !== undefined && !state.ended) {
    const detail = 'the log has no seal, and so no signature';
    return { intact: false, line: state.line + 1, segment: state.segment, problem: 'not-signed', detail };
  }
  return {
    intact: true,
    events: state.events,
    ended: state.ended,
    key: state.key,
    signed: key !== undefined,
  };
}

function linkOf(state: ChainState, raw: RawLine, options: VerifyOptions): ChainState | Broken {
  const broken = ([problem, detail]: Problem): Broken => ({
    intact: false,
    line: raw.line,
    segment: raw.segment,
    problem,
    detail,
  });
  if (state.ended) return broken(['after-seal', 'a line stands after the run-end line, which is the last']);
  const read = readRawLine(raw);
  if (!read.ok) {
    const told = read.problem === 'torn' || read.problem === 'newer-schema';
    return broken([told ? read.problem : 'unreadable', read.detail]);
  }
  const { event } = read;
  const problem =
    placeProblem(state, event) ?? ownerProblem(event, options) ?? keyProblem(raw, event, options);
  if (problem !== null) return broken(problem);
  return {
    events: state.events + 1,
    prev: hashLine(raw.bytes ?? ''),
    ended: event.kind === 'run-end',
    key: event.kind === 'run-start' ? (event.key ?? null) : state.key,
    segment: raw.segment,
    line: raw.line,
  };
}

function placeProblem(state: ChainState, event: AuditEvent): Problem | null {
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

/** A whole log in the place of another one fits in itself. */
function ownerProblem(event: AuditEvent, { run }: VerifyOptions): Problem | null {
  if (run === undefined || event.kind !== 'run-start' || event.run === run) return null;
  return ['other-run', `it is the log of run ${event.run}`];
}

function keyProblem(raw: RawLine, event: AuditEvent, { key }: VerifyOptions): Problem | null {
  if (key === undefined) return null;
  if (event.kind === 'run-start') {
    if (event.key === undefined) return ['not-signed', 'the log says of itself that nothing signs it'];
    if (event.key === key.fingerprint) return null;
    return ['other-key', `it is signed with another key, ${event.key}`];
  }
  if (event.kind !== 'run-end') return null;
  if (event.signature === undefined) return ['not-signed', 'the seal has no signature'];
  // Fail closed: only what was signed over these very bytes counts.
  return raw.bytes !== null && isSignedBy(raw.bytes, key)
    ? null
    : ['bad-signature', 'the signature of the seal is not of this key over this log'];
}
