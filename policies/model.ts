/**
 * The words of an egress policy as types: names, addresses, rules, compiled layers and verdicts. Parsers
 * at the edge produce the branded types; inside, no plain string stands for a name or an address.
 */
import type { Reason } from './reasons.ts';
import type { Isolation } from './requirements.ts';
import type { RuleIndex } from './rule-index.ts';
import type { WarningCode } from './warnings.ts';

declare const brand: unique symbol;

/** A DNS name in canonical form: lower-case LDH labels (and `_`), no trailing dot, at most 253 characters. */
export type Hostname = string & { readonly [brand]: 'hostname' };

/** An IP address in canonical form: dotted quad, or RFC 5952 text without brackets or zone. */
export type IpAddress = string & { readonly [brand]: 'address' };

/** A CIDR range in canonical form, for example `10.0.0.0/8` or `2001:db8::/32`. */
export type IpRange = string & { readonly [brand]: 'range' };

export type Host =
  | { readonly kind: 'name'; readonly name: Hostname }
  | { readonly kind: 'address'; readonly address: IpAddress };

/** Destination and port together. */
export interface Authority {
  readonly host: Host;
  /** 1 to 65535. */
  readonly port: number;
}

export type Protocol = 'http' | 'https' | 'tcp';

/** Where a line of policy stands. `file` is what a person would recognise: a path, `preset:strict`, `--allow`. */
export interface Origin {
  readonly file: string;
  /** 1-based; 0 where there is no file (a flag). */
  readonly line: number;
  readonly column: number;
}

/** Something wrong (or unwise) in a policy. `hint` says what to write instead, as an imperative sentence. */
export interface PolicyIssue {
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly hint: string;
  readonly at: Origin;
  /** `missing`: a policy that was named does not exist, as opposed to one that is wrong. Each warning has one. */
  readonly code?: 'missing' | WarningCode;
}

export type Parsed<T> =
  | { readonly ok: true; readonly value: T; readonly warnings?: readonly PolicyIssue[] }
  | { readonly ok: false; readonly issues: readonly PolicyIssue[] };

export interface PortRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/**
 * What a rule is about: names by pattern, or literal addresses by range, or the host's own loopback. The
 * subjects of one compiled rule are all of one kind; a mixed list in a file compiles to one rule for each.
 */
export type Subject =
  | { readonly kind: 'names'; readonly pattern: HostPattern }
  | { readonly kind: 'range'; readonly range: IpRange }
  | { readonly kind: 'host-loopback' };

/** A host pattern inside the grammar of docs/policy.md. `text` is canonical: what `format` prints and `parse` reads. */
export interface HostPattern {
  readonly text: string;
  /** From the left, as written: literal labels, `*`-globs such as `api-*`, and `**` only in first place. */
  readonly labels: readonly string[];
  readonly matches: (name: Hostname) => boolean;
}

/** A pattern over decoded, normalised paths. `text` is canonical. */
export interface PathPattern {
  readonly text: string;
  /** What stands between its slashes; the first slash begins it, so `/` is one empty segment. */
  readonly segments: readonly string[];
}

/** The path of a request as it is judged, or why it cannot be: what is ambiguous matches no pattern. */
export type RequestPath =
  | {
      readonly ok: true;
      /** Decoded, without dot segments. */
      readonly segments: readonly string[];
      /** The same path as it is sent, with its query. */
      readonly sent: string;
    }
  | { readonly ok: false; readonly detail: string };

/** One plain-HTTP request inside a connection. */
export interface HttpRequest {
  readonly method: string;
  readonly path: RequestPath;
}

export interface Rule {
  /** Stable name in audit events: layer, verb and first subject, for example `strict/allow:*.npmjs.org`. */
  readonly id: string;
  readonly verb: 'allow' | 'deny' | 'mute';
  readonly subjects: readonly Subject[];
  /** Ports by protocol. For deny and mute rules: empty, meaning every port. */
  readonly ports: Readonly<Record<Protocol, readonly PortRange[]>>;
  /** The name may resolve to these only, and they are opened for it; null: public addresses only. */
  readonly addresses: readonly IpRange[] | null;
  /** May open a cloud metadata address that a subject names exactly. */
  readonly metadata: boolean;
  readonly because: string | null;
  /** Unix time in milliseconds from which an allow rule grants nothing; absent: no end. */
  readonly untilMs?: number;
  /** Of plain HTTP, these only; absent: all. With either, a rule has http ports and no others. */
  readonly methods?: readonly string[];
  readonly paths?: readonly PathPattern[];
  /** What all that the rule admits may use together; absent: no limit of its own. */
  readonly limits?: RuleLimits;
  /** A deny rule that refuses nothing: what it covers passes where it is allowed, and is recorded. */
  readonly report?: true;
  readonly origin: Origin;
}

