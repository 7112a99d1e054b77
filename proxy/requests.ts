/**
 * Serves the HTTP/1 requests of one connection in turn: each is read, judged, recorded and forwarded or refused
 * by itself. Hands a CONNECT back to its caller. Used for the proxy port, for tunnels and for streams alike.
 */
import type { Via } from '../audit/event.ts';
import type { Consent } from '../policies/consent.ts';
import { isPathDecisive } from '../policies/evaluate.ts';
import { formatAuthority } from '../policies/hostname.ts';
import type { Authority, HttpRequest } from '../policies/model.ts';
import { parseRequestPath } from '../policies/request-path.ts';
import { admit } from './admission.ts';
import type { ForwardEnd, ForwardJob } from './exchange.ts';
import { type Asked, askedOf, type Flight } from './flight.ts';
import type { GuestConnection } from './guest.ts';
import { type HeadFault, listMembers, type RequestHead } from './head.ts';
import { readHead } from './head-reading.ts';
import {
  type Denied,
  denialOf,
  denialOfFault,
  type Judgement,
  judge,
  judgeAsking,
  meanAuthority,
  refuseFor,
  resolve,
} from './judgement.ts';
import { PROXY_BOUNDS } from './limits.ts';
import type { Parts } from './parts.ts';
import { type Denial, formatRefusal } from './refusal.ts';
import { BODY_TOO_LARGE } from './request-body.ts';
import {
  isSameAuthority,
  parseRequestTarget,
  type RequestTarget,
  recordableTarget,
} from './request-target.ts';

/** Where the requests come from. `inside` is the authority that the tunnel or stream was asked for. */
export interface Scope {
  readonly via: Via;
  readonly inside: Authority | null;
  readonly destination: string | null;
  /** The tunnel or stream has been counted against the guest's rate, and so its first request. */
  readonly isCounted?: boolean;
  /** What was answered for the tunnel or stream as a whole, null for a no; absent: each request is asked about. */
  readonly consent?: Consent | null;
}

/**
 * Resolves when the connection has been ended, or to the head of a CONNECT, which is then the caller's to
 * answer. Never rejects but for a fault in sand.
 */
export async function serveRequests(
  parts: Parts,
  guest: GuestConnection,
  scope: Scope,
): Promise<RequestHead | null> {
  for (let served = 1; served <= PROXY_BOUNDS.requestsPerConnection; served += 1) {
    const read = await readHead(parts, guest, served === 1);
    if (read.kind === 'gone') {
      guest.finish(null);
      return null;
    }
    // A CONNECT is counted as the tunnel that it becomes.
    if (read.kind === 'head' && read.head.method === 'CONNECT' && scope.inside === null) return read.head;
    if (!(served === 1 && scope.isCounted === true)) {
      const { method, target } = read.kind === 'head' ? read.head : read;
      const over = parts.ledger.overRate(() => askedUnread(guest, scope, method, recordableTarget(target)));
      if (over !== null) {
        showUnread(guest, over, method, recordableTarget(target));
        return null;
      }
    }
    if (read.kind === 'fault') {
      refuseUnread(parts, guest, scope, read);
      return null;
    }
    const { head } = read;
    const isLast = served === PROXY_BOUNDS.requestsPerConnection;
    const request = new ServedRequest(parts, guest, scope, head, read.headBytes, head.persistent && !isLast);
    if ((await request.serve()) === 'ended') return null;
  }
  return null;
}

/** Refuses what never became a request; the connection cannot be used after it. */
function refuseUnread(
  parts: Parts,
  guest: GuestConnection,
  scope: Scope,
  read: { readonly fault: HeadFault; readonly method: string; readonly target: string },
): void {
  const target = recordableTarget(read.target);
  const asked = askedUnread(guest, scope, read.method, target);
  showUnread(guest, parts.ledger.refuse(asked, denialOfFault(read.fault)), read.method, target);
}

