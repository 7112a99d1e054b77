/**
 * Serves the page of `sand audit ui` on 127.0.0.1 and nowhere else. Binds, bounds and ends; who may ask is
 * `access.ts`'s, what is answered `routes.ts`'s.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { REFUSED_PORTS } from '../../dns/limits.ts';
import { SandError } from '../errors.ts';
import { REFUSALS, type Refusal, UiAccess } from './access.ts';
import { answer, answerText } from './answers.ts';
import { UI_LIMITS } from './limits.ts';
import { Routes, type RoutesOptions } from './routes.ts';

export const UI_ADDRESS = '127.0.0.1';

/** Each free port that the system gives is one that sand may use, but for a handful. */
const FREE_PORT_ATTEMPTS = 8;

export interface UiServerOptions
  extends Pick<RoutesOptions, 'root' | 'first' | 'pages' | 'proposals' | 'nowMs'> {
  /** 0: any free one. */
  readonly port: number;
  /** Told when the link is used a second time, or guessed. */
  readonly alarmed: (refusal: Refusal) => void;
}

export interface UiServer {
  readonly port: number;
  /** Good once. */
  readonly link: string;
  /** Ends what is open, at once. Idempotent. */
  close(): Promise<void>;
}

/** Raises `port-in-use`, `port-refused`. The caller closes it. */
export async function createUiServer(options: UiServerOptions): Promise<UiServer> {
  const server = createServer({
    maxHeaderSize: UI_LIMITS.headBytes,
    headersTimeout: UI_LIMITS.requestMs,
    requestTimeout: UI_LIMITS.requestMs,
    keepAliveTimeout: UI_LIMITS.idleMs,
    connectionsCheckingInterval: UI_LIMITS.requestMs / 4,
    requireHostHeader: true,
    // Nothing is taken that the two sides could read differently.
    insecureHTTPParser: false,
  });
  server.maxConnections = UI_LIMITS.connections;
  const port = await listen(server, options.port);
  const closing = new AbortController();
  const access = new UiAccess({ port, nowMs: options.nowMs, alarmed: options.alarmed });
  const routes = new Routes({
    ...options,
    place: access.place,
    csrf: access.csrf(),
    closing: closing.signal,
  });
  server.on('request', (request, response) => void serve(access, routes, request, response));
  // Whoever wants another protocol, or the answer to `Expect`, gets none.
  server.on('upgrade', (_, socket) => socket.destroy());
  server.on('connect', (_, socket) => socket.destroy());
  server.on('checkExpectation', (_, response) => answerText(response, 417, 'nothing is expected here'));
  server.on('clientError', (_, socket) => socket.destroy());
  return {
    port,
    link: access.link(),
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(
  access: UiAccess,
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.on('error', () => {});
  const method = request.method ?? '';
  const hosts = request.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length;
  const judged = access.judge({ method, target: request.url ?? '', headers: request.headers, hosts });
  switch (judged.kind) {
    case 'refused':
      // What else it would send is not read.
      response.setHeader('connection', 'close');
      return answerText(response, judged.status, REFUSALS[judged.why]);
    case 'exchanged':
      return answer(response, 303, { location: judged.location, 'set-cookie': judged.cookie }, '');
    case 'session':
      return routes.serve(
        { method: method === 'POST' ? 'POST' : 'GET', path: judged.path, query: judged.query },
        request,
        response,
      );
  }
}

async function listen(server: Server, port: number): Promise<number> {
  if (REFUSED_PORTS.has(port)) throw refusedPort(port);
  for (let attempt = 1; ; attempt += 1) {
    await bind(server, port);
    const { port: bound } = server.address() as AddressInfo;
    if (!REFUSED_PORTS.has(bound)) return bound;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    if (attempt >= FREE_PORT_ATTEMPTS) throw refusedPort(bound);
  }
}

function bind(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) =>
      reject(
        new SandError(
          'port-in-use',
          `the page cannot listen on ${UI_ADDRESS} port ${port === 0 ? '(any)' : port}: ${error.message}`,
          'name another port, or leave --port out',
          { cause: error },
        ),
      );
    server.once('error', failed);
    server.listen({ host: UI_ADDRESS, port, exclusive: true }, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

function refusedPort(port: number): SandError {
  return new SandError(
    'port-refused',
    `--port ${port}: sand never listens there`,
    'name another port, or leave --port out',
  );
}
