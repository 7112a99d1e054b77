/**
 * Carries a judged WebSocket handshake to a vetted address. What follows a 101 is spliced unread; any other
 * answer is relayed and ends the connection.
 */
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import type { ForwardEnd, ForwardJob } from './exchange.ts';
import { PROXY_BOUNDS, type ProxyLimits } from './limits.ts';
import { formatRequestFields } from './request-headers.ts';
import { formatUpgrade, planResponse, relayResponse } from './response.ts';
import { splice } from './splice.ts';
import type { TurnShare } from './turn-share.ts';

const FAILED = {
  kind: 'failed',
  reason: 'upstream-failed',
  advice: null,
  fault: null,
  isHeard: true,
} as const;

/** A WebSocket handshake, over a connection of its own; after a 101 the bytes are no longer read. */
export function runUpgrade(
  job: ForwardJob,
  socket: Socket,
  limits: ProxyLimits,
  turns: TurnShare,
): Promise<ForwardEnd> {
  const { guest, flight, head } = job;
  return new Promise((resolve) => {
    const upstream = request({
      method: head.method,
      path: job.path,
      headers: formatRequestFields(head, job.authority),
      createConnection: () => socket,
    });
    let isAnswered = false;
    const idle = setTimeout(() => upstream.destroy(), limits.headTimeoutMs);
    const abandon = (): void => void upstream.destroy();
    guest.signal.addEventListener('abort', abandon, { once: true });
    flight.onCut(abandon);
    const settle = (end: ForwardEnd): void => {
      clearTimeout(idle);
      guest.signal.removeEventListener('abort', abandon);
      resolve(end);
    };
    upstream.on('error', () => {});
    upstream.on('close', () => {
      if (!isAnswered) settle({ ...FAILED, detail: 'the origin did not answer the upgrade' });
    });
    upstream.on('upgrade', (response, upgraded: Socket, greeting) => {
      isAnswered = true;
      const isWebSocket = response.headers.upgrade?.toLowerCase() === 'websocket';
      if (!isWebSocket || flight.isCut) {
        upgraded.destroy();
        settle({ ...FAILED, detail: 'the origin switched to another protocol' });
        return;
      }
      clearTimeout(idle);
      guest.signal.removeEventListener('abort', abandon);
      guest.write(formatUpgrade(response.statusMessage ?? '', response.rawHeaders));
      const { leftover, hasEnded } = guest.release();
      splice(guest.socket, upgraded, flight, {
        leftover,
        hasGuestEnded: hasEnded,
        greeting,
        turns,
        halfOpenTimeoutMs: PROXY_BOUNDS.halfOpenMs,
      });
      resolve({ kind: 'spliced' });
    });
    upstream.on('response', async (response) => {
      isAnswered = true;
      clearTimeout(idle);
      const end = await relayDeclined(job, response, limits, abandon);
      upstream.destroy();
      settle(end);
    });
    upstream.end();
  });
}

/** The origin answers as to any request; `abandon` ends one that falls silent in the middle. */
async function relayDeclined(
  { guest, flight, head }: ForwardJob,
  response: IncomingMessage,
  limits: ProxyLimits,
  abandon: () => void,
): Promise<ForwardEnd> {
  const status = response.statusCode ?? 0;
  const plan = planResponse({
    status,
    message: response.statusMessage ?? '',
    rawHeaders: response.rawHeaders,
    method: head.method,
    version: head.version,
    // What the guest sends next would not be a request to an upgraded connection, nor one to sand.
    keepAlive: false,
  });
  let isLate = false;
  flight.watch(() => {
    isLate = true;
    abandon();
  });
  const { turnBytes } = limits;
  const isComplete = await relayResponse(response, plan, guest, flight, { turnBytes });
  if (isComplete) return { kind: 'answered', status, isReusable: false };
  return { kind: 'broken', reason: isLate ? 'limit-time' : 'upstream-failed', status };
}
