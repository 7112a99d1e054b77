/**
 * What the proxy is given by its gateway: the policy in force, a lookup, the audit sink and its limits. The
 * proxy knows neither the resolver nor the guest; a test hands it fakes.
 */
import type { AuditSink, ProcessFact } from '../audit/event.ts';
import type { AskForConsent, Consent } from '../policies/consent.ts';
import type { Authority, Host, Hostname, IpAddress, PolicyInForce, Protocol } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import type { ProxyLimits } from './limits.ts';

/** Outcome of resolving an allowed name on the host. Addresses are not vetted yet. */
export type Lookup =
  | { readonly kind: 'addresses'; readonly addresses: readonly IpAddress[] }
  | { readonly kind: 'not-found' }
  /** `reason`: sand itself did not ask, and nobody else may be asked either. */
  | { readonly kind: 'failed'; readonly detail: string; readonly reason?: Reason };

/** What a literal address that a guest connected to stands for. */
export type Meaning =
  | { readonly kind: 'name'; readonly name: Hostname }
  /** Inside the synthetic range, but no answer of this guest gave it. */
  | { readonly kind: 'unknown-synthetic' }
  | { readonly kind: 'literal' };

/** A proxy that the host itself needs to reach the world. */
export interface ParentProxy {
  readonly host: Host;
  readonly port: number;
  /** Spoken to over TLS, its certificate checked against `host`. */
  readonly secure: boolean;
  /** The value of Proxy-Authorization; goes to the parent and nowhere else. */
  readonly authorization: string | null;
}

export interface ParentProxies {
  /** The parent that an authority is reached through; null: directly. Asked again for each decision. */
  parentOf(authority: Authority, protocol: Protocol): ParentProxy | null;
  /** The parent's own address, as the host finds it; not a guest's lookup, and not vetted. Never rejects. */
  lookup(name: Hostname): Promise<Lookup>;
}

/** The guest's end of a connection, and where it connected to. */
export interface GuestEnd {
  readonly transport: 'tcp';
  readonly address: string;
  readonly port: number;
  readonly destination: { readonly address: string; readonly port: number };
}

export interface ProxyContext {
  /** The policy in force now; read once for each decision. */
  policy(): PolicyInForce;
  /** Resolves on the host, absolute, following CNAMEs. Never rejects but for an aborted signal. */
  lookup(name: Hostname, signal: AbortSignal, consent?: Consent | null): Promise<Lookup>;
  /** Holds a request that no rule decides until somebody has answered. Absent: nobody is asked. */
  readonly ask?: AskForConsent;
  meaning(address: IpAddress): Meaning;
  /** The addresses of the host's own interfaces, which are never dialled unless listed. Throws where the system does not tell. */
  hostAddresses(): readonly IpAddress[];
  /** Whether dialling this address and port would reach sand itself (a gateway's own ports). Throws where the system does not tell. */
  isOwn(address: IpAddress, port: number): boolean;
  /** Absent: everything is dialled directly. */
  readonly parents?: ParentProxies;
  /** Which process of the guest holds this end; null where nobody can tell. Never throws. Absent: nobody can. */
  readonly attribute?: (end: GuestEnd) => ProcessFact | null;
  readonly audit: AuditSink;
  readonly limits: ProxyLimits;
}

/** A connection that arrived without a request of its own: its original destination is all that is known. */
export interface OriginalDestination {
  readonly authority: Authority;
}
