/**
 * Carries judged plain-HTTP requests to vetted addresses. Only importer of http-proxy, whose known weaknesses
 * are closed here and in `exchange.ts`: what it would add, drop, repair or leave open is done by sand.
 */
import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
import httpProxy from 'http-proxy';
import { parseAddress } from '../policies/address.ts';
import type { ProxyContext } from './context.ts';
import { Exchange, type ForwardEnd, type ForwardJob, type LibraryRequest } from './exchange.ts';
import { poolKeys } from './route.ts';
import type { TurnShare } from './turn-share.ts';
import { runUpgrade } from './upgrade.ts';
import { type Opened, openUpstream } from './upstream.ts';
import { UpstreamAgent } from './upstream-agent.ts';

export interface Forwarder {
  /** Resolves when the answer is written or cannot be; never rejects. Does not close the flight. */
  forward(job: ForwardJob): Promise<ForwardEnd>;
  upgrade(job: ForwardJob): Promise<ForwardEnd>;
  /** Destroys every upstream connection, idle or not. */
  close(): void;
}

/** RFC 9110 section 9.2.1; only these are sent again when an idle upstream connection turns out dead before a byte of an answer. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createForwarder(
  context: Pick<ProxyContext, 'limits' | 'parents' | 'isOwn'>,
  turns: TurnShare,
): Forwarder {
  const { limits } = context;
  const agent = new UpstreamAgent();
  const library = createLibrary();
  const connect = async (job: ForwardJob, speaks: 'http' | 'upgrade') => {
    const opened = await openUpstream(context, job.route, job.authority, speaks, job.guest.signal);
    // An HTTP upstream that ends its side is finished with; a half-open one would look idle in the pool.
    if (opened.ok) opened.socket.allowHalfOpen = false;
    if (opened.ok && opened.address !== null) job.flight.connected(opened.address);
    return opened;
  };

  const forward = async (job: ForwardJob): Promise<ForwardEnd> => {
    const run = (key: string): Promise<ForwardEnd> => {
      const exchange = new Exchange(job, limits);
      return exchange.run((outgoing) => library.send(outgoing, exchange, agent, key));
    };
    // An idle connection may be dead by now: only a request that can be sent again takes one.
    const isRepeatable = SAFE_METHODS.has(job.head.method) && job.head.framing.kind === 'none';
    const keys = poolKeys(job.route, job.authority);
    const pooled = isRepeatable ? agent.findIdle(keys, job.authority.port) : null;
    if (pooled !== null) {
      const known = parseAddress(pooled);
      if (known.ok) job.flight.connected(known.value);
      const end = await run(pooled);
      if (end.kind !== 'failed' || end.isHeard || end.reason === 'upstream-timeout' || job.flight.isCut)
        return end;
    }
    const opened = await connect(job, 'http');
    if (!opened.ok) return failure(opened);
    agent.offer(opened.socket);
    const end = run(
      job.route.kind === 'direct' && opened.address !== null ? opened.address : (keys[0] ?? ''),
    );
    agent.withdraw();
    return end;
  };

  const upgrade = async (job: ForwardJob): Promise<ForwardEnd> => {
    const opened = await connect(job, 'upgrade');
    if (!opened.ok) return failure(opened);
    return runUpgrade(job, opened.socket, limits, turns);
  };

  return { forward, upgrade, close: () => agent.destroy() };
}

function failure({ reason, detail, advice }: Extract<Opened, { ok: false }>): ForwardEnd {
  return { kind: 'failed', reason, detail, advice, fault: null, isHeard: false };
}

interface Library {
  /** `key` names the connection in the agent's pool; nothing is resolved or dialled by it. */
  send(outgoing: LibraryRequest, exchange: Exchange, agent: Agent, key: string): void;
}

/**
 * http-proxy, with its passes over requests cut down to the one that sends: `deleteLength` turns the body of a
 * chunked DELETE into a second request. Answers are written by sand, never by its passes.
 */
function createLibrary(): Library {
  const proxy = httpProxy.createProxyServer({ selfHandleResponse: true, followRedirects: false });
  const passes: { webPasses?: { name: string }[] } = proxy as object;
  passes.webPasses = (passes.webPasses ?? []).filter((pass) => pass.name === 'stream');
  if (passes.webPasses.length !== 1) throw new Error('http-proxy has no pass called stream');
  const exchanges = new WeakMap<IncomingMessage, Exchange>();
  proxy.on('proxyReq', (upstream, incoming) => exchanges.get(incoming)?.onRequest(upstream));
  proxy.on('proxyRes', (response, incoming) => void exchanges.get(incoming)?.onResponse(response));
  proxy.on('error', () => {});
  // It reads no field of the answer when it does not write it.
  const answer = { headersSent: false, finished: false } as ServerResponse;
  return {
    send(outgoing, exchange, agent, key) {
      exchanges.set(outgoing, exchange);
      const target = { host: key, port: exchange.job.authority.port, protocol: 'http:' };
      withoutDeprecations(() => {
        proxy.web(outgoing, answer, { target, agent }, (error) => exchange.onError(error));
      });
    },
  };
}

/** http-proxy calls `util._extend` and `url.parse`; the user's terminal is no place to say so. */
function withoutDeprecations(work: () => void): void {
  const previous = process.noDeprecation;
  process.noDeprecation = true;
  try {
    work();
  } finally {
    process.noDeprecation = previous ?? false;
  }
}
