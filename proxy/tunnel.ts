/**
 * Carries one connection to one authority: a CONNECT, a SOCKS request or a transparent stream. The protocols
 * that its authority was judged for decide what may be spoken; nothing goes upstream before that is judged too.
 */
import type { Via } from '../audit/event.ts';
import type { Consent } from '../policies/consent.ts';
import { formatAuthority } from '../policies/hostname.ts';
import type { Authority, IpAddress, Protocol } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { admit } from './admission.ts';
import type { ClientHello } from './client-hello.ts';
import { type Asked, askedOf, type Flight } from './flight.ts';
import type { GuestConnection } from './guest.ts';
import { denialOf, type Judgement, judgeAsking, resolve, vet } from './judgement.ts';
import { PROXY_BOUNDS } from './limits.ts';
import { awaitHello, awaitSpoken, type Spoken } from './opening.ts';
import type { Parts } from './parts.ts';
import { type Denial, formatRefusal, type Subject, tlsAlert } from './refusal.ts';
import { serveRequests } from './requests.ts';
import { splice } from './splice.ts';
import { type Opened, openUpstream } from './upstream.ts';

/** How the one who asked for a tunnel is answered, before bytes flow. */
export interface TunnelReply {
  readonly accepted: Buffer;
  refused(denial: Denial, subject: Subject): Buffer;
}

export interface TunnelRequest {
  readonly via: Via;
  /** As it was asked for, or the original destination of a stream. */
  readonly authority: Authority;
  /** Null for a transparent stream, which is answered in the protocol that it speaks. */
  readonly reply: TunnelReply | null;
}

/** Resolves when the connection has been given its end, or to who passes its bytes on. Never rejects but for a fault in sand. */
export async function serveTunnel(
  parts: Parts,
  guest: GuestConnection,
  request: TunnelRequest,
): Promise<void> {
  await new Tunnel(parts, guest, request).serve();
}

class Tunnel {
  readonly #parts: Parts;
  readonly #guest: GuestConnection;
  readonly #request: TunnelRequest;
  /** Once the reply is given, a refusal speaks the protocol inside. */
  #isAccepted = false;
  /** What somebody said yes to for this very tunnel. */
  #consent: Consent | null = null;

  constructor(parts: Parts, guest: GuestConnection, request: TunnelRequest) {
    this.#parts = parts;
    this.#guest = guest;
    this.#request = request;
  }

