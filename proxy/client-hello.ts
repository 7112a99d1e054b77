/**
 * Reads a TLS ClientHello whole (RFC 8446 section 4.1.2) from the first bytes of a connection, over as many
 * records and segments as it comes in. Strict: what a server could read in another way is refused. Only
 * importer of read-tls-client-hello.
 */
import { Readable } from 'node:stream';
import { getExtensionData, readTlsClientHello } from 'read-tls-client-hello';
import { parseHost } from '../policies/hostname.ts';
import type { Hostname } from '../policies/model.ts';
import { PROXY_BOUNDS } from './limits.ts';

export interface ClientHello {
  /** The one outer server name; null where there is none. */
  readonly sni: Hostname | null;
  readonly alpn: readonly string[];
}

export type HelloStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'not-tls' }
  | { readonly kind: 'malformed'; readonly detail: string }
  /** The handshake message, put together; `used` bytes carried it. */
  | { readonly kind: 'whole'; readonly handshake: Buffer; readonly used: number };

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
/** RFC 8446 section 5.1 */
const LONGEST_FRAGMENT = 2 ** 14;
const SERVER_NAME = 0;
const ALPN = 16;

/** Joins the records that carry a ClientHello of at most `limit` bytes, and nothing else. */
export function joinRecords(bytes: Buffer, limit: number): HelloStep {
  if (bytes.length > 0 && bytes[0] !== HANDSHAKE_RECORD) return { kind: 'not-tls' };
  const fragments: Buffer[] = [];
  let held = 0;
  let wanted: number | null = null;
  let at = 0;
  for (;;) {
    const header = bytes.subarray(at, at + RECORD_HEADER);
    if (header.length > 0 && header[0] !== HANDSHAKE_RECORD) return broken('another record interrupts it');
    if (header.length > 1 && header[1] !== 3)
      return at === 0 ? { kind: 'not-tls' } : broken('its version is odd');
    if (header.length < RECORD_HEADER)
      return bytes.length > limit ? broken('it is too long') : { kind: 'more' };
    const length = header.readUInt16BE(3);
    if (fragments.length === PROXY_BOUNDS.helloRecords) return broken('it comes in too many records');
    if (length === 0 || length > LONGEST_FRAGMENT) return broken('a record has a length that TLS forbids');
    if (held + length > limit) return broken('it is too long');
    const fragment = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
    fragments.push(fragment);
    held += fragment.length;
    wanted ??= announcedLength(fragments, held);
    if (wanted === -1) return broken('the handshake does not begin with it');
    if (wanted !== null && wanted > limit) return broken('it is too long');
    if (fragment.length < length) return { kind: 'more' };
    at += RECORD_HEADER + length;
    if (wanted !== null && held > wanted) return broken('other data follows it in its record');
    if (wanted !== null && held === wanted) {
      return { kind: 'whole', handshake: Buffer.concat(fragments), used: at };
    }
  }
}

/** Length of the message with its header; -1 when it is no ClientHello; null while that cannot be told. */
function announcedLength(fragments: readonly Buffer[], held: number): number | null {
  if (held === 0) return null;
  const start = Buffer.concat(fragments, Math.min(held, MESSAGE_HEADER));
  if (start[0] !== CLIENT_HELLO) return -1;
  return start.length < MESSAGE_HEADER ? null : start.readUIntBE(1, 3) + MESSAGE_HEADER;
}

function broken(detail: string): HelloStep {
  return { kind: 'malformed', detail: `the ClientHello cannot be read whole: ${detail}` };
}

export type HelloResult =
  | { readonly ok: true; readonly hello: ClientHello }
  | { readonly ok: false; readonly detail: string };

