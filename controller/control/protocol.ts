/**
 * What is said at the control socket of a run: one line of JSON asks, one line answers. Decides which lines are
 * understood; sockets are `server.ts` and `client.ts`. Pure.
 */

export const CONTROL_LIMITS = {
  /** A question is a few words; what is longer is none. */
  requestBytes: 4_096,
  /** The longest answer is a full queue of questions, each bounded. */
  answerBytes: 256 * 1024,
  /** People with a terminal each. */
  connections: 16,
  /** A client that is connected and asks nothing. */
  idleMs: 60_000,
  /** The supervisor answers at once; on a loaded machine within seconds. */
  answerMs: 10_000,
} as const;

/** Linux keeps 108 bytes for the path of a socket, the last of them zero; see unix(7). */
export const SOCKET_PATH_BYTES = 107;

export type ControlRequest =
  /** Where the guest stands. */
  | { readonly do: 'phase' }
  /** Moves the guest on by one phase. */
  | { readonly do: 'phase-next' };

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
      return { do: value.do };
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

function parseObject(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}
