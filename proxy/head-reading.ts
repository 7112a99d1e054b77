/**
 * Waits for one request head of a connection: bounded in bytes and time, and cut out of what was read. What it
 * says is for `head.ts`, what becomes of it for `requests.ts`.
 */
import type { GuestConnection } from './guest.ts';
import { type HeadFault, parseHead, type RequestHead, scanHead } from './head.ts';
import { PROXY_BOUNDS } from './limits.ts';
import type { Parts } from './parts.ts';

export type HeadRead =
  | { readonly kind: 'head'; readonly head: RequestHead; readonly headBytes: number }
  /** Ended or idle between two requests. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'fault'; readonly fault: HeadFault; readonly method: string; readonly target: string };

const UNREAD = { method: '', target: '' } as const;

/** Reads one head, bounded in bytes and time; the time runs from its first byte, and before it for a new client. */
export async function readHead(parts: Parts, guest: GuestConnection, isFirst: boolean): Promise<HeadRead> {
  const { reader } = guest;
  const { limits } = parts.context;
  const { totalMs } = parts.ledger.bounds;
  if (reader.bytes.length === 0) {
    const leftMs = Math.max(0, guest.sinceMs + totalMs - performance.now());
    const idleMs = Math.min(PROXY_BOUNDS.keepAliveMs, leftMs);
    const wait = await reader.more(0, isFirst ? limits.headTimeoutMs : idleMs);
    if (wait !== 'bytes') return { kind: 'gone' };
  }
  const deadline = performance.now() + limits.headTimeoutMs;
  let seen = 0;
  for (;;) {
    const bytes = reader.bytes;
    const scan = scanHead(bytes, seen);
    if (scan.kind === 'fault') return { kind: 'fault', fault: scan.fault, ...UNREAD };
    const length = scan.kind === 'head' ? scan.end : bytes.length;
    // Of this moment, and never more than the buffer of this connection holds.
    if (length > Math.min(parts.ledger.bounds.headBytes, guest.headBytes)) {
      const fault: HeadFault = { status: 431, reason: 'limit-size', detail: 'the request head is too long' };
      return { kind: 'fault', fault, ...UNREAD };
    }
    if (scan.kind === 'head') {
      const parsed = parseHead(bytes.subarray(0, scan.end));
      reader.consume(scan.end);
      if (!parsed.ok) return { kind: 'fault', ...parsed };
      return { kind: 'head', head: parsed.head, headBytes: scan.end };
    }
    seen = bytes.length;
    const wait = await reader.more(seen, Math.max(0, deadline - performance.now()));
    if (wait === 'end') return { kind: 'fault', fault: cutShort, ...UNREAD };
    if (wait === 'timeout') return { kind: 'fault', fault: tooSlow, ...UNREAD };
  }
}

const cutShort: HeadFault = {
  status: 400,
  reason: 'request-malformed',
  detail: 'the request head is cut short',
};
const tooSlow: HeadFault = {
  status: 408,
  reason: 'limit-time',
  detail: 'the request head did not come in time',
};
