/**
 * Carries questions over DNS over TLS (RFC 7858): one connection to each server, many questions on it at a time,
 * answers in any order, closed when nothing waits. Which server, and what an answer means, is `upstream.ts`'s.
 */
import { randomInt } from 'node:crypto';
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import type { TlsUpstream } from './context.ts';
import type { DnsLimits } from './limits.ts';
import { upstreamKey } from './upstream-flag.ts';
import { encodePaddedQuestion, readReply, type UpstreamQuestion } from './upstream-message.ts';
import type { TransportReply } from './upstream-transport.ts';
import { explainTlsFailure, tlsOptions } from './upstream-trust.ts';
import { frameMessage } from './wire.ts';

/** `lost`: the connection ended before the answer, which a server may do at any time. */
type StreamReply = TransportReply | { readonly kind: 'lost'; readonly detail: string };

export type TlsTransport = (
  server: TlsUpstream,
  question: UpstreamQuestion,
  signal: AbortSignal,
) => Promise<TransportReply>;

/** Every connection ends with `closing`. */
export function createTlsTransport(
  limits: DnsLimits,
  trust: () => SecureContext,
  closing: AbortSignal,
): TlsTransport {
  const connections = new Map<string, TlsConnection>();

  function connectionTo(server: TlsUpstream): TlsConnection {
    const key = upstreamKey(server);
    const known = connections.get(key);
    if (known?.isOpen === true) return known;
    const made = new TlsConnection(server, limits, trust(), () => {
      if (connections.get(key) === made) connections.delete(key);
    });
    connections.set(key, made);
    return made;
  }

  closing.addEventListener('abort', () => {
    for (const connection of connections.values()) connection.close();
  });

  return async (server, question, signal) => {
    if (closing.aborted) return { kind: 'failed', detail: 'aborted' };
    const first = connectionTo(server);
    const wasUsed = first.wasUsed;
    const reply = await first.ask(question, signal);
    // A connection that was kept may be closed by the server at the very moment it is used again.
    const again =
      reply.kind === 'lost' && wasUsed && !signal.aborted && !closing.aborted
        ? await connectionTo(server).ask(question, signal)
        : reply;
    return again.kind === 'lost' ? { kind: 'failed', detail: again.detail } : again;
  };
}

interface Waiting {
  readonly question: UpstreamQuestion;
  readonly settle: (reply: StreamReply) => void;
}

class TlsConnection {
  readonly #limits: DnsLimits;
  readonly #socket: TLSSocket;
  readonly #ended: () => void;
  readonly #waiting = new Map<number, Waiting>();
  /** Fail closed: nothing is sent before the server's certificate has been verified. */
  readonly #held: Buffer[] = [];
  #received: Buffer = Buffer.alloc(0);
  /** Messages in a row that nothing waits for. */
  #foreign = 0;
  #isSecured = false;
  #isOpen = true;
  #wasUsed = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(server: TlsUpstream, limits: DnsLimits, trust: SecureContext, ended: () => void) {
    this.#limits = limits;
    this.#ended = ended;
    const socket = connect({ host: server.address, port: server.port, ...tlsOptions(server, trust) });
    this.#socket = socket;
    socket.on('secureConnect', () => {
      this.#isSecured = true;
      for (const message of this.#held.splice(0)) socket.write(message);
    });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(explainTlsFailure(server, error)));
    socket.on('close', () =>
      this.#end(this.#isSecured ? 'the server closed the connection' : 'the server refused TLS'),
    );
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether it carried an answer before. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  ask(question: UpstreamQuestion, signal: AbortSignal): Promise<StreamReply> {
    const id = this.#freeId(question.id);
    if (id === null) return Promise.resolve({ kind: 'failed', detail: 'too many questions wait for it' });
    const asked = { ...question, id };
    clearTimeout(this.#idle);
    return new Promise((resolve) => {
      const settle = (reply: StreamReply): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        this.#waiting.delete(id);
        if (this.#waiting.size === 0) this.#rest();
        resolve(reply);
      };
      const abort = (): void => settle({ kind: 'failed', detail: 'aborted' });
      const timer = setTimeout(() => {
        // A connection that went silent may be dead without a word: the next question gets a new one.
        this.#retire();
        const what = this.#isSecured ? 'no answer over TLS in time' : 'no TLS connection in time';
        settle({ kind: 'failed', detail: what });
      }, this.#limits.secureTryMs);
      this.#waiting.set(id, { question: asked, settle });
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      const message = frameMessage(encodePaddedQuestion(asked));
      if (this.#isSecured) this.#socket.write(message);
      else this.#held.push(message);
    });
  }

  close(): void {
    this.#end('aborted');
  }

  /** Two questions on one connection never share an id. */
  #freeId(wanted: number): number | null {
    if (this.#waiting.size >= this.#limits.secureInFlight) return null;
    let id = wanted;
    while (this.#waiting.has(id)) id = randomInt(0x1_0000);
    return id;
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 2) {
      const end = 2 + this.#received.readUInt16BE(0);
      if (this.#received.length < end) return;
      const message = this.#received.subarray(2, end);
      this.#received = this.#received.subarray(end);
      this.#deliver(message);
      if (!this.#isOpen && this.#waiting.size === 0) return;
    }
  }

  #deliver(message: Buffer): void {
    const waiting = message.length < 2 ? undefined : this.#waiting.get(message.readUInt16BE(0));
    if (waiting === undefined) {
      // Late answers are few; a server that talks unasked is cut off.
      this.#foreign += 1;
      if (this.#foreign > this.#limits.forgedDatagrams) this.#end('it sends answers that nobody asked for');
      return;
    }
    this.#wasUsed = true;
    this.#foreign = 0;
    const reply = readReply(message, waiting.question);
    if (reply.kind === 'reply') waiting.settle(reply);
    else waiting.settle({ kind: 'failed', detail: `an answer over TLS that is ${reply.kind}` });
  }

  /** Takes no more questions; what waits may still be answered. */
  #retire(): void {
    this.#isOpen = false;
    this.#ended();
  }

  #rest(): void {
    if (!this.#isOpen) {
      this.#socket.destroy();
      return;
    }
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#end('idle'), this.#limits.secureIdleMs);
  }

  #end(detail: string): void {
    this.#retire();
    clearTimeout(this.#idle);
    this.#socket.destroy();
    for (const { settle } of [...this.#waiting.values()]) settle({ kind: 'lost', detail });
  }
}
