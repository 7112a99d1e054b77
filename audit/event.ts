/**
 * The audit event: what the log holds, one JSON object a line. Types only; `log.ts` writes, `read.ts` reads.
 * Values that can carry secrets (query strings, authorization, cookies) have no field here.
 */
import type { Origin, Protocol } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';

/** Bumped when a field changes its meaning or disappears; new optional fields and kinds do not bump it. */
export const AUDIT_SCHEMA_VERSION = 1;

export type Disposition = 'forwarded' | 'refused' | 'answered';

/** Who asked: the guest through its link, or a person on the host (dig at the loopback port). */
export type Asker = 'guest' | 'host';

export interface RuleFact {
  readonly id: string;
  readonly file: string;
  readonly line: number;
  readonly because?: string;
}

/** Who in the guest asked, where its backend can tell. */
export interface ProcessFact {
  /** As the guest numbers it. */
  readonly pid: number;
  /** Its command line with secret-looking values replaced, cut like any text. */
  readonly command: string;
}

/** What every decision carries. */
export interface DecisionFacts {
  readonly asker: Asker;
  readonly verdict: 'allow' | 'deny';
  readonly reason: Reason;
  readonly disposition: Disposition;
  readonly rule: RuleFact | null;
  /** Digest of the policy that decided. */
  readonly policy: string;
  readonly muted?: boolean;
  /** A sentence for people: what was close, or what exactly was wrong. Escaped, at most 300 characters. */
  readonly detail?: string;
  /** What to paste into a policy to turn a denial, where one line can. */
  readonly suggestion?: string;
}

/** How a connection reached the gateway. */
export type Via = 'forward' | 'connect' | 'socks' | 'transparent';

export interface DnsDecision extends DecisionFacts {
  readonly kind: 'dns';
  readonly transport: 'udp' | 'tcp';
  /** As asked, canonical where it parses, else escaped. */
  readonly name: string;
  /** Mnemonic where known (`A`, `AAAA`, `HTTPS`), else `TYPE123`. */
  readonly type: string;
  readonly rcode: string;
  /** Synthetic or vetted addresses in the answer. */
  readonly answer?: readonly string[];
  /** How many refusals of a flood the event stands for; absent: itself alone. */
  readonly count?: number;
  /** Who in the guest asked; absent where that cannot be told. */
  readonly process?: ProcessFact;
}

export interface ConnectionDecision extends DecisionFacts {
  readonly kind: 'connection';
  /** Names this connection in later events of the run. */
  readonly connection: number;
  readonly via: Via;
  /** Hostname or address as judged; for what does not parse, the escaped text. */
  readonly host: string;
  readonly port: number;
  readonly protocol: Protocol | null;
  /** Plain HTTP only: method and path without query. */
  readonly method?: string;
  readonly path?: string;
  /** The first vetted address; the one that answered is in the close. Absent where a parent proxy gets the name. */
  readonly address?: string;
  readonly sni?: string;
  readonly alpn?: readonly string[];
  /** Original destination of a transparent stream. */
  readonly destination?: string;
  /** How many refusals of a flood the event stands for; absent: itself alone. */
  readonly count?: number;
  /** Which process of the guest opened it; absent where that cannot be told. */
  readonly process?: ProcessFact;
}

export interface ConnectionClose {
  readonly kind: 'close';
  readonly connection: number;
  readonly host: string;
  readonly port: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly durationMs: number;
  /** Why it ended, where not by the peers themselves. */
  readonly reason?: Reason;
  /** HTTP status that the origin gave, for forwards. */
  readonly status?: number;
  /** The address that was connected to, of those that were vetted; absent where a parent proxy chose it. */
  readonly address?: string;
  /** What went wrong with the upstream, in words or as the system names it; or which limit of time was reached. */
  readonly detail?: string;
}

/** Somebody on the host came to a published port. Written before a byte passes; the policy has no say in it. */
export interface InboundConnection {
  readonly kind: 'inbound';
  /** Names it in its close; of the same numbers as those of `connection`. */
  readonly connection: number;
  /** Address and port of who came; empty where the event stands for several. */
  readonly peer: string;
  /** Where it came to on the host. */
  readonly address: string;
  readonly port: number;
  readonly guestPort: number;
  readonly disposition: 'forwarded' | 'refused';
  /** Why it was refused. */
  readonly reason?: Reason;
  readonly detail?: string;
  /** How many refusals of a flood the event stands for; absent: itself alone. */
  readonly count?: number;
}

/** Ports that nothing listens on: counted by the link, told after the fact. */
export interface UnplantedAttempt extends DecisionFacts {
  readonly kind: 'unplanted';
  readonly transport: 'tcp' | 'udp' | 'icmp' | 'other';
  readonly host: string;
  readonly port: number;
  readonly count: number;
}

export interface ImageFact {
  /** As it was named. */
  readonly name: string;
  /** Of its manifest; null: a folder has none. */
  readonly digest: string | null;
}