export interface RuleRef {
  readonly id: string;
  readonly origin: Origin;
  readonly because: string | null;
}

export type Mode = 'enforce' | 'report';

/**
 * Limits of one guest; null: the policy does not say, and the default holds. Which bounds and defaults there
 * are says `guest-limits.ts`.
 */
export interface PolicyLimits {
  /** Open at one time. */
  readonly connections: number | null;
  readonly requestsPerSecond: number | null;
  /** In the guest's life. */
  readonly bytesOut: number | null;
  readonly bytesIn: number | null;
  /** Of one plain-HTTP request: line and header fields together, and its body. */
  readonly headBytes: number | null;
  readonly bodyBytes: number | null;
  /** How long a connection may be open without a byte, and at all. */
  readonly idleMs: number | null;
  readonly totalMs: number | null;
}

/** The limits that one rule may have. */
export type RuleLimits = Pick<PolicyLimits, 'connections' | 'bytesOut' | 'bytesIn'>;

export interface Requirements {
  readonly confinement: 'enforced' | null;
  /** At least this; null, as `namespaces`: what every guest has. */
  readonly isolation: Isolation | null;
}

/** One phase of a policy. */
export interface PolicyPhase {
  readonly name: string;
  /** What the phase adds to the rules that hold in every phase. */
  readonly own: readonly Rule[];
  /** What holds in this phase. It has no phases itself. */
  readonly policy: CompiledPolicy;
}

/** One compiled union of policy documents. Immutable; safe to evaluate from anywhere. */
export interface CompiledPolicy {
  readonly name: string;
  readonly mode: Mode;
  /**
   * What holds in every phase. Fail closed: of a policy with phases, the deny rules of all of them too, so that
   * asking it without choosing a phase allows the least.
   */
  readonly rules: readonly Rule[];
  /** In the order of the file; absent: the policy has no phases. */
  readonly phases?: readonly PolicyPhase[];
  readonly limits: PolicyLimits;
  readonly requires: Requirements;
  /** `sha256:` + hex over the canonical text of the resolved policy. */
  readonly digest: string;
  /** Absolute paths of every policy file that was read, so that the guest can be kept from writing them. */
  readonly files: readonly string[];
  /** The rules arranged for evaluation; built by compile, rebuilt where it does not belong to `rules`. */
  readonly index?: RuleIndex;
}

/** What decides for one guest: the policy, and ceilings that must allow as well. */
export interface PolicyInForce {
  readonly policy: CompiledPolicy;
  readonly ceilings: readonly CompiledPolicy[];
}

/** One question to the policy. `protocol` is null when the port alone is known (CONNECT, SOCKS, a stream). */
export interface EgressRequest {
  readonly authority: Authority;
  readonly protocol: Protocol | null;
  /** The request, once it is read. Absent: whether some request might be allowed is asked. */
  readonly http?: HttpRequest;
}

export interface Verdict {
  /**
   * What the rules say. `allow` with `would-be-denied`: no rule allows it in report mode (then there are no
   * grants), or a deny rule that only reports covers what other rules grant.
   */
  readonly decision: 'allow' | 'deny';
  readonly reason: Reason;
  /** The rule that decided, or for a method or path the one that nearly allowed it; null where no rule did. */
  readonly rule: RuleRef | null;
  /** What may be spoken there; empty on deny. With `tcp` in it, sand does not read the bytes. */
  readonly protocols: readonly Protocol[];
  /** The allow rules that cover the request; they decide which addresses may be dialled. */
  readonly grants: readonly Rule[];
  /** The same of each ceiling, in order; absent where there is none. */
  readonly ceilingGrants?: readonly (readonly Rule[])[];
  /** A mute rule covers it: it stays out of reports, and in the log. */
  readonly muted: boolean;
  /** For denials: a close pattern or port that would have matched, for the "did you mean" line; else null. */
  readonly suggestion: string | null;
}

export interface AddressVerdict {
  readonly decision: 'allow' | 'deny';
  readonly reason: Reason;
  readonly rule: RuleRef | null;
}