/** Reads a message that `joinRecords` has put together. Takes any bytes; never rejects. */
export async function readClientHello(handshake: Buffer): Promise<HelloResult> {
  const walked = walkExtensions(handshake);
  if (typeof walked === 'string') return refuse(walked);
  const named = readServerName(walked.get(SERVER_NAME) ?? null);
  if (!named.ok) return named;
  let parsed: Awaited<ReturnType<typeof readTlsClientHello>>;
  try {
    // The library reads one record; the walk above has shown that nothing in it runs past its end.
    parsed = await readTlsClientHello(Readable.from([oneRecord(handshake)], { objectMode: false }));
  } catch {
    return refuse('it cannot be parsed');
  }
  const theirs = getExtensionData(parsed, 'server_name')?.serverName ?? null;
  // Fail closed: two readers that see two names are two servers that see two names.
  if (theirs !== named.text) return refuse('its server name reads in two ways');
  const protocols = getExtensionData(parsed, 'application_layer_protocol_negotiation')?.protocols ?? [];
  if (walked.has(ALPN) && protocols.length === 0) return refuse('its list of protocols is empty');
  return { ok: true, hello: { sni: named.name, alpn: protocols } };
}

function oneRecord(handshake: Buffer): Buffer {
  const header = Buffer.from([HANDSHAKE_RECORD, 3, 1, 0, 0]);
  header.writeUInt16BE(handshake.length, 3);
  return Buffer.concat([header, handshake]);
}

/** Extension bodies by id, once every length fits exactly; else what is wrong. */
function walkExtensions(handshake: Buffer): Map<number, Buffer> | string {
  let at = MESSAGE_HEADER + 2 + 32;
  const take = (width: number): Buffer | null => {
    const size = at + width <= handshake.length ? handshake.readUIntBE(at, width) : -1;
    const body = handshake.subarray(at + width, at + width + size);
    if (size < 0 || body.length < size) return null;
    at += width + size;
    return body;
  };
  if (handshake.length > 0xffff) return 'it is too long';
  const sessionId = take(1);
  const ciphers = take(2);
  const compression = take(1);
  if (sessionId === null || ciphers === null || compression === null) return 'its fields run past its end';
  if (ciphers.length === 0 || ciphers.length % 2 !== 0) return 'its cipher list is odd';
  const found = new Map<number, Buffer>();
  // TLS 1.2 lets a hello end here; then it has no server name either, and the library cannot read it.
  const extensions = take(2);
  if (extensions === null) return 'it has no extensions';
  if (at !== handshake.length) return 'data follows its extensions';
  for (let offset = 0; offset < extensions.length; ) {
    if (offset + 4 > extensions.length) return 'an extension runs past the end';
    const id = extensions.readUInt16BE(offset);
    const end = offset + 4 + extensions.readUInt16BE(offset + 2);
    if (end > extensions.length) return 'an extension runs past the end';
    if (found.has(id)) return 'an extension stands in it twice';
    found.set(id, extensions.subarray(offset + 4, end));
    offset = end;
  }
  return found;
}

type NameResult =
  | { readonly ok: true; readonly name: Hostname | null; readonly text: string | null }
  | { readonly ok: false; readonly detail: string };

/** RFC 6066 section 3: a list that holds exactly one name, of type host_name. */
function readServerName(body: Buffer | null): NameResult {
  if (body === null) return { ok: true, name: null, text: null };
  if (body.length < 5 || body.readUInt16BE(0) !== body.length - 2)
    return refuse('its server name list is broken');
  if (body[2] !== 0) return refuse('its server name is of an unknown type');
  if (body.readUInt16BE(3) !== body.length - 5) return refuse('it has more than one server name');
  const text = body.toString('latin1', 5);
  if (/[^\x21-\x7e]/.test(text)) return refuse('its server name is not ASCII');
  const host = parseHost(text);
  if (!host.ok) return refuse(`its server name cannot be read: ${host.reason}`);
  if (host.value.kind !== 'name') return refuse('its server name is an address');
  return { ok: true, name: host.value.name, text };
}

function refuse(detail: string): { readonly ok: false; readonly detail: string } {
  return { ok: false, detail: `the ClientHello cannot be read: ${detail}` };
}
