/**
 * What the resolver is given by its gateway: the policy in force, the audit sink, its upstreams and the
 * table of synthetic addresses. The resolver knows neither the proxy nor the guest.
 */
import type { Asker, AuditSink, ProcessFact } from '../audit/event.ts';
import type { AskForConsent } from '../policies/consent.ts';
import type { Hostname, IpAddress, PolicyInForce } from '../policies/model.ts';

/** A server that is asked over UDP, and over TCP where an answer is cut. */
export interface PlainUpstream {
  readonly protocol?: 'plain';
  readonly address: IpAddress;
  readonly port: number;
}

/** RFC 7858: DNS over TLS. */
export interface TlsUpstream {
  readonly protocol: 'tls';
  readonly address: IpAddress;
  readonly port: number;
  /** What its certificate must be for. */
  readonly serverName: Hostname | IpAddress;
}

/** RFC 8484: DNS over HTTPS. */
export interface HttpsUpstream {
  readonly protocol: 'https';
  /** Null: the system's resolvers are asked for `serverName`, and for nothing else. */
  readonly address: IpAddress | null;
  readonly port: number;
  /** What its certificate must be for, and the Host of each request. */
  readonly serverName: Hostname | IpAddress;
  readonly path: string;
}

/** A server that sand itself asks. */
export type DnsUpstream = PlainUpstream | TlsUpstream | HttpsUpstream;

export interface ResolverContext {
  policy(): PolicyInForce;
  /**
   * The servers in order of preference, read anew for each question (cheap; the caller caches). A name may have servers of its
   * own; without one, those of every other name.
   */
  upstreams(name?: Hostname): readonly DnsUpstream[];
  /** The host's own, for a server that is known by name alone; absent: those of resolv.conf. */
  finders?(name?: Hostname): readonly PlainUpstream[];
  hostAddresses(): readonly IpAddress[];
  /** Holds a question of the guest that no rule decides until somebody has answered. Absent: nobody is asked. */
  readonly ask?: AskForConsent;
  readonly audit: AuditSink;
}

/**
 * `synthetic`: an allowed name gets an address of its own from 198.18.0.0/15 and nothing leaves the host.
 * `vetted`: an allowed name gets its real addresses, filtered by the address guard (a person with dig, and
 * links that are not transparent).
 */
export type AnswerMode = 'synthetic' | 'vetted';

/** Where a query came from, which decides how it is answered and recorded. */
export interface QueryOrigin {
  readonly asker: Asker;
  readonly transport: 'udp' | 'tcp';
  readonly mode: AnswerMode;
  /** Which process asks: looks once, when it is first called. Absent: nobody can tell. */
  readonly process?: () => ProcessFact | null;
}

/** Who asks, by the place that the question came from. */
export interface ClientEnd {
  readonly transport: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** Where its stream connected to. */
  readonly destination?: { readonly address: string; readonly port: number };
}
