/**
 * Who may use a guest's proxy where other machines can reach its port: a client shows the guest's credential in its first
 * request. The connection is the guest's from then on, and what was read goes to the proxy unread.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { parseHead, scanHead } from '../../../proxy/head.ts';
import type { GuestSocket } from '../../../proxy/reader.ts';
import { VMNET_LIMITS } from './limits.ts';

export interface Credential {
  readonly user: string;
  readonly password: string;
}

export type Proof = 'more' | 'shown' | 'missing' | 'wrong' | 'unreadable';

const SOCKS5 = 5;
/** RFC 1928: none of the offered methods. */
const SOCKS_REFUSED = Buffer.from([SOCKS5, 0xff]);

/** What the bytes of a connection prove so far; `seen` of them were looked at before. Pure. */
export function readProof(bytes: Buffer, seen: number, expected: Credential): Proof {
  if (bytes[0] === SOCKS5) return 'unreadable';
  const scan = scanHead(bytes, seen);
  if (scan.kind === 'fault') return 'unreadable';
  if (scan.kind === 'more') return bytes.length > VMNET_LIMITS.headBytes ? 'unreadable' : 'more';
  const parsed = parseHead(bytes.subarray(0, scan.end));
  if (!parsed.ok) return 'unreadable';
  const shown = parsed.head.fields.filter(({ key }) => key === 'proxy-authorization');
  if (shown.length === 0) return 'missing';
  // Fail closed: of two that are shown neither counts.
  const [only] = shown;
  return shown.length === 1 && only !== undefined && isSame(only.value, formatBasic(expected))
    ? 'shown'
    : 'wrong';
}

export function formatBasic({ user, password }: Credential): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** In a time that tells nothing of where they differ; the scheme in any case of letters. */
function isSame(shown: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(shown.replace(/^basic +/i, 'Basic ')), digest(expected));
}

const CHALLENGE = Buffer.from(
  [
    'HTTP/1.1 407 Proxy Authentication Required (sand: this proxy serves one guest)',
    'Proxy-Authenticate: Basic realm="sand"',
    'Content-Length: 0',
    'Connection: close',
    '',
    '',
  ].join('\r\n'),
);

export interface Doorman {
  /** Owns the socket until its client has proved itself, or has not. */
  meet(socket: GuestSocket): void;
  close(): void;
}

/** `admit` gets who has shown it; `wrong` is told of each that showed another. */
export function createDoorman(
  expected: Credential,
  { admit, wrong }: { admit(socket: GuestSocket): void; wrong(): void },
): Doorman {
  const waiting = new Set<GuestSocket>();
  let isClosed = false;
  return {
    meet(socket) {
      if (isClosed) return void socket.destroy();
      const [oldest] = waiting;
      if (oldest !== undefined && waiting.size >= VMNET_LIMITS.unproven) oldest.destroy();
      waiting.add(socket);
      let held: Buffer = Buffer.alloc(0);
      let seen = 0;
      const timer = setTimeout(() => socket.destroy(), VMNET_LIMITS.credentialMs);
      const leave = () => {
        clearTimeout(timer);
        waiting.delete(socket);
        socket.off('data', look);
        socket.off('close', leave);
      };
      const look = (chunk: Buffer) => {
        held = Buffer.concat([held, chunk]);
        const proof = readProof(held, seen, expected);
        seen = held.length;
        if (proof === 'more') return;
        leave();
        if (proof === 'wrong') wrong();
        if (proof === 'shown') return handOver(socket, held, admit);
        refuse(socket, held[0] === SOCKS5 ? SOCKS_REFUSED : CHALLENGE);
      };
      socket.on('error', () => socket.destroy());
      socket.once('close', leave);
      socket.on('data', look);
    },
    close() {
      isClosed = true;
      for (const socket of waiting) socket.destroy();
    },
  };
}

function handOver(socket: GuestSocket, bytes: Buffer, admit: (socket: GuestSocket) => void): void {
  socket.pause();
  if (bytes.length > 0) socket.unshift(bytes);
  admit(socket);
  if (!socket.destroyed) socket.resume();
}

function refuse(socket: GuestSocket, answer: Buffer): void {
  socket.on('data', () => {});
  socket.end(answer);
  // Closing on unread bytes is a reset, which can overtake the answer.
  setTimeout(() => socket.destroy(), 1_000).unref();
}
