/**
 * The words of `sand verify`: what an attack is, what must come of it, where it is tried, and what was seen of it. Types
 * only; the lists are in `attacks.ts` and `guest-attacks.ts`, the verdicts in `judgement.ts`.
 */
import type { AuditEvent } from '../../audit/event.ts';
import type { Capabilities, Isolation } from '../backends/backend.ts';
import type { NamedObservations } from '../links/relay/named-attempts.ts';
import type { RelayAttempt } from '../links/relay/relay-program.ts';

/** A listener of verify's own on the host that no guest may reach. */
export interface Canary {
  readonly address: string;
  /** Of TCP and of UDP. */
  readonly port: number;
}

/** Where it is tried: what verify has made on the host, as the guest would name it. */
export interface Grounds {
  readonly link: Capabilities['link'];
  readonly guestSystem: Capabilities['guestSystem'];
  readonly protection: Capabilities['protection'];
  readonly isolation: Isolation;
  /** Whose kernel the guest runs on: an attack on one of its own harms nobody else. */
  readonly kernel: 'host' | 'own';
  /** Of this run alone; all names and secrets below hold it. */
  readonly token: string;
  readonly canaries: readonly Canary[];
  /** Of a Unix socket on the host. */
  readonly socketPath: string;
  /** Of the caller's agent; null where there is none. */
  readonly agentPath: string | null;
  /** Files of the host outside the workspace that hold `secret`. */
  readonly secretPaths: readonly string[];
  readonly secret: string;
  /** Value of a variable of the caller's. */
  readonly variable: string;
  /** Where the audit logs lie. */
  readonly logFolder: string;
  /** The one name that the policy allows, on these two ports of verify's own servers. */
  readonly allowedName: string;
  readonly webPort: number;
  readonly tlsPort: number;
  /** Free on the host: the guest serves there, and nobody of the host must reach it. */
  readonly servePort: number;
  /** The workspace as the guest sees it, and the folder with the program, which is shown read-only. */
  readonly workspace: string;
  readonly program: string;
}

/** What of it the verdicts rest on. */
export type Where = Pick<Grounds, 'link' | 'kernel' | 'isolation'>;

export type Must =
  /** Nobody answers there, or the gateway refuses it on record. */
  | {
      readonly kind: 'unreachable';
      readonly transport: 'tcp' | 'udp' | 'icmp';
      readonly address: string;
      readonly port: number;
    }
  /** The question leaves the host for no resolver. */
  | { readonly kind: 'unasked'; readonly name: string }
  /**
   * No server of verify's gets this text. `told`: the gateway has to say so with its reason, since nobody else sees where it goes;
   * else the connection may as well be ended, and a tunnel may have been opened before.
   */
  | { readonly kind: 'unsent'; readonly text: string; readonly end: 'told' | 'any' }
  /** Refused with this reason, by the gateway and on record: what is denied is denied by the policy. */
  | { readonly kind: 'refused'; readonly host: string; readonly reason: string }
  /** A control: it has to work, or the guest cannot try anything. */
  | { readonly kind: 'served'; readonly text: string }
  /** A destination claimed at the gateway's own socket is judged like any other. */
  | { readonly kind: 'judged'; readonly address: string; readonly port: number }
  /** It fails. `absent`: errors that would mean that there was nothing to try it on. */
  | { readonly kind: 'fails'; readonly absent: readonly number[] }
  /** It fails, and the file on the host is as it was. */
  | { readonly kind: 'intact'; readonly file: string; readonly absent: readonly number[] }
  /** A control: it has to work. */
  | { readonly kind: 'works' }
  /** It may work while the guest runs; in the end the file on the host is as it was. */
  | { readonly kind: 'restored'; readonly file: string }
  /** It may work; the host's clipboard has not this text. */
  | { readonly kind: 'uncopied'; readonly text: string }
  /** The host takes no address of what the guest announced. */
  | { readonly kind: 'unbelieved' }
  /** The guest's own server, which nobody but itself came to. */
  | { readonly kind: 'unserved' }
  | { readonly kind: 'interfaces' | 'routes' | 'privileges' }
  /** Of sand itself: the start probes, the log, the listeners that nobody may come to. */
  | { readonly kind: 'probes' | 'log' | 'unvisited' };

export interface Attack {
  /** Letters, digits and `-`; unique. */
  readonly id: string;
  /** In words, for people. */
  readonly tried: string;
  /** By the guest's program; null: only the host looks. */
  readonly attempt: RelayAttempt | null;
  readonly must: Must;
  /** Whether it has to hold; else it is told. */
  readonly isBinding: boolean;
  /** Places of canaries that it aims at, as `Visit` names them. */
  readonly aims: readonly string[];
}

/** Somebody came to a canary. */
export interface Visit {
  /** `tcp ADDRESS`, `udp ADDRESS` or `unix`. */
  readonly place: string;
  readonly from: string;
}

/** What the host saw by itself, without a word of the guest. */
export interface HostEvidence {
  readonly visits: readonly Visit[];
  /** Names that verify's own resolver was asked for. */
  readonly questions: readonly string[];
  /** What the servers of the allowed name got, one text a connection. */
  readonly received: readonly string[];
  /** Addresses of the host where the guest's own server answered. */
  readonly servedAt: readonly string[];
  /** Of each planted file, by its name in the workspace: null where it is as it was, else what is wrong with it. */
  readonly files: ReadonlyMap<string, string | null>;
  /** Of its interfaces, once the guest has ended. */
  readonly addresses: readonly string[];
  /** Null where it could not be looked at; not asked for where the guest's system has none. */
  readonly clipboard: string | null;
}

export interface Evidence {
  /** Null: what the guest's program printed does not read. */
  readonly observations: NamedObservations | null;
  readonly host: HostEvidence;
  readonly events: readonly AuditEvent[];
  /** Null where the log is whole, else what is wrong with it. */
  readonly logProblem: string | null;
}

export interface Judged {
  /** `open`: a way out or in. `untold`: nothing shows that it is shut. */
  readonly verdict: 'held' | 'open' | 'untold';
  readonly happened: string;
}

export interface Row extends Judged {
  readonly id: string;
  readonly tried: string;
  /** Whether it has to hold. */
  readonly must: boolean;
}
