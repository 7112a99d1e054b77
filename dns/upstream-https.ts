/**
 * Carries questions over DNS over HTTPS (RFC 8484): each a POST on a kept connection of HTTP/1.1. Loaded where a
 * flag names such a server, so that nobody else pays for it. Which server, and what an answer means, is
 * `upstream.ts`'s.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import type { SecureContext } from 'node:tls';
import { formatHost } from '../policies/hostname.ts';
import type { Hostname, IpAddress } from '../policies/model.ts';
import type { HttpsUpstream } from './context.ts';
import { type DnsLimits, MAX_MESSAGE_BYTES } from './limits.ts';
import { upstreamKey } from './upstream-flag.ts';
import { encodePaddedQuestion, readReply, type UpstreamQuestion } from './upstream-message.ts';
import type { TransportReply } from './upstream-transport.ts';
import { explainTlsFailure, tlsOptions } from './upstream-trust.ts';

/** What a server of this kind is once its address is known. */
export type PlacedHttpsUpstream = HttpsUpstream & { readonly address: IpAddress };

export type HttpsTransport = (
  server: PlacedHttpsUpstream,
  question: UpstreamQuestion,
  signal: AbortSignal,
) => Promise<TransportReply>;

const MEDIA_TYPE = 'application/dns-message';
const HTTPS_PORT = 443;
/** Far above the servers that a flag can name. */
const MOST_AGENTS = 16;

type BodyReply =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'lost'; readonly detail: string }
  | { readonly kind: 'failed'; readonly detail: string };

/** Every connection ends with `closing`. */
export function createHttpsTransport(
  limits: DnsLimits,
  trust: () => SecureContext,
  closing: AbortSignal,
): HttpsTransport {
  const agents = new Map<string, Agent>();
  const endAll = (): void => {
    for (const agent of agents.values()) agent.destroy();
    agents.clear();
  };
  closing.addEventListener('abort', endAll);

  /** One for each server, since what its certificate must be for belongs to a pool and not to a request. */
  function agentOf(server: PlacedHttpsUpstream): Agent {
    const key = upstreamKey(server);
    const known = agents.get(key);
    if (known !== undefined) return known;
    // Addresses of a named server come and go.
    if (agents.size >= MOST_AGENTS) endAll();
    const agent = new Agent({
      ...tlsOptions(server, trust()),
      keepAlive: true,
      maxSockets: limits.httpsSockets,
      maxFreeSockets: limits.httpsSockets,
      timeout: limits.secureIdleMs,
    });
    agents.set(key, agent);
    return agent;
  }

  return async (server, question, signal) => {
    // RFC 8484 section 4.1: the connection tells the answers apart, so the id says nothing.
    const asked = { ...question, id: 0 };
    const body = encodePaddedQuestion(asked);
    const until = AbortSignal.any([signal, closing, AbortSignal.timeout(limits.secureTryMs)]);
    const options = { ...requestOptions(server, body.length), agent: agentOf(server) };
    const first = await post(options, body, server, until);
    // A kept connection may be closed by the server at the very moment it is used again.
    const reply = first.kind === 'lost' ? await post(options, body, server, until) : first;
    if (reply.kind !== 'body') return { kind: 'failed', detail: reply.detail };
    const read = readReply(reply.bytes, asked);
    return read.kind === 'reply'
      ? read
      : { kind: 'failed', detail: `an answer over HTTPS that is ${read.kind}` };
  };
}

function requestOptions(server: PlacedHttpsUpstream, length: number): RequestOptions {
  const { serverName, port } = server;
  const host = formatHost(
    serverName === server.address
      ? { kind: 'address', address: server.address }
      : { kind: 'name', name: serverName as Hostname },
  );
  return {
    // The address that was found or given: node:https looks nothing up.
    host: server.address,
    port,
    method: 'POST',
    path: server.path,
    headers: {
      host: port === HTTPS_PORT ? host : `${host}:${port}`,
      accept: MEDIA_TYPE,
      'content-type': MEDIA_TYPE,
      'content-length': length,
    },
  };
}

/** One request. A redirect is an answer like any other: not a DNS message, and so a failure. */
function post(
  options: RequestOptions,
  body: Buffer,
  server: PlacedHttpsUpstream,
  signal: AbortSignal,
): Promise<BodyReply> {
  return new Promise((resolve) => {
    const asking = request(options);
    const settle = (reply: BodyReply): void => {
      signal.removeEventListener('abort', abort);
      if (reply.kind !== 'body') asking.destroy();
      resolve(reply);
    };
    const fail = (detail: string): void => settle({ kind: 'failed', detail });
    const abort = (): void => fail('no answer over HTTPS in time');
    asking.on('error', (error) => settle({ kind: lossOf(asking), detail: explainTlsFailure(server, error) }));
    asking.on('response', (response) => receive(response, settle));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    asking.end(body);
  });
}

function lossOf(asking: ClientRequest): 'lost' | 'failed' {
  return asking.reusedSocket ? 'lost' : 'failed';
}

function receive(response: IncomingMessage, settle: (reply: BodyReply) => void): void {
  const fail = (detail: string): void => settle({ kind: 'failed', detail });
  response.on('error', () => fail('the answer over HTTPS was cut'));
  const refusal = refusalOf(response);
  if (refusal !== null) {
    fail(refusal);
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_MESSAGE_BYTES) chunks.push(chunk);
    else fail('an answer over HTTPS that is longer than any DNS message');
  });
  response.on('end', () => settle({ kind: 'body', bytes: Buffer.concat(chunks) }));
}

/** Null where its body is to be read. */
function refusalOf(response: IncomingMessage): string | null {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) return `HTTP status ${status}, and redirects are not followed`;
  if (status !== 200) return `HTTP status ${status}`;
  const type = response.headers['content-type']?.toLowerCase().split(';', 1)[0]?.trim();
  return type === MEDIA_TYPE ? null : `an answer over HTTPS that is no ${MEDIA_TYPE}`;
}
