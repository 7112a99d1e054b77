/**
 * The CONNECT that a parent proxy is sent, and what its answer means (RFC 9110 section 9.3.6). Pure. Takes any
 * bytes; repeats none of them, since a guest may read what comes of it.
 */
import { formatAuthority } from '../policies/hostname.ts';
import type { Authority } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { parseFields } from './head.ts';
import { PROXY_BOUNDS } from './limits.ts';

/** `authorization` is parsed: it holds no line end. */
export function formatConnect(target: Authority, authorization: string | null): Buffer {
  const named = formatAuthority(target);
  const lines = [`CONNECT ${named} HTTP/1.1`, `Host: ${named}`];
  if (authorization !== null) lines.push(`Proxy-Authorization: ${authorization}`);
  return Buffer.from([...lines, '', ''].join('\r\n'), 'latin1');
}

export type ConnectAnswer =
  | { readonly kind: 'more' }
  /** The tunnel's bytes begin at `end`. */
  | { readonly kind: 'accepted'; readonly end: number }
  | { readonly kind: 'refused'; readonly reason: Reason; readonly detail: string };

const PARENT = 'the parent proxy of the host';

export const CONNECT_FAULTS = {
  ended: `${PARENT} ended the connection without an answer`,
  late: `${PARENT} did not answer in time`,
  long: `${PARENT} answered with a head that is too long`,
  malformed: `${PARENT} answered with something that is no HTTP`,
  spokeFirst: `${PARENT} sent bytes that nobody asked for`,
  body: `${PARENT} accepted with a body, and a tunnel has none`,
} as const;

const START = 'HTTP/1.';
const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;

export function readConnectAnswer(bytes: Buffer): ConnectAnswer {
  const end = bytes.indexOf('\r\n\r\n');
  const text = bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
  const isForeign = !text.startsWith(START.slice(0, text.length)) || /(?:^|[^\r])\n/.test(text);
  if (isForeign) return refuse('upstream-failed', CONNECT_FAULTS.malformed);
  if ((end === -1 ? bytes.length : end) > PROXY_BOUNDS.parentHeadBytes) {
    return refuse('upstream-failed', CONNECT_FAULTS.long);
  }
  if (end === -1) return { kind: 'more' };
  const [line = '', ...rest] = text.split('\r\n');
  const status = Number(STATUS_LINE.exec(line)?.[1] ?? 0);
  const fields = parseFields(rest);
  if (status < 200 || !Array.isArray(fields)) return refuse('upstream-failed', CONNECT_FAULTS.malformed);
  if (status > 299) return refuse(...meaningOf(status));
  const claimsBody = fields.some(
    ({ key, value }) => key === 'transfer-encoding' || (key === 'content-length' && value !== '0'),
  );
  // The standard ignores such fields; a parent that means them would have its body read as the origin's bytes.
  if (claimsBody) return refuse('upstream-failed', CONNECT_FAULTS.body);
  return { kind: 'accepted', end: end + 4 };
}

function refuse(reason: Reason, detail: string): ConnectAnswer {
  return { kind: 'refused', reason, detail };
}

function meaningOf(status: number): [Reason, string] {
  switch (status) {
    case 407:
      return ['upstream-refused', `${PARENT} asks for credentials, or for others (407)`];
    case 403:
      return ['upstream-refused', `${PARENT} does not allow it (403)`];
    case 504:
      return ['upstream-timeout', `${PARENT} got no answer from there (504)`];
    case 502:
    case 503:
      return ['upstream-failed', `${PARENT} cannot reach it (${status})`];
    default:
      return ['upstream-refused', `${PARENT} answered ${status} to CONNECT`];
  }
}