function askedUnread(guest: GuestConnection, scope: Scope, method: string, target: string): Asked {
  return {
    via: scope.via,
    host: scope.inside === null ? target : askedOf(scope.inside, { via: scope.via, protocol: null }).host,
    port: scope.inside?.port ?? 0,
    protocol: 'http',
    ...(method === '' ? {} : { method }),
    ...(scope.destination === null ? {} : { destination: scope.destination }),
    ...guest.opener,
  };
}

function showUnread(guest: GuestConnection, denial: Denial, method: string, target: string): void {
  const subject = { request: `${method} ${target}`.trim() || 'a request', authority: null };
  guest.finish(formatRefusal(denial, subject, { wantsJson: false, keepAlive: false, isHead: false }).bytes);
}

const TOO_LARGE: Denial = { ...denialOfFault(BODY_TOO_LARGE), verdict: 'allow' };

/** `ended`: the connection has been given its end, or will be by who holds it. */
type Served = 'ready' | 'ended';

class ServedRequest {
  readonly #parts: Parts;
  readonly #guest: GuestConnection;
  readonly #scope: Scope;
  readonly #head: RequestHead;
  readonly #headBytes: number;
  readonly #keepAlive: boolean;

  constructor(
    parts: Parts,
    guest: GuestConnection,
    scope: Scope,
    head: RequestHead,
    headBytes: number,
    keepAlive: boolean,
  ) {
    this.#parts = parts;
    this.#guest = guest;
    this.#scope = scope;
    this.#head = head;
    this.#headBytes = headBytes;
    this.#keepAlive = keepAlive;
  }

  async serve(): Promise<Served> {
    const { context } = this.#parts;
    const parsed = parseRequestTarget(this.#head, this.#scope.inside);
    if (this.#head.method === 'CONNECT') {
      return this.#refuseFault({ status: 405, reason: 'method-refused', detail: 'CONNECT inside a tunnel' });
    }
    if (!parsed.ok) return this.#refuseFault(parsed.fault);
    const { target } = parsed;
    const http = { method: this.#head.method, path: parseRequestPath(target.path) };
    if (!this.#isMeant(target.authority)) return this.#refuseMismatch(target, http);
    const judged = await this.#judge(target.authority, http);
    if (!judged.ok) return this.#refuse(target, judged.authority, judged.denial);
    if (this.#isTooLarge()) return this.#refuse(target, judged.authority, TOO_LARGE);
    const found = await resolve(context, judged, this.#guest.signal);
    if (!found.ok) return this.#refuse(target, judged.authority, found.denial);
    const { sinceMs } = this.#guest;
    const { consent } = judged;
    const asked = { asked: target.authority, protocol: 'http', http, sinceMs, consent } as const;
    const admitted = admit(this.#parts, asked, found.addresses, (authority) =>
      this.#asked(target, authority),
    );
    if (!admitted.ok) return this.#answer(target, admitted.authority, admitted.denial);
    const { flight, route, verdict } = admitted;
    flight.count(this.#headBytes, 0);
    const end = await this.#forward({
      guest: this.#guest,
      head: this.#head,
      authority: admitted.authority,
      // Where the path decides, the origin gets the very path that was judged.
      path: http.path.ok && isPathDecisive(verdict) ? http.path.sent : target.path,
      route,
      flight,
      keepAlive: this.#keepAlive,
      bounds: this.#parts.ledger.bounds,
    });
    return this.#conclude(end, flight, (reason, advice) => {
      return this.#answer(target, admitted.authority, denialOf(verdict, reason, null, advice));
    });
  }

  async #judge(authority: Authority, http: HttpRequest): Promise<Judgement | Denied> {
    const { context } = this.#parts;
    const { consent } = this.#scope;
    if (consent !== undefined) return judge(context, authority, 'http', http, consent);
    return judgeAsking(context, authority, 'http', () => this.#guest.signal, http);
  }

  /** What its head says; a chunked body is counted as it comes. */
  #isTooLarge(): boolean {
    const { framing } = this.#head;
    return framing.kind === 'length' && framing.bytes > this.#parts.ledger.bounds.bodyBytes;
  }

  /** Inside a tunnel or a stream, the only authority is the one that it was asked for. */
  #isMeant(authority: Authority): boolean {
    const { inside } = this.#scope;
    if (inside === null) return true;
    const { context } = this.#parts;
    const meant = meanAuthority(context, inside);
    const named = meanAuthority(context, authority);
    return isSameAuthority(named ?? authority, meant ?? inside);
  }

