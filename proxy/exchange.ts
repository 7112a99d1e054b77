/**
 * One judged plain-HTTP request and its answer over one upstream connection: pairs body with answer, notices
 * who leaves first, and lets go of the other side then. Chooses no address and judges nothing.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Authority } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import type { Bounds } from './bounds.ts';
import type { ParentProxy } from './context.ts';
import type { Flight } from './flight.ts';
import type { GuestConnection } from './guest.ts';
import type { HeadFault, RequestHead } from './head.ts';
import { PROXY_BOUNDS, type ProxyLimits } from './limits.ts';
import { RequestBody } from './request-body.ts';
import { formatParentFields, formatParentTarget, formatRequestFields } from './request-headers.ts';
import { formatInterim, planResponse, relayResponse } from './response.ts';
import { isAbsoluteForm, type Route } from './route.ts';

/** One judged and recorded request. Everything in it is vetted; nothing is resolved or judged again. */
export interface ForwardJob {
  readonly guest: GuestConnection;
  readonly head: RequestHead;
  readonly authority: Authority;
  readonly path: string;
  readonly route: Route;
  readonly flight: Flight;
  readonly keepAlive: boolean;
  readonly bounds: Pick<Bounds, 'headBytes' | 'bodyBytes'>;
}

export type ForwardEnd =
  /** `isReusable`: the guest's connection stands exactly behind this request and answer. */
  | { readonly kind: 'answered'; readonly status: number; readonly isReusable: boolean }
  /** Nothing has been written to the guest: it can be told. */
  | {
      readonly kind: 'failed';
      readonly reason: Reason;
      readonly detail: string;
      /** What the guest may be told of it. */
      readonly advice: string | null;
      readonly fault: HeadFault | null;
      /** Whether the origin had sent a byte of an answer; then it has the request, and is not asked again. */
      readonly isHeard: boolean;
    }
  /** The answer broke off, or the guest is gone. */
  | { readonly kind: 'broken'; readonly reason: Reason | null; readonly status: number | null }
  /** After an upgrade, the connection and the flight are the splice's. */
  | { readonly kind: 'spliced' };

const ENDLESS_INTERIM = 'the origin sends interim answers without end';
const PARENT_ASKS = 'the parent proxy of the host asks for credentials, or for others (407)';

/** What http-proxy reads of a request, and the body that it pipes. */
export type LibraryRequest = IncomingMessage & RequestBody;

/** One request and its answer, over one upstream connection. */
export class Exchange {
  readonly job: ForwardJob;
  readonly #limits: ProxyLimits;
  readonly #body: RequestBody;
  #upstream: ClientRequest | null = null;
  /** Read from the connection for earlier requests. */
  #bytesBefore = 0;
  #status: number | null = null;
  #isOver = false;
  #halfClosed: NodeJS.Timeout | null = null;
  #resolve: (end: ForwardEnd) => void = () => {};

