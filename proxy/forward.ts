/**
 * Carries judged plain-HTTP requests to vetted addresses. Only importer of http-proxy, whose known weaknesses
 * are closed here and in `exchange.ts`: what it would add, drop, repair or leave open is done by sand.
 */
import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
import httpProxy from 'http-proxy';
import type { IpAddress } from '../policies/model.ts';
import { type Dialled, dial } from './dial.ts';
import { Exchange, type ForwardEnd, type ForwardJob, type LibraryRequest } from './exchange.ts';
import type { ProxyLimits } from './limits.ts';
import { runUpgrade } from './upgrade.ts';
import { UpstreamAgent } from './upstream-agent.ts';

export interface Forwarder {
  /** Resolves when the answer is written or cannot be; never rejects. Does not close the flight. */
  forward(job: ForwardJob): Promise<ForwardEnd>;
  upgrade(job: ForwardJob): Promise<ForwardEnd>;
  /** Destroys every upstream connection, idle or not. */
  close(): void;
}

/** RFC 9110 section 9.2.1; only these are sent again when an idle upstream connection turns out dead. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export function createForwarder(limits: ProxyLimits): Forwarder {
  const agent = new UpstreamAgent();
  const library = createLibrary();
  const connect = async (job: ForwardJob) => {
    const { attemptDelayMs, dialTimeoutMs } = limits;
    const options = { attemptDelayMs, timeoutMs: dialTimeoutMs, signal: job.guest.signal };
    const dialled = await dial(job.addresses, job.authority.port, options);
    // An HTTP upstream that ends its side is finished with; a half-open one would look idle in the pool.
    if (dialled.ok) dialled.socket.allowHalfOpen = false;
    return dialled;
  };

  const forward = async (job: ForwardJob): Promise<ForwardEnd> => {
    const run = (address: IpAddress): Promise<ForwardEnd> => {
      const exchange = new Exchange(job, limits);
      return exchange.run((outgoing) => library.send(outgoing, exchange, agent, address));
    };
    // An idle connection may be dead by now: only a request that can be sent again takes one.
    const isRepeatable = SAFE_METHODS.has(job.head.method) && job.head.framing.kind === 'none';
    const pooled = isRepeatable ? agent.findIdle(job.addresses, job.authority.port) : null;
    if (pooled !== null) {
      const end = await run(pooled);
      if (end.kind !== 'failed' || end.reason === 'upstream-timeout' || job.flight.isCut) return end;
    }
    const dialled = await connect(job);
    if (!dialled.ok) return failure(dialled);
    agent.offer(dialled.socket);
    const end = run(dialled.address);
    agent.withdraw();
    return end;
  };

  const upgrade = async (job: ForwardJob): Promise<ForwardEnd> => {
    const dialled = await connect(job);
    if (!dialled.ok) return failure(dialled);
    return runUpgrade(job, dialled.socket, limits);
  };

  return { forward, upgrade, close: () => agent.destroy() };
}

function failure({ reason, detail }: Extract<Dialled, { ok: false }>): ForwardEnd {
  return { kind: 'failed', reason, detail, fault: null };
}

interface Library {
  send(outgoing: LibraryRequest, exchange: Exchange, agent: Agent, address: IpAddress): void;
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
    send(outgoing, exchange, agent, address) {
      exchanges.set(outgoing, exchange);
      const target = { host: address, port: exchange.job.authority.port, protocol: 'http:' };
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
