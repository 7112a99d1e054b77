/**
 * What sand's program in the place of softnet answers on its control socket: JSON-RPC, a message a line. The rules it is
 * given it only repeats: what a guest may reach is decided where its cable ends. Pure.
 */

/** The longest line that is read; no list of rules comes near. */
export const CONTROL_LINE_BYTES = 1024 * 1024;

export interface SoftnetPolicy {
  readonly allow: readonly string[];
  readonly block: readonly string[];
  readonly revision: string;
}

export const FIRST_POLICY: SoftnetPolicy = { allow: [], block: [], revision: '0' };

const ERROR = {
  parse: { code: -32_700, message: 'Parse error' },
  request: { code: -32_600, message: 'Invalid Request' },
  method: { code: -32_601, message: 'Method not found' },
  params: { code: -32_602, message: 'Invalid params' },
} as const;

/** The policy from now on, and the line that goes back; null for a notification. */
export function answerControl(
  line: string,
  policy: SoftnetPolicy,
): { readonly policy: SoftnetPolicy; readonly answer: string | null } {
  const request = parseRequest(line);
  if (request === null) return { policy, answer: encode(null, { error: ERROR.parse }) };
  const { id, method, params } = request;
  const say = (body: object, next = policy) => ({
    policy: next,
    answer: id === undefined ? null : encode(id, body),
  });
  if (typeof method !== 'string') return say({ error: ERROR.request });
  switch (method) {
    case 'softnet.policy.get':
      return say({ result: policy });
    case 'softnet.policy.set': {
      const next = parsePolicy(params, policy);
      return next === null ? say({ error: ERROR.params }) : say({ result: next }, next);
    }
    default:
      return say({ error: ERROR.method });
  }
}

interface ControlRequest {
  readonly id: string | number | null | undefined;
  readonly method: unknown;
  readonly params: unknown;
}

function parseRequest(line: string): ControlRequest | null {
  let read: unknown;
  try {
    read = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read))
    return { id: null, method: undefined, params: undefined };
  const { id, method, params } = read as Record<string, unknown>;
  const isId = id === undefined || id === null || typeof id === 'string' || typeof id === 'number';
  return { id: isId ? id : null, method, params };
}

function parsePolicy(params: unknown, last: SoftnetPolicy): SoftnetPolicy | null {
  if (typeof params !== 'object' || params === null) return null;
  const { allow = [], block = [], desiredRevision } = params as Record<string, unknown>;
  if (!isRules(allow) || !isRules(block)) return null;
  const isRevision = typeof desiredRevision === 'string' || desiredRevision === undefined;
  if (!isRevision) return null;
  return { allow, block, revision: desiredRevision ?? String(Number(last.revision) + 1) };
}

function isRules(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((rule) => typeof rule === 'string');
}

function encode(id: string | number | null, body: object): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, ...body })}\n`;
}