export interface RunStart {
  readonly kind: 'run-start';
  readonly schema: typeof AUDIT_SCHEMA_VERSION;
  readonly run: string;
  /** What people call the guest, where it has a name of its own. */
  readonly name?: string;
  readonly sand: string;
  readonly node: string;
  readonly backend: string;
  readonly isolation: string;
  readonly confinement: 'enforced' | 'cooperative';
  /** What the guest's root is of, where it is not the host's system. */
  readonly image?: ImageFact;
  /** Arguments with secret-looking values replaced. */
  readonly command: readonly string[];
  readonly policy: {
    readonly name: string;
    readonly digest: string;
    readonly mode: string;
    readonly layers: readonly string[];
    /** Of a policy with phases: all of them in order, and the one that the guest begins in. */
    readonly phases?: readonly string[];
    readonly phase?: string;
  };
  readonly workdir: string;
  /** Shell texts that run in the guest before the command, each of which ends a phase. Redacted like it. */
  readonly before?: readonly string[];
  /** Names of the secrets that the guest was given as files. */
  readonly secrets?: readonly string[];
  /** Whether decisions say which process asked; absent in logs older than that. */
  readonly attribution?: 'process' | 'none';
  /** Of a log that its seal signs: `sha256` hex of the public key's SPKI form. */
  readonly key?: string;
}

/** A guest begins a later phase of its policy. */
export interface PhaseStart {
  readonly kind: 'phase';
  readonly phase: string;
  /** Which one, from 1. */
  readonly number: number;
  /** Digest of what holds in it. */
  readonly policy: string;
  /** What moved the guest on: a command of `--phase-after` that ended well, or somebody at the control socket. */
  readonly by: 'command' | 'control';
}

export interface ProbeResult {
  readonly kind: 'probe';
  readonly name: string;
  readonly passed: boolean;
  readonly detail: string;
}

/** Another command begins in a guest that runs: its own look at its place is on record before it. */
export interface ExecStart {
  readonly kind: 'exec';
  /** Which one of the run, from 1. */
  readonly exec: number;
  /** Arguments with secret-looking values replaced. */
  readonly command: readonly string[];
}

export interface ExecEnd {
  readonly kind: 'exec-end';
  readonly exec: number;
  readonly exitCode: number;
  readonly durationMs: number;
}

/** Somebody, or silence, has answered for a request that no rule decides. */
export interface ConsentAnswer {
  readonly kind: 'answer';
  readonly host: string;
  /** Null for a name that was looked up. */
  readonly port: number | null;
  readonly protocol: Protocol | null;
  /** `write`: a line in the policy file, and in this run; `never`: not in this run. */
  readonly answer: 'once' | 'run' | 'write' | 'deny' | 'never';
  /** A person at the terminal of the run or at its control socket, or nobody in time. */
  readonly by: 'terminal' | 'control' | 'silence';
  /** Id of the rule that a yes is; decisions that it allowed name it. */
  readonly rule: string;
  /** Digest of the policy from then on. */
  readonly policy: string;
  /** Requests that waited for it. */
  readonly waiting: number;
  readonly waitedMs: number;
}

/** Something sand found out that no single request shows (a protected file that the guest tried to change). */
export interface Notice {
  readonly kind: 'notice';
  readonly code: string;
  readonly detail: string;
  readonly at?: Origin;
}

export interface RunEnd {
  readonly kind: 'run-end';
  readonly exitCode: number;
  /** `stop`: somebody on the host ended the guest. */
  readonly cause: 'exit' | 'signal' | 'timeout' | 'stop' | 'error' | 'probe';
  readonly durationMs: number;
  /** Events in the log before this one; a log without it was cut or its run was killed. */
  readonly events: number;
  /** What a list of runs shows; absent in logs older than that. */
  readonly totals?: RunTotals;
  /** Ed25519 in base64 over this line with an empty text in the signature's place; absent: the log is not signed. */
  readonly signature?: string;
}

/** Requests by what became of them, as `summary.ts` folds them, without what is muted. */
export interface RunTotals {
  readonly denied: number;
  readonly wouldBeDenied: number;
  readonly failed: number;
  readonly allowed: number;
  readonly muted: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
  /** The few that were denied most often, and in report mode would have been; null port: only looked up. */
  readonly topDenied: readonly DeniedHost[];
}

export interface DeniedHost {
  readonly host: string;
  readonly port: number | null;
  readonly count: number;
}

export type AuditEntry =
  | RunStart
  | ProbeResult
  | DnsDecision
  | ConnectionDecision
  | ConnectionClose
  | InboundConnection
  | UnplantedAttempt
  | PhaseStart
  | ExecStart
  | ExecEnd
  | ConsentAnswer
  | Notice
  | RunEnd;

/** One line of the log as read back. */
export type AuditEvent = AuditEntry & {
  /** From 1, without gaps. */
  readonly seq: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly guest: string;
  /** `sha256` hex of the previous line's bytes, without its newline; 64 zeros for the first. */
  readonly prev: string;
};

/**
 * Where a gateway writes. `record` is synchronous: when it returns, the line is on its way to the disk by
 * `write(2)`; it throws an `AuditUnavailable` once the log cannot be written, and the caller refuses.
 */
export interface AuditSink {
  record(entry: AuditEntry): number;
}
