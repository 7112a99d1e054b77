/**
 * What is said at the control socket of a run: one line of JSON asks, one line answers. Decides which lines are
 * understood; sockets are `server.ts` and `client.ts`. Pure.
 */
import type { ProbeResult } from '../../audit/event.ts';
import { type AnswerKind, isAnswer } from '../ask/question.ts';

export const CONTROL_LIMITS = {
  /** The longest is a command with its arguments, of which a tenth of this is plenty. */
  requestBytes: 1024 * 1024,
  /** The longest answer is a guest's environment, which the kernel bounds by the length of arguments. */
  answerBytes: 4 * 1024 * 1024,
  /** People with a terminal each. */
  connections: 16,
  /** A client that is connected and asks nothing. */
  idleMs: 60_000,
  /** The supervisor answers at once; on a loaded machine within seconds. */
  answerMs: 10_000,
} as const;

/** A day: whoever wants longer does not stop the guest. */
export const LONGEST_GRACE_MS = 86_400_000;

/** Linux keeps 108 bytes for the path of a socket, macOS 104, the last of them zero; see unix(7) and unix(4). */
export const SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;

export type ControlRequest =
  /** Where the guest stands. */
  | { readonly do: 'phase' }
  /** Moves the guest on by one phase. */
  | { readonly do: 'phase-next' }
  /** The counters of the run, as text. */
  | { readonly do: 'metrics' }
  /** What waits for an answer. */
  | { readonly do: 'questions' }
  | { readonly do: 'answer'; readonly question: number; readonly answer: AnswerKind }
  /** What another process needs to run a command in the guest; answered once commands can run. */
  | { readonly do: 'guest' }
  /** Puts such a command on record with what was looked at in its place, before it runs. */
  | {
      readonly do: 'exec';
      readonly command: readonly string[];
      readonly probes: readonly ProbeResult[];
    }
  | { readonly do: 'exec-end'; readonly exec: number; readonly exitCode: number; readonly durationMs: number }
  /** Ends the guest; answered at once. */
  | { readonly do: 'stop'; readonly graceMs: number }
  /** Another policy from now on, named as with `--policy`. */
  | { readonly do: 'policy'; readonly policies: readonly string[] };

export type ControlAnswer =
  | { readonly ok: true; readonly value: unknown }
  /** `code` is one of the error catalogue. */
  | { readonly ok: false; readonly code: string; readonly message: string; readonly hint: string };

/** Null for everything that is not exactly a request. Survives any text. */
export function parseControlRequest(line: string): ControlRequest | null {
  const value = parseObject(line);
  switch (value?.do) {
    case 'phase':
    case 'phase-next':
    case 'questions':
    case 'metrics':
    case 'guest':
      return { do: value.do };
    case 'answer': {
      const { question, answer } = value;
      if (typeof question !== 'number' || !isAnswer(answer)) return null;
      return { do: 'answer', question, answer };
    }
    case 'exec': {
      const { command, probes } = value;
      return isTexts(command) && isProbes(probes) ? { do: 'exec', command, probes } : null;
    }
    case 'exec-end': {
      const { exec, exitCode, durationMs } = value;
      const isWhole = isCount(exec) && isCount(exitCode) && isCount(durationMs);
      return isWhole ? { do: 'exec-end', exec, exitCode, durationMs } : null;
    }
    case 'stop':
      return isCount(value.graceMs) && value.graceMs <= LONGEST_GRACE_MS
        ? { do: 'stop', graceMs: value.graceMs }
        : null;
    case 'policy':
      return isTexts(value.policies) ? { do: 'policy', policies: value.policies } : null;
    default:
      return null;
  }
}

/** Null for everything that is not an answer. Survives any text. */
export function parseControlAnswer(line: string): ControlAnswer | null {
  const value = parseObject(line);
  if (value?.ok === true) return { ok: true, value: value.value };
  if (value?.ok !== false) return null;
  const text = (field: unknown): string => (typeof field === 'string' ? field : '');
  return { ok: false, code: text(value.code), message: text(value.message), hint: text(value.hint) };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string');
}

function isProbes(value: unknown): value is readonly ProbeResult[] {
  return Array.isArray(value) && value.length > 0 && value.every(isProbe);
}

function isProbe(value: unknown): value is ProbeResult {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, name, passed, detail }: Partial<Record<string, unknown>> = { ...value };
  const isSaid = typeof name === 'string' && typeof detail === 'string';
  return kind === 'probe' && isSaid && typeof passed === 'boolean';
}

function parseObject(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}
