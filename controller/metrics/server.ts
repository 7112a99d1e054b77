/**
 * Serves `GET /metrics` on a Unix socket of its own user or on a loopback port. Decides who is answered; what is told is
 * given to it. Loaded only where somebody wants it.
 */
import { once } from 'node:events';
import { lstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { METRICS_TYPE } from '../../audit/metrics-text.ts';
import type { IpAddress } from '../../policies/model.ts';
import { SandError } from '../errors.ts';
import { listenError } from '../gateway/core.ts';
import { formatMetricsPlace, type MetricsPlace } from './place.ts';

const LIMITS = {
  /** Scrapers: one or two, each with a request at a time. */
  connections: 16,
  headerBytes: 8 * 1024,
  /** A whole request of a program on this host. */
  requestMs: 5_000,
} as const;

export interface MetricsServer {
  /** With the port that was really taken. */
  readonly place: MetricsPlace;
  /** Ends every connection and removes the socket. Idempotent. */
  close(): Promise<void>;
}

/** Raises `port-in-use` and `usage`. */
export async function serveMetrics(place: MetricsPlace, text: () => string): Promise<MetricsServer> {
  let served = place;
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      requestTimeout: LIMITS.requestMs,
      headersTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.requestMs,
    },
    (request, response) => answer(request, response, served, text),
  );
  server.maxConnections = LIMITS.connections;
  if (place.kind === 'unix') await listenAt(server, place.path);
  else served = { ...place, port: await listenOn(server, place.address, place.port) };
  server.on('error', () => {});
  return {
    place: served,
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(
  { method, url, headers }: IncomingMessage,
  response: ServerResponse,
  place: MetricsPlace,
  text: () => string,
): void {
  const end = (status: number, body: string, more: Readonly<Record<string, string>> = {}): void => {
    const type = status === 200 ? METRICS_TYPE : 'text/plain; charset=utf-8';
    response.writeHead(status, {
      'content-type': type,
      'x-content-type-options': 'nosniff',
      connection: 'close',
      ...more,
    });
    response.end(method === 'HEAD' ? '' : body);
  };
  // Fail closed: a page of the web whose name leads to this address is not who was meant.
  if (place.kind === 'port' && !isOwnHost(headers.host, place.port)) end(403, 'another host was asked for\n');
  else if (method !== 'GET' && method !== 'HEAD') end(405, 'only GET\n', { allow: 'GET, HEAD' });
  else if (url?.split('?', 1)[0] !== '/metrics') end(404, 'only /metrics\n');
  else end(200, text());
}

function isOwnHost(host: string | undefined, port: number): boolean {
  return ['127.0.0.1', 'localhost', '[::1]'].some(
    (name) => host === `${name}:${port}` || (port === 80 && host === name),
  );
}

async function listenOn(server: Server, address: IpAddress | string, port: number): Promise<number> {
  try {
    server.listen({ host: address, port, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    const code = codeOf(error) === 'EADDRINUSE' ? 'port-in-use' : 'bind-failed';
    throw listenError('the metrics', `${address} port ${port}`, { code, detail: messageOf(error) });
  }
  const at = server.address();
  return typeof at === 'object' && at !== null ? at.port : 0;
}

async function listenAt(server: Server, path: string): Promise<void> {
  await removeLeft(path);
  // It is there under its mode from the first moment: a mode that is given later leaves a moment for others.
  const mask = process.umask(0o177);
  try {
    server.listen({ path });
  } finally {
    process.umask(mask);
  }
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new SandError(
      'usage',
      `--metrics ${formatMetricsPlace({ kind: 'unix', path })}: ${messageOf(error)}`,
      'name a path in a folder of your own where nothing is',
    );
  }
}

/** What a killed supervisor has left behind: a socket of ours that nobody listens on. Anything else stays. */
async function removeLeft(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isSocket() !== true || stat.uid !== process.getuid?.()) return;
  const socket = connect({ path });
  const failure = await Promise.race([
    once(socket, 'connect').then(() => null),
    once(socket, 'error').then(([error]) => error),
  ]).catch((error: unknown) => error);
  socket.destroy();
  if (codeOf(failure) === 'ECONNREFUSED') unlinkSync(path);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
