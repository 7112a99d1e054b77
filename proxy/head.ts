/**
 * Reads one HTTP/1 request head, strictly: what two parsers could read in two ways is refused, never repaired.
 * Pure; which host is meant is decided in `request-target.ts`, what may be reached by the policy.
 */
import type { Reason } from '../policies/reasons.ts';
import { PROXY_BOUNDS } from './limits.ts';

export interface Field {
  /** As sent. */
  readonly name: string;
  /** Lower case. */
  readonly key: string;
  /** Without the white space around it; Latin-1, one character a byte. */
  readonly value: string;
}

/** How the body is delimited (RFC 9112 section 6). */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' };

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly version: '1.0' | '1.1';
  readonly fields: readonly Field[];
  /** The one Host field; null only in HTTP/1.0. */
  readonly host: string | null;
  readonly framing: Framing;
  /** Lower-case members of every Connection field. */
  readonly connection: ReadonlySet<string>;
  /** The client would send another request on this connection. HTTP/1.0 never does, for sand. */
  readonly persistent: boolean;
  readonly expectsContinue: boolean;
  readonly upgrade: 'websocket' | null;
}

/** Why a request is refused before anybody is asked about its host. */
export interface HeadFault {
  readonly status: number;
  readonly reason: Reason;
  /** A sentence for people; holds no text of the guest. */
  readonly detail: string;
}

export type HeadScan =
  | { readonly kind: 'more' }
  | { readonly kind: 'head'; readonly end: number }
  | { readonly kind: 'fault'; readonly fault: HeadFault };

const CR = 0x0d;
const LF = 0x0a;
const REQUEST_LINE = /^([A-Z][A-Z0-9_-]{0,31}) ([\x21-\x7e\x80-\xff]+) HTTP\/([0-9])\.([0-9])$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const DIGITS = /^[0-9]+$/;

/** A fault that is answered 400 request-malformed. */
export function malformed(detail: string, status = 400): HeadFault {
  return { status, reason: 'request-malformed', detail };
}

const NO_REQUEST_LINE = malformed('the request line is not METHOD TARGET HTTP/1.1');

function methodRefused(detail: string, status: number): HeadFault {
  return { status, reason: 'method-refused', detail };
}

/**
 * Looks for the end of a head in `bytes`, from `from` on (what an earlier scan has seen already). A bare CR,
 * a bare LF and NUL are faults as soon as they stand there, so that nobody waits for an end that never comes.
 */
export function scanHead(bytes: Buffer, from: number): HeadScan {
  const first = bytes[0];
  if (first !== undefined && (first < 0x41 || first > 0x5a)) {
    return { kind: 'fault', fault: malformed('the request does not start with a method in capitals') };
  }
  for (let i = from; i < bytes.length; i += 1) {
    const byte = bytes[i];
    const before = i > 0 ? bytes[i - 1] : undefined;
    if (byte === LF) {
      if (before !== CR) return { kind: 'fault', fault: malformed('a line ends in a bare LF') };
      if (isForeignLine(bytes, i)) return { kind: 'fault', fault: NO_REQUEST_LINE };
      if (i >= 3 && bytes[i - 2] === LF) return { kind: 'head', end: i + 1 };
    } else if (before === CR) {
      return { kind: 'fault', fault: malformed('a CR stands alone') };
    } else if (byte === 0) {
      return { kind: 'fault', fault: malformed('the head contains NUL') };
    }
  }
  return { kind: 'more' };
}

/** Told at once: a client of another protocol waits for an answer to its first line, and ends no head. */
function isForeignLine(bytes: Buffer, end: number): boolean {
  return bytes.indexOf(LF) === end && !REQUEST_LINE.test(bytes.toString('latin1', 0, end - 1));
}

export type HeadResult =
  | { readonly ok: true; readonly head: RequestHead }
  | { readonly ok: false; readonly fault: HeadFault; readonly method: string; readonly target: string };

/** Parses a head that `scanHead` has delimited, its empty line included. Takes any bytes; never throws. */
export function parseHead(bytes: Buffer): HeadResult {
  const lines = bytes.toString('latin1', 0, Math.max(0, bytes.length - 4)).split('\r\n');
  const line = REQUEST_LINE.exec(lines[0] ?? '');
  const method = line?.[1] ?? '';
  const target = line?.[2] ?? '';
  const refuse = (fault: HeadFault): HeadResult => ({ ok: false, fault, method, target });
  if (line === null) return refuse(NO_REQUEST_LINE);
  if (line[3] !== '1' || (line[4] !== '0' && line[4] !== '1')) {
    return refuse(malformed('only HTTP/1.0 and HTTP/1.1 are spoken here', 505));
  }
  const fields = parseFields(lines.slice(1));
  if (!Array.isArray(fields)) return refuse(fields);
  const rest = interpret(method, line[4] === '1' ? '1.1' : '1.0', fields);
  return 'reason' in rest ? refuse(rest) : { ok: true, head: { method, target, fields, ...rest } };
}