  async serve(): Promise<void> {
    const { context, ledger } = this.#parts;
    const over = ledger.overRate(() => this.#asked(this.#request.authority, null, null));
    if (over !== null) return this.#show(this.#request.authority, over, null);
    const judged = await judgeAsking(context, this.#request.authority, null, () => this.#guest.signal);
    this.#consent = judged.ok ? judged.consent : null;
    if (!judged.ok) return this.#refuse(judged.authority, judged.denial);
    // Bytes that sand does not read: the rule says so.
    if (judged.verdict.protocols.includes('tcp')) return this.#serveRaw(judged);
    if (this.#request.reply === null) return this.#serveSpoken(judged, null);
    const found = await resolve(context, judged, this.#guest.signal);
    if (!found.ok) return this.#refuse(judged.authority, found.denial);
    const vetted = vet(context, judged, found.addresses, null);
    if (!vetted.ok) return this.#refuse(judged.authority, vetted.denial);
    this.#accept();
    return this.#serveSpoken(judged, found.addresses);
  }

  async #serveRaw(judged: Judgement): Promise<void> {
    const found = await resolve(this.#parts.context, judged, this.#guest.signal);
    if (!found.ok) return this.#refuse(judged.authority, found.denial);
    await this.#carry('tcp', found.addresses, null);
  }

  /** The protocol is one that sand reads: first see which one the client speaks. */
  async #serveSpoken(judged: Judgement, addresses: readonly IpAddress[] | null): Promise<void> {
    const { protocols } = judged.verdict;
    const spoken = await awaitSpoken(this.#guest, this.#parts.context.limits.clientHelloTimeoutMs);
    if (spoken === 'tls' && protocols.includes('https')) return this.#serveTls(judged, addresses);
    if (spoken !== 'tls' && spoken !== 'late' && protocols.includes('http')) return this.#serveHttp();
    return this.#refuseSpoken(judged, spoken);
  }

  async #serveHttp(): Promise<void> {
    const { via, authority } = this.#request;
    await serveRequests(this.#parts, this.#guest, {
      via,
      inside: authority,
      destination: this.#destination(),
      isCounted: true,
      // It was asked for as a whole: what is inside is not asked about again.
      consent: this.#consent,
    });
  }

  async #serveTls(judged: Judgement, known: readonly IpAddress[] | null): Promise<void> {
    const { context } = this.#parts;
    const read = await awaitHello(
      this.#parts,
      this.#guest,
      context.limits,
      context.limits.clientHelloTimeoutMs,
    );
    if (!read.ok) {
      const denial = denialOf(judged.verdict, read.reason, read.detail);
      return this.#refuseAs('tls', judged.authority, { ...denial, verdict: 'deny' }, null);
    }
    const { hello } = read;
    const fault = checkServerName(judged.authority, hello);
    if (fault !== null) {
      const denial = { ...denialOf(judged.verdict, fault.reason, fault.detail), verdict: 'deny' as const };
      return this.#refuseAs('tls', judged.authority, denial, hello);
    }
    let addresses = known;
    if (addresses === null) {
      const found = await resolve(context, judged, this.#guest.signal);
      if (!found.ok) return this.#refuseAs('tls', judged.authority, found.denial, hello);
      addresses = found.addresses;
    }
    await this.#carry('https', addresses, hello);
  }

  /** Records, dials, and passes the bytes on. */
  async #carry(
    protocol: Protocol,
    addresses: readonly IpAddress[],
    hello: ClientHello | null,
  ): Promise<void> {
    const { context } = this.#parts;
    const { sinceMs } = this.#guest;
    const asked = { asked: this.#request.authority, protocol, sinceMs, consent: this.#consent };
    const admitted = admit(this.#parts, asked, addresses, (authority) =>
      this.#asked(authority, protocol, hello),
    );
    if (!admitted.ok) return this.#show(admitted.authority, admitted.denial, hello === null ? null : 'tls');
    const { flight, verdict, authority, route } = admitted;
    const opened = await openUpstream(context, route, authority, protocol, this.#guest.signal);
    const { isGone } = this.#guest;
    if (!opened.ok || flight.isCut || isGone) {
      if (opened.ok) opened.socket.destroy();
      const reason: Reason | null = opened.ok ? null : opened.reason;
      const advice = opened.ok || isGone ? null : opened.advice;
      flight.close(isGone ? null : reason, null, opened.ok || isGone ? null : opened.detail);
      const denial = denialOf(verdict, flight.cutReason ?? reason ?? 'upstream-failed', null, advice);
      return this.#show(authority, denial, hello === null ? null : 'tls');
    }
    if (opened.address !== null) flight.connected(opened.address);
    this.#accept();
    this.#splice(flight, opened);
  }

  #splice(flight: Flight, { socket, greeting }: Extract<Opened, { ok: true }>): void {
    const { turns } = this.#parts;
    const { leftover, hasEnded: hasGuestEnded } = this.#guest.release();
    splice(this.#guest.socket, socket, flight, {
      leftover,
      hasGuestEnded,
      greeting,
      turns,
      halfOpenTimeoutMs: PROXY_BOUNDS.halfOpenMs,
    });
  }

  #accept(): void {
    const { reply } = this.#request;
    if (reply === null || this.#isAccepted) return;
    this.#isAccepted = true;
    this.#guest.write(reply.accepted);
  }

  /** Before the reply of a CONNECT or SOCKS request, or at the start of a stream. */
  async #refuse(authority: Authority, denial: Denial): Promise<void> {
    if (this.#request.reply !== null) {
      const shown = this.#parts.ledger.refuse(this.#asked(authority, null, null), denial);
      return this.#show(authority, shown, null);
    }
    const spoken = await awaitSpoken(this.#guest, PROXY_BOUNDS.refusalPeekMs);
    // Each request gets a record and an answer of its own, with method and path.
    if (spoken === 'http') return this.#serveHttp();
    if (spoken !== 'tls') return this.#refuseAs(spoken, authority, denial, null);
    const { limits } = this.#parts.context;
    const read = await awaitHello(this.#parts, this.#guest, limits, PROXY_BOUNDS.refusalPeekMs);
    return this.#refuseAs('tls', authority, denial, read.ok ? read.hello : null);
  }

  /** What is spoken is not what the authority was judged for. */
  async #refuseSpoken(judged: Judgement, spoken: Spoken): Promise<void> {
    const [reason, detail] = faultOfSpoken(spoken);
    const denial = { ...denialOf(judged.verdict, reason, detail), verdict: 'deny' as const, advice: detail };
    return this.#refuseAs(spoken, judged.authority, denial, null);
  }

  #refuseAs(spoken: Spoken, authority: Authority, denial: Denial, hello: ClientHello | null): void {
    const protocol = spoken === 'tls' ? 'https' : spoken === 'http' ? 'http' : null;
    const shown = this.#parts.ledger.refuse(this.#asked(authority, protocol, hello), denial);
    this.#show(authority, shown, spoken);
  }

