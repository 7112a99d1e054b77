/**
 * Relays one answer of an origin to the guest: its head without hop-by-hop fields, framed anew by what the
 * client speaks, its body at the client's pace. Judges nothing.
 */
import type { IncomingMessage } from 'node:http';
import { isTrailerField } from './body.ts';
import type { Flight } from './flight.ts';
import type { GuestConnection } from './guest.ts';

/** Fields that belong to one hop (RFC 9110 section 7.6.1, RFC 9112 section 9), and framing, which is ours. */
const HOP_BY_HOP = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export interface ResponseFacts {
  readonly status: number;
  readonly message: string;
  /** Names and values in turn, as received. */
  readonly rawHeaders: readonly string[];
  /** Of the request: a HEAD has no body, an HTTP/1.0 client knows no chunks. */
  readonly method: string;
  readonly version: '1.0' | '1.1';
  readonly keepAlive: boolean;
}

export interface ResponsePlan {
  readonly head: Buffer;
  readonly body: 'none' | 'plain' | 'chunked';
  /** Whether the client can tell the end of the body without the end of the connection. */
  readonly isDelimited: boolean;
}

/** Pure: the head that the guest gets, and how the body follows. */
export function planResponse(facts: ResponseFacts): ResponsePlan {
  const { status, rawHeaders } = facts;
  const hasBody = facts.method !== 'HEAD' && status >= 200 && status !== 204 && status !== 304;
  const lengths = valuesOf(rawHeaders, 'content-length');
  const isChunkedUpstream = valuesOf(rawHeaders, 'transfer-encoding').length > 0;
  const length = lengths.length === 1 && !isChunkedUpstream ? lengths[0] : undefined;
  const body = !hasBody ? 'none' : length !== undefined || facts.version === '1.0' ? 'plain' : 'chunked';
  const isDelimited = body !== 'plain' || length !== undefined;
  const lines = [`HTTP/1.1 ${status} ${FIELD_VALUE.test(facts.message) ? facts.message : ''}`];
  for (const [name, value] of endToEnd(rawHeaders)) lines.push(`${name}: ${value}`);
  if (length !== undefined && status !== 204) lines.push(`Content-Length: ${length}`);
  if (body === 'chunked') lines.push('Transfer-Encoding: chunked');
  lines.push(`Connection: ${facts.keepAlive && isDelimited ? 'keep-alive' : 'close'}`, '', '');
  return { head: Buffer.from(lines.join('\r\n'), 'latin1'), body, isDelimited };
}

/** An interim answer (RFC 9110 section 15.2) as it is passed on. */
export function formatInterim(status: number, message: string, rawHeaders: readonly string[]): Buffer {
  const lines = [`HTTP/1.1 ${status} ${FIELD_VALUE.test(message) ? message : ''}`];
  for (const [name, value] of endToEnd(rawHeaders)) lines.push(`${name}: ${value}`);
  return Buffer.from([...lines, '', ''].join('\r\n'), 'latin1');
}

/** The head of a switch to WebSocket. */
export function formatUpgrade(message: string, rawHeaders: readonly string[]): Buffer {
  const lines = [`HTTP/1.1 101 ${FIELD_VALUE.test(message) ? message : ''}`, 'Upgrade: websocket'];
  for (const [name, value] of endToEnd(rawHeaders)) lines.push(`${name}: ${value}`);
  return Buffer.from([...lines, 'Connection: Upgrade', '', ''].join('\r\n'), 'latin1');
}

function pairs(rawHeaders: readonly string[]): [name: string, value: string][] {
  const found: [string, string][] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    found.push([rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '']);
  return found;
}

function valuesOf(rawHeaders: readonly string[], key: string): string[] {
  return pairs(rawHeaders)
    .filter(([name]) => name.toLowerCase() === key)
    .map(([, value]) => value);
}

/** What is passed on: neither hop-by-hop, nor named in Connection, nor outside the grammar of a field. */
function endToEnd(rawHeaders: readonly string[]): [name: string, value: string][] {
  const named = new Set(
    valuesOf(rawHeaders, 'connection').flatMap((value) =>
      value.split(',').map((member) => member.trim().toLowerCase()),
    ),
  );
  return pairs(rawHeaders).filter(([name, value]) => {
    const key = name.toLowerCase();
    if (HOP_BY_HOP.has(key) || named.has(key)) return false;
    return FIELD_NAME.test(name) && FIELD_VALUE.test(value);
  });
}

function formatTrailers(rawTrailers: readonly string[]): string {
  return endToEnd(rawTrailers)
    .filter(([name]) => isTrailerField(name.toLowerCase()))
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

export interface RelayOptions {
  readonly turnBytes: number;
}

/**
 * Writes head and body; resolves to true once all of the answer is written, to false when the origin, the
 * guest or a limit ended it early: then the client must see a broken connection, since the head promised more.
 */
export function relayResponse(
  response: IncomingMessage,
  plan: ResponsePlan,
  guest: GuestConnection,
  flight: Flight,
  options: RelayOptions,
): Promise<boolean> {
  return new Promise((resolve) => {
    let turn = 0;
    let isBlocked = false;
    let isResting = false;
    const { socket } = guest;
    const flow = (): void => {
      if (!isBlocked && !isResting) response.resume();
    };
    const onDrain = (): void => {
      isBlocked = false;
      flow();
    };
    const settle = (isComplete: boolean): void => {
      socket.off('drain', onDrain);
      socket.off('close', onGone);
      resolve(isComplete);
    };
    const onGone = (): void => {
      response.destroy();
      settle(false);
    };
    socket.on('drain', onDrain);
    socket.on('close', onGone);
    response.on('error', () => {});
    response.on('close', () => settle(response.complete && response.readableEnded));
    if (socket.destroyed || !flight.count(0, plan.head.length)) {
      onGone();
      return;
    }
    // Head and first bytes leave in one write.
    socket.cork();
    let isCorked = true;
    const uncork = (): void => {
      if (isCorked) socket.uncork();
      isCorked = false;
    };
    setImmediate(uncork);
    guest.write(plan.head);
    response.on('data', (chunk: Buffer) => {
      if (plan.body === 'none' || chunk.length === 0 || !flight.count(0, chunk.length)) return;
      if (!writeChunk(guest, chunk, plan.body)) isBlocked = true;
      turn += chunk.length;
      if (turn >= options.turnBytes) {
        turn = 0;
        isResting = true;
        setImmediate(() => {
          isResting = false;
          flow();
        });
      }
      if (isBlocked || isResting) response.pause();
    });
    response.on('end', () => {
      if (response.complete && plan.body === 'chunked') {
        guest.write(Buffer.from(`0\r\n${formatTrailers(response.rawTrailers)}\r\n`, 'latin1'));
      }
      uncork();
      settle(response.complete);
    });
  });
}

function writeChunk(guest: GuestConnection, chunk: Buffer, body: 'plain' | 'chunked'): boolean {
  if (body === 'plain') return guest.write(chunk);
  const { socket } = guest;
  socket.cork();
  guest.write(Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1'));
  guest.write(chunk);
  const isFree = guest.write(Buffer.from('\r\n', 'latin1'));
  socket.uncork();
  return isFree;
}
