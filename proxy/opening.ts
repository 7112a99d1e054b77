/**
 * Looks at the first bytes of a connection: which protocol a client speaks, and its TLS ClientHello. Bounded in
 * bytes and time; takes nothing out of the reader and judges no name.
 */
import type { Reason } from '../policies/reasons.ts';
import type { ClientHello } from './client-hello.ts';
import type { GuestConnection } from './guest.ts';
import type { ProxyLimits } from './limits.ts';
import type { Parts } from './parts.ts';

/** `silent`: the client ended without a byte; `late`: it sent none in time. */
export type Spoken = 'tls' | 'http' | 'other' | 'silent' | 'late';

const TLS_HANDSHAKE = 0x16;
const METHODS = [
  'CONNECT ',
  'DELETE ',
  'GET ',
  'HEAD ',
  'OPTIONS ',
  'PATCH ',
  'POST ',
  'PROPFIND ',
  'PUT ',
  'TRACE ',
];

/** What the bytes so far show; null when they could still become HTTP. Pure. */
export function recognise(bytes: Buffer): 'tls' | 'http' | 'other' | null {
  if (bytes[0] === TLS_HANDSHAKE) return 'tls';
  const start = bytes.toString('latin1', 0, 9);
  if (METHODS.some((method) => start.startsWith(method))) return 'http';
  return METHODS.some((method) => method.startsWith(start)) ? null : 'other';
}

/** Waits for enough bytes to tell. */
export async function awaitSpoken(guest: GuestConnection, timeoutMs: number): Promise<Spoken> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const held = guest.reader.bytes;
    const spoken = held.length === 0 ? null : recognise(held);
    if (spoken !== null) return spoken;
    const wait = await guest.reader.more(held.length, Math.max(0, deadline - performance.now()));
    if (wait === 'bytes') continue;
    if (held.length > 0) return 'other';
    return wait === 'end' ? 'silent' : 'late';
  }
}

export type HelloRead =
  | { readonly ok: true; readonly hello: ClientHello }
  | {
      readonly ok: false;
      readonly reason: Extract<Reason, 'tls-expected' | 'tls-malformed' | 'limit-time'>;
      readonly detail: string;
    };

/** Waits for a whole ClientHello; its bytes stay in the reader, to be sent on as they came. */
export async function awaitHello(
  parts: Parts,
  guest: GuestConnection,
  limits: Pick<ProxyLimits, 'clientHelloBytes'>,
  timeoutMs: number,
): Promise<HelloRead> {
  const { joinRecords, readClientHello } = await parts.hello();
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const held = guest.reader.bytes;
    const step = joinRecords(held, limits.clientHelloBytes);
    if (step.kind === 'not-tls')
      return { ok: false, reason: 'tls-expected', detail: 'the bytes are not TLS' };
    if (step.kind === 'malformed') return { ok: false, reason: 'tls-malformed', detail: step.detail };
    if (step.kind === 'whole') {
      const read = await readClientHello(step.handshake);
      return read.ok ? read : { ok: false, reason: 'tls-malformed', detail: read.detail };
    }
    const wait = await guest.reader.more(held.length, Math.max(0, deadline - performance.now()));
    if (wait === 'timeout')
      return { ok: false, reason: 'limit-time', detail: 'no whole ClientHello in time' };
    if (wait === 'end') {
      const reason = held.length === 0 ? 'tls-expected' : 'tls-malformed';
      return { ok: false, reason, detail: 'the connection ended before a whole ClientHello' };
    }
  }
}