  /** Where the tunnel or stream itself is not allowed, that is the reason; a Host field cannot change it. */
  #refuseMismatch(target: RequestTarget, http: HttpRequest): Served {
    const { inside } = this.#scope;
    const judged = inside === null ? null : judge(this.#parts.context, inside, 'http', http);
    if (judged !== null && !judged.ok) return this.#refuse(target, judged.authority, judged.denial);
    const denial = refuseFor('host-mismatch', 'the Host field is not the authority that was asked for');
    return this.#refuse(target, target.authority, denial);
  }

  async #forward(job: ForwardJob): Promise<ForwardEnd> {
    try {
      const forwarder = await this.#parts.forwarder();
      return await (this.#head.upgrade === null ? forwarder.forward(job) : forwarder.upgrade(job));
    } catch (error) {
      job.flight.close('internal-error');
      throw error;
    }
  }

  #conclude(
    end: ForwardEnd,
    flight: Flight,
    answer: (reason: Denial['reason'], advice: string | null) => Served,
  ): Served {
    switch (end.kind) {
      case 'spliced':
        return 'ended';
      case 'answered':
        flight.close(null, end.status);
        if (end.isReusable) return 'ready';
        this.#guest.finish(null);
        return 'ended';
      case 'broken':
        flight.close(end.reason, end.status);
        this.#guest.reset();
        return 'ended';
      case 'failed':
        flight.close(end.reason, null, end.detail);
        if (end.fault !== null) return this.#refuseShown(end.fault);
        return answer(end.reason, end.advice);
    }
  }

  #asked(target: RequestTarget, authority: Authority): Asked {
    const { via, destination } = this.#scope;
    return askedOf(authority, {
      via,
      protocol: 'http',
      method: this.#head.method,
      path: pathWithoutQuery(target.path),
      ...(destination === null ? {} : { destination }),
      ...this.#guest.opener,
    });
  }

  #refuse(target: RequestTarget, authority: Authority, denial: Denial): Served {
    const shown = this.#parts.ledger.refuse(this.#asked(target, authority), denial);
    return this.#answer(target, authority, shown);
  }

  #refuseFault(fault: HeadFault): Served {
    refuseUnread(this.#parts, this.#guest, this.#scope, {
      fault,
      method: this.#head.method,
      target: this.#head.target,
    });
    return 'ended';
  }

  /** A body that turned out malformed: the request is on record already. */
  #refuseShown(fault: HeadFault): Served {
    const subject = { request: this.#head.method, authority: null };
    const options = { wantsJson: this.#wantsJson(), keepAlive: false, isHead: false };
    this.#guest.finish(formatRefusal(denialOfFault(fault), subject, options).bytes);
    return 'ended';
  }

  #answer(target: RequestTarget, authority: Authority, denial: Denial): Served {
    // A body that nobody reads stands between this request and the next.
    const keepAlive = this.#keepAlive && this.#head.framing.kind === 'none' && !this.#guest.reader.hasEnded;
    const named = formatAuthority(authority);
    const http = { method: this.#head.method, path: pathWithoutQuery(target.path) };
    const request = `${http.method} http://${named}${http.path}`;
    const options = { wantsJson: this.#wantsJson(), keepAlive, isHead: this.#head.method === 'HEAD' };
    const refusal = formatRefusal(denial, { request, authority: named, http }, options);
    if (!keepAlive) {
      this.#guest.finish(refusal.bytes);
      return 'ended';
    }
    this.#guest.write(refusal.bytes);
    return 'ready';
  }

  #wantsJson(): boolean {
    return listMembers(this.#head.fields, 'accept').some((member) =>
      /^application\/([a-z.+-]+\+)?json\b/.test(member),
    );
  }
}

function pathWithoutQuery(path: string): string {
  return path.split('?')[0] ?? '';
}
