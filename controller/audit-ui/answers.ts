/** How the page's server answers: every answer with the fields that keep it to itself, and no error with more than it says. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { escapeJson } from '../../audit/escape.ts';
import { UI_LIMITS } from './limits.ts';

/** Of each answer, errors among them. */
const FIELDS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

export type Headers = Readonly<Record<string, string>>;

export function answer(response: ServerResponse, status: number, headers: Headers, body: string): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { ...FIELDS, ...headers, 'content-length': bytes.length });
  response.end(bytes);
}

export function answerText(response: ServerResponse, status: number, text: string): void {
  answer(response, status, { 'content-type': 'text/plain; charset=utf-8' }, `sand: ${text}\n`);
}

export function answerJson(response: ServerResponse, status: number, value: unknown): void {
  const json = escapeJson(JSON.stringify(value));
  answer(response, status, { 'content-type': 'application/json' }, json);
}

/**
 * Sends pieces as fast as they are taken, and asks for the next one only then. False where the other side took nothing
 * for `UI_LIMITS.stallMs`, or has gone.
 */
export async function answerPieces(
  response: ServerResponse,
  headers: Headers,
  pieces: AsyncIterable<string> | Iterable<string>,
  { stallMs = UI_LIMITS.stallMs }: { readonly stallMs?: number } = {},
): Promise<boolean> {
  response.writeHead(200, { ...FIELDS, ...headers });
  response.flushHeaders();
  for await (const piece of pieces) {
    if (response.destroyed) return false;
    if (!response.write(piece) && !(await drained(response, stallMs))) {
      // Told by the end of the connection: a message would wait behind what is not taken.
      response.destroy();
      return false;
    }
  }
  response.end();
  return true;
}

function drained(response: ServerResponse, stallMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = () => {
      clearTimeout(stalled);
      response.off('drain', settle).off('close', settle);
      resolve(!response.destroyed && !response.writableNeedDrain);
    };
    const stalled = setTimeout(settle, stallMs);
    response.on('drain', settle).on('close', settle);
  });
}

/** Null where it is longer than `UI_LIMITS.bodyBytes`, or is no JSON object. */
export async function readObject(
  request: IncomingMessage,
): Promise<Readonly<Record<string, unknown>> | null> {
  if (request.headers['content-type'] !== 'application/json') return null;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > UI_LIMITS.bodyBytes) return null;
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}