  /** Tells a refusal that is on record, in the language that is understood at this point. */
  #show(authority: Authority, denial: Denial, spoken: Spoken | null): void {
    const named = formatAuthority(authority);
    const subject = { request: `CONNECT ${named}`, authority: named };
    const { reply } = this.#request;
    if (reply !== null && !this.#isAccepted) {
      this.#guest.finish(reply.refused(denial, subject));
    } else if (spoken === 'tls') {
      const isUpstream = denial.verdict === 'allow' && denial.reason !== 'limit-bytes';
      this.#guest.finish(tlsAlert(isUpstream ? 'internal_error' : 'access_denied'));
    } else if (spoken === 'http') {
      const options = { wantsJson: false, keepAlive: false, isHead: false };
      this.#guest.finish(formatRefusal(denial, subject, options).bytes);
    } else {
      this.#guest.reset();
    }
  }

  #asked(authority: Authority, protocol: Protocol | null, hello: ClientHello | null): Asked {
    const destination = this.#destination();
    return askedOf(authority, {
      via: this.#request.via,
      protocol,
      ...(hello === null || hello.sni === null ? {} : { sni: hello.sni }),
      ...(hello === null || hello.alpn.length === 0 ? {} : { alpn: hello.alpn }),
      ...(destination === null ? {} : { destination }),
      ...this.#guest.opener,
    });
  }

  #destination(): string | null {
    return this.#request.reply === null ? formatAuthority(this.#request.authority) : null;
  }
}

/** The outer server name is the judged name; where an address was judged, there is none. */
function checkServerName(
  authority: Authority,
  hello: ClientHello,
): { readonly reason: Reason; readonly detail: string } | null {
  const { host } = authority;
  if (host.kind === 'address') {
    if (hello.sni === null) return null;
    return { reason: 'sni-mismatch', detail: `an address was judged, and the server name is ${hello.sni}` };
  }
  if (hello.sni === null)
    return { reason: 'sni-missing', detail: `no server name where ${host.name} was judged` };
  if (hello.sni === host.name) return null;
  return { reason: 'sni-mismatch', detail: `${host.name} was judged, and the server name is ${hello.sni}` };
}

function faultOfSpoken(spoken: Spoken): [Reason, string] {
  switch (spoken) {
    case 'tls':
      return ['protocol-not-allowed', 'TLS where only plain HTTP is allowed'];
    case 'http':
      return ['tls-expected', 'plain HTTP where only TLS is allowed'];
    case 'other':
      return ['tls-expected', 'bytes that are not TLS'];
    case 'silent':
      return ['tls-expected', 'the connection ended without a byte'];
    case 'late':
      return ['limit-time', 'no byte came in time'];
  }
}
