/** What a run is asked for, settled, and what comes of it. Types only; `plan.ts` makes the one, `session.ts` the other. */
import type { AuditEntry, RunEnd, RunTotals } from '../../audit/event.ts';
import type { RunPlace } from '../../audit/runs.ts';
import type { SigningKey } from '../../audit/signature.ts';
import type { Row } from '../../audit/summary.ts';
import type { DnsUpstream } from '../../dns/context.ts';
import type { PolicyInForce } from '../../policies/model.ts';
import type {
  GuestCommand,
  GuestImage,
  GuestUser,
  GuestVolume,
  Isolation,
  MountSpec,
  SandboxBackend,
  ScreenSpec,
  Share,
} from '../backends/backend.ts';
import type { SandError } from '../errors.ts';
import type { ParentSettings } from '../gateway/parent-proxy.ts';
import type { GuestName } from '../guests/name.ts';
import type { GuestRecord } from '../guests/registry.ts';
import type { MetricsPlace } from '../metrics/place.ts';
import type { ResourceLimits } from '../resources/flags.ts';
import type { AskSettings } from './asking.ts';
import type { Observers } from './observers.ts';
import type { PolicyChoice, PolicyNotice, PolicyReread } from './policy-choice.ts';
import type { PolicyCourse } from './policy-course.ts';
import type { PortFlag } from './port-flag.ts';
import type { Secret } from './secret-reading.ts';
import type { StateTeller } from './state-teller.ts';

export interface SessionRequest {
  readonly backend: SandboxBackend;
  /** With all its phases; the guest begins in the first. */
  readonly inForce: PolicyInForce;
  /** Reads the policy's files again; null where they are read once. */
  readonly reread: (() => PolicyReread) | null;
  /** Where each layer of the policy came from, for the header of the log. */
  readonly layers: readonly string[];
  /** What is to be told of the policy. */
  readonly notices?: readonly PolicyNotice[];
  /** The policy file that a rule for the run goes into. */
  readonly policyFile?: string;
  /** The `sand.yaml` that the run is described by. */
  readonly projectFile?: string;
  /** Further files that the guest must not write; absent: none. */
  readonly guarded?: readonly string[];
  readonly mounts: readonly MountSpec[];
  /** Absent: none. */
  readonly volumes?: readonly GuestVolume[];
  readonly workdir: string;
  /** Absent: the guest sees the host's system. */
  readonly image?: GuestImage;
  readonly environment: Readonly<Record<string, string>>;
  readonly shares: readonly Share[];
  /** PEM text of each. */
  readonly authorities: readonly string[];
  readonly cache: string | null;
  /** Who the guest is in its own eyes; null: the backend's choice, or an image's. */
  readonly user: GuestUser | null;
  /** Whether the guest can write nothing of the host. */
  readonly readOnly?: boolean;
  readonly isolation: Isolation;
  /** Absent: as the image has it, and shown to nobody. */
  readonly screen?: ScreenSpec;
  /** Which link the caller wants; absent: the backend's. */
  readonly link?: string;
  readonly resources?: ResourceLimits;
  /** Ports of the guest that the host reaches; absent: none. */
  readonly ports?: readonly PortFlag[];
  /** Files for the guest; absent: none. */
  readonly secrets?: readonly Secret[];
  /** Signs the seal of the log. */
  readonly auditKey?: SigningKey;
  readonly timeoutMs: number | null;
  readonly dnsPort: number;
  readonly dnsUpstreams: readonly DnsUpstream[];
  /** The proxies that this host itself needs; null: none. */
  readonly parents: ParentSettings | null;
  /** What people call the guest; null: the run's id. */
  readonly name: GuestName | null;
  /** Of a guest in the background: told once, when commands can run in it; its output is kept beside the log. Null: in the foreground. */
  readonly ready: ((guest: GuestRecord) => void) | null;
  /** The policy that these names mean, as with `--policy`. */
  readonly choosePolicy: (policies: readonly string[]) => Promise<PolicyChoice>;
  /** Shell texts that run in the guest before the command; the end of each, with 0, moves it into the next phase. */
  readonly before: readonly string[];
  /** None: the guest is held until somebody ends it. */
  readonly command: readonly string[];
  /** Who is asked about what no rule decides; null: nobody. */
  readonly ask: AskSettings | null;
  /** Where the counters are served; absent: only at the control socket. */
  readonly metrics?: MetricsPlace;
  readonly stdio: GuestCommand['stdio'];
  readonly terminal: boolean;
  readonly output?: GuestCommand['output'];
  /** Signals of the caller, to be passed on to the command. */
  readonly signals: SignalSource;
  readonly environ: Readonly<Record<string, string | undefined>>;
  /** Told as things happen, for `--verbose`. */
  readonly told: (message: string) => void;
}

export interface SignalSource {
  /** `shared`: the terminal gives that signal to a running command by itself. Gives what ends the listening. */
  listen(receive: (signal: NodeJS.Signals, shared: boolean) => void): () => void;
}

export interface SessionResult {
  readonly run: RunPlace;
  readonly exitCode: number;
  readonly cause: RunEnd['cause'];
  readonly durationMs: number;
  readonly rows: readonly Row[];
  /** As the seal of the log has them. */
  readonly totals: RunTotals;
  readonly notices: readonly string[];
  /** What went wrong in sand, if anything; the command's own failure is an exit code. */
  readonly error: SandError | null;
  /** Steps of the teardown that failed. */
  readonly teardown: readonly SandError[];
}

/** A run on its way. */
export interface Session {
  readonly guest: GuestRecord;
  readonly course: PolicyCourse;
  readonly record: (entry: AuditEntry) => number;
  readonly observers: Observers;
  readonly state: StateTeller;
  /** Aborted when the log cannot be written any more. */
  readonly broken: AbortSignal;
}