  constructor(job: ForwardJob, limits: ProxyLimits) {
    this.job = job;
    this.#limits = limits;
    this.#body = new RequestBody(job.guest, job.head, {
      admit: (bytes) => job.flight.count(bytes, 0),
      mostBytes: job.bounds.bodyBytes,
      trailerBytes: job.bounds.headBytes,
    });
  }

  run(send: (request: LibraryRequest) => void): Promise<ForwardEnd> {
    const { guest, flight, head, authority } = this.job;
    const parent = this.#parent;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      guest.signal.addEventListener('abort', this.#onGone, { once: true });
      guest.reader.onEnd(this.#onHalfClosed);
      flight.onCut(this.#onGone);
      flight.watch(() => this.#onIdle());
      if (guest.signal.aborted) this.#onGone();
      if (this.#isOver) return;
      // Before the library's own listener ends the request.
      this.#body.on('end', () => this.#sendTrailers());
      this.#body.on('error', (error) => this.onError(error));
      const outgoing: LibraryRequest = Object.assign(this.#body as LibraryRequest, {
        method: head.method,
        // The library would repair a path; the true one is set in `onRequest`.
        url: '/',
        headers: {
          ...formatRequestFields(head, authority),
          ...(parent === null ? {} : formatParentFields(parent)),
        },
        socket: guest.socket,
      });
      try {
        send(outgoing);
      } catch (error) {
        this.onError(error instanceof Error ? error : new Error('the request could not be sent'));
      }
    });
  }

  /** The upstream connection is assigned, nothing has been sent. */
  onRequest(upstream: ClientRequest): void {
    if (this.#isOver) {
      upstream.destroy();
      return;
    }
    this.#upstream = upstream;
    this.#bytesBefore = upstream.socket?.bytesRead ?? 0;
    const { path, authority } = this.job;
    upstream.path = this.#parent === null ? path : formatParentTarget(authority, path);
    let interim = 0;
    upstream.on('information', ({ statusCode, statusMessage, rawHeaders }) => {
      interim += 1;
      if (interim > PROXY_BOUNDS.interimReceived) return this.#fail('upstream-failed', ENDLESS_INTERIM);
      if (this.#isOver || statusCode === 100 || this.job.head.version === '1.0') return;
      if (interim > PROXY_BOUNDS.interimResponses) return;
      const bytes = formatInterim(statusCode, statusMessage, rawHeaders);
      if (this.job.flight.count(0, bytes.length)) this.job.guest.write(bytes);
    });
    // A switch of protocols that nobody asked for, and every other end without an answer.
    upstream.on('close', () => {
      if (this.#isOver || this.#status !== null) return;
      this.onError(new Error('the origin ended the connection without an answer'));
    });
  }

  onResponse(response: IncomingMessage): void {
    const status = response.statusCode ?? 0;
    if (this.#isOver || this.#status !== null || status < 200 || status > 999) {
      response.destroy();
      this.onError(new Error('the origin sent a status that is none'));
      return;
    }
    // It asks sand for credentials, and the guest has none to give.
    if (status === 407 && this.#parent !== null) {
      response.destroy();
      this.#fail('upstream-refused', PARENT_ASKS);
      return;
    }
    this.#status = status;
    const { guest, head, keepAlive, flight } = this.job;
    const plan = planResponse({
      status,
      message: response.statusMessage ?? '',
      rawHeaders: response.rawHeaders,
      method: head.method,
      version: head.version,
      keepAlive: keepAlive && this.#body.isTaken,
    });
    const { turnBytes } = this.#limits;
    void relayResponse(response, plan, guest, flight, { turnBytes }).then((isComplete) => {
      if (isComplete) {
        const isReusable = keepAlive && plan.isDelimited && this.#body.isTaken;
        this.#settle({ kind: 'answered', status, isReusable });
      } else {
        this.#settle({ kind: 'broken', reason: guest.signal.aborted ? null : 'upstream-failed', status });
      }
    });
  }

  onError(error: NodeJS.ErrnoException): void {
    const { fault } = this.#body;
    if (fault?.reason === 'limit-body' && this.#status !== null) {
      this.#settle({ kind: 'broken', reason: fault.reason, status: this.#status });
    }
    if (this.#isOver || this.#status !== null) return;
    if (fault !== null) {
      const { reason, detail } = fault;
      this.#settle({ kind: 'failed', reason, detail, advice: null, fault, isHeard: this.#isHeard });
      return;
    }
    const reason = error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET' ? 'upstream-refused' : null;
    const detail = error.code ?? error.message;
    this.#fail(reason ?? 'upstream-failed', detail);
  }

  /** What the parent proxy is told besides; null where it hears nothing of the request. */
  get #parent(): ParentProxy | null {
    const { route, authority } = this.job;
    return isAbsoluteForm(route, authority) ? route.parent : null;
  }

  get #isHeard(): boolean {
    return (this.#upstream?.socket?.bytesRead ?? 0) > this.#bytesBefore;
  }

  #fail(reason: Reason, detail: string): void {
    const advice = detail === PARENT_ASKS ? detail : null;
    this.#settle({ kind: 'failed', reason, detail, advice, fault: null, isHeard: this.#isHeard });
  }

  #onGone = (): void => {
    const reason = this.job.flight.cutReason;
    if (this.#status !== null || reason === null) {
      this.#settle({ kind: 'broken', reason, status: this.#status });
    } else {
      this.#fail(reason, 'ended by sand before an answer');
    }
  };

  /** The guest may have gone, or have shut only its sending side: it gets a moment. */
  #onHalfClosed = (): void => {
    this.#halfClosed ??= setTimeout(() => {
      this.#settle({ kind: 'broken', reason: null, status: this.#status });
    }, PROXY_BOUNDS.halfClosedMs);
  };

  #onIdle(): void {
    if (this.#status !== null) {
      this.#settle({ kind: 'broken', reason: 'limit-time', status: this.#status });
    } else {
      this.#fail('upstream-timeout', 'no answer in time');
    }
  }

  #sendTrailers(): void {
    const fields = this.#body.trailers.map(({ name, value }): [string, string] => [name, value]);
    if (fields.length > 0) this.#upstream?.addTrailers(fields);
  }

  /** Ends the exchange once. An upstream request whose answer is not read to its end is destroyed with it. */
  #settle(end: ForwardEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#halfClosed !== null) clearTimeout(this.#halfClosed);
    const { guest } = this.job;
    guest.signal.removeEventListener('abort', this.#onGone);
    guest.reader.onEnd(null);
    if (end.kind !== 'answered' || !this.#upstream?.writableFinished) this.#upstream?.destroy();
    if (!this.#body.readableEnded) this.#body.destroy();
    this.#resolve(end);
  }
}
