/**
 * What the resolver is given by its gateway: the policy in force, the audit sink, its upstreams and the
 * table of synthetic addresses. The resolver knows neither the proxy nor the guest.
 */
import type { Asker, AuditSink } from '../audit/event.ts';
import type { IpAddress, PolicyInForce } from '../policies/model.ts';

/** A server that sand itself asks. */
export interface DnsUpstream {
  readonly address: IpAddress;
  readonly port: number;
}

export interface ResolverContext {
  policy(): PolicyInForce;
  /** The servers in order of preference, read anew for each question (cheap; the caller caches). */
  upstreams(): readonly DnsUpstream[];
  hostAddresses(): readonly IpAddress[];
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
}