/** Field lines of a head or of trailers, without their line ends. */
export function parseFields(lines: readonly string[]): Field[] | HeadFault {
  if (lines.length > PROXY_BOUNDS.headFields) {
    return { status: 431, reason: 'limit-size', detail: 'the head has too many fields' };
  }
  const fields: Field[] = [];
  for (const line of lines) {
    if (line.startsWith(' ') || line.startsWith('\t')) return malformed('a header line is folded');
    const colon = line.indexOf(':');
    if (colon < 1) return malformed('a header line has no name');
    const name = line.slice(0, colon);
    if (/[ \t]$/.test(name)) return malformed('white space stands before a colon');
    // JavaScript objects have one field that is none.
    if (name === '__proto__') return malformed('a header has a name that headers do not have');
    if (!TOKEN.test(name)) return malformed('a header name has a character that names cannot have');
    const value = trimBlanks(line, colon + 1);
    if (!FIELD_VALUE.test(value)) return malformed('a header value has a control character');
    fields.push({ name, key: name.toLowerCase(), value });
  }
  return fields;
}

/** Linear, where a regular expression for both ends is quadratic in a run of blanks. */
function trimBlanks(line: string, from: number): string {
  const isBlank = (at: number) => line.charCodeAt(at) === 0x20 || line.charCodeAt(at) === 0x09;
  let start = from;
  let end = line.length;
  while (start < end && isBlank(start)) start += 1;
  while (end > start && isBlank(end - 1)) end -= 1;
  return line.slice(start, end);
}

type Interpretation = Omit<RequestHead, 'method' | 'target' | 'fields'>;

function interpret(
  method: string,
  version: '1.0' | '1.1',
  fields: readonly Field[],
): Interpretation | HeadFault {
  if (method === 'TRACE' || method === 'TRACK') {
    return methodRefused('TRACE would show the guest what sand adds', 405);
  }
  const host = readHost(version, fields);
  if (typeof host !== 'string' && host !== null) return host;
  const framing = readFraming(version, fields);
  if ('reason' in framing) return framing;
  if (method === 'CONNECT' && framing.kind !== 'none') return methodRefused('CONNECT has no body', 400);
  const connection = new Set(listMembers(fields, 'connection'));
  const upgrade = readUpgrade(method, version, framing, connection, fields);
  if (typeof upgrade !== 'string' && upgrade !== null) return upgrade;
  const expect = valuesOf(fields, 'expect');
  if (expect.some((value) => value.toLowerCase() !== '100-continue')) {
    return malformed('Expect may only ask for 100-continue', 417);
  }
  return {
    version,
    host,
    framing,
    connection,
    persistent: version === '1.1' && !connection.has('close'),
    expectsContinue: version === '1.1' && expect.length > 0 && framing.kind !== 'none',
    upgrade,
  };
}

function readHost(version: '1.0' | '1.1', fields: readonly Field[]): string | null | HeadFault {
  const hosts = valuesOf(fields, 'host');
  if (hosts.length > 1) return malformed('more than one Host field');
  const host = hosts[0];
  if (host !== undefined) return host;
  return version === '1.0' ? null : malformed('HTTP/1.1 without a Host field');
}

function readFraming(version: '1.0' | '1.1', fields: readonly Field[]): Framing | HeadFault {
  const lengths = valuesOf(fields, 'content-length');
  const codings = valuesOf(fields, 'transfer-encoding');
  if (lengths.length > 1) return malformed('more than one Content-Length field');
  if (codings.length > 0) {
    if (lengths.length > 0) return malformed('both Content-Length and Transfer-Encoding');
    if (version === '1.0') return malformed('Transfer-Encoding in HTTP/1.0');
    if (codings.length > 1) return malformed('more than one Transfer-Encoding field');
    if (codings[0]?.toLowerCase() === 'chunked') return { kind: 'chunked' };
    return malformed('a transfer coding other than chunked', 501);
  }
  const length = lengths[0];
  if (length === undefined) return { kind: 'none' };
  if (!DIGITS.test(length) || length.length > PROXY_BOUNDS.lengthDigits) {
    return malformed('Content-Length is not a plain number');
  }
  const bytes = Number(length);
  return bytes === 0 ? { kind: 'none' } : { kind: 'length', bytes };
}

/** An upgrade hands the connection to a protocol that sand does not read; only WebSocket is relayed. */
function readUpgrade(
  method: string,
  version: '1.0' | '1.1',
  framing: Framing,
  connection: ReadonlySet<string>,
  fields: readonly Field[],
): 'websocket' | null | HeadFault {
  const wanted = valuesOf(fields, 'upgrade');
  if (fields.some((field) => field.key === 'http2-settings')) {
    return methodRefused('an upgrade to h2c is not relayed', 501);
  }
  if (wanted.length === 0) return null;
  if (wanted.length > 1 || wanted[0]?.toLowerCase() !== 'websocket') {
    return methodRefused('only an upgrade to websocket is relayed', 501);
  }
  if (method !== 'GET' || version !== '1.1' || framing.kind !== 'none' || !connection.has('upgrade')) {
    return malformed('an upgrade to websocket is a GET in HTTP/1.1 with Connection: upgrade and no body');
  }
  return 'websocket';
}

function valuesOf(fields: readonly Field[], key: string): string[] {
  return fields.filter((field) => field.key === key).map((field) => field.value);
}

/** Members of a comma-separated list field, lower case, over all its lines. */
export function listMembers(fields: readonly Field[], key: string): string[] {
  return valuesOf(fields, key)
    .flatMap((value) => value.split(','))
    .map((member) => member.trim().toLowerCase())
    .filter((member) => member !== '');
}
