/**
 * The one interface of every backend, and the words that it speaks. What only some backends can do is a
 * field of `capabilities`; there is no ninth method.
 */
import type { Socket as DatagramSocket } from 'node:dgram';
import type { Readable } from 'node:stream';
import type { ProbeResult, ProcessFact } from '../../audit/event.ts';
import type { IpAddress } from '../../policies/model.ts';
import type { Isolation } from '../../policies/requirements.ts';
import type { GuestSocket } from '../../proxy/reader.ts';
import type { JournalEntry } from '../guests/journal.ts';
import type { Dial } from '../links/dial.ts';
import type { ResourceLimits } from '../resources/flags.ts';
import type { ResourceEvent } from '../resources/usage.ts';

export { ISOLATIONS, type Isolation } from '../../policies/requirements.ts';

/** Where neither a flag nor a file names one. */
export const DEFAULT_BACKEND = process.platform === 'darwin' ? 'apple-container' : 'linux';

export interface Capabilities {
  readonly guestSystem: 'linux' | 'macos';
  readonly link: 'namespace' | 'relay' | 'ethernet' | 'softnet' | 'nat';
  /** Whether clients that ignore proxy variables are served as well. */
  readonly transparent: boolean;
  readonly isolation: 'namespaces' | 'vm';
  readonly confinement: 'enforced' | 'cooperative';
  readonly terminal: boolean;
  /** Whether it can tell which process of a guest connects, under this isolation and without a word from the guest. */
  readonly processAttribution: readonly Isolation[];
  /** Whether the link has a way in, so that the host reaches servers of the guest. */
  readonly publishedPorts: boolean;
  /**
   * How files that the host would run or trust are kept from a guest that may write their folder: `held`, no write reaches
   * them; `restored`, what was changed is put back when the guest has ended.
   */
  readonly protection: 'held' | 'restored';
  /** Whether its guests have a screen. */
  readonly screen: boolean;
  /** Whether folders of no host can be kept for the next guest, by name. */
  readonly volumes: boolean;
}

/** One doctor check and what it found. */
export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly message: string;
  /** The command or step that cures it; null where nothing is to be done. */
  readonly remedy: string | null;
}

export interface MountSpec {
  /** Absolute and real, on the host. */
  readonly source: string;
  /** Absolute, in the guest. */
  readonly target: string;
  readonly writable: boolean;
}

/** A root of the guest's own instead of the host's system folders. */
export type GuestImage = UnpackedImage | NamedImage;

interface ImageOrigin {
  /** As the caller wrote it. */
  readonly name: string;
  /** Null for a folder. */
  readonly digest: string | null;
  /** The image's own variables. */
  readonly environment: Readonly<Record<string, string>>;
}

/** One that the backend's own tool keeps under its name. */
export interface NamedImage extends ImageOrigin {
  readonly kind: 'named';
  /** What of it is run. */
  readonly platform: 'linux/amd64' | 'linux/arm64' | 'macos/arm64';
  /** Who its commands are, as the caller or else the image says: `USER[:GROUP]`, names or numbers of its own; empty: root. */
  readonly user: string;
}

export interface UnpackedImage extends ImageOrigin {
  readonly kind: 'unpacked';
  /** Folder on the host with its files, never written: what the guest writes is its own and goes with it. */
  readonly root: string;
  /** An empty folder on the host, where the guest's root is put together in a mount namespace of its own. */
  readonly scratch: string;
  /** Who its commands are; `listed`: whether its passwd has a line for that number. */
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly user: string;
    readonly home: string;
    readonly listed: boolean;
  };
}

export interface ScreenSpec {
  /** Whether people can look at it, by VNC. */
  readonly isShown: boolean;
  /** `WIDTHxHEIGHT`; null: as its image has it. */
  readonly size: string | null;
}

export interface GuestSpec {
  /** Unique among the guests of this user; checked before it gets here. */
  readonly name: string;
  readonly mounts: readonly MountSpec[];
  /** In the guest. */
  readonly workdir: string;
  /** What the caller named with `--env`; the backend adds what every guest has. */
  readonly environment: Readonly<Record<string, string>>;
  readonly shares: readonly Share[];
  /** Certificate authorities, as PEM text, that the guest's tools trust besides the system's. */
  readonly authorities: readonly string[];
  /** Folder on the host that keeps package caches; null for none. */
  readonly cache: string | null;
  /** How long the guest's own resolver waits for an answer; absent: what clients are used to. */
  readonly lookupSeconds?: number;
  /** What `--secret` gave, as files that the guest alone reads; absent: none. */
  readonly secrets?: readonly { readonly name: string; readonly content: Buffer }[];
  /** What stands between the guest and the host's kernel; absent: `namespaces`. */
  readonly isolation?: Isolation;
  /** Policy files in force; read-only in the guest wherever a mount shows them. */
  readonly policyFiles: readonly string[];
  /** Kept from guest to guest and of no folder of the host's; made where they are not there yet; absent: none. */
  readonly volumes?: readonly GuestVolume[];
  /** Below which its policy allows names, for links whose guests have to be told; absent: none. */
  readonly domains?: readonly string[];
  /** What it may use of the host; absent: all of it. */
  readonly resources?: ResourceLimits;
  /** Whether the guest can write nothing but its private folders; absent: what `mounts` says. */
  readonly readOnly?: boolean;
  /** Absent: as its image has it, and shown to nobody. */
  readonly screen?: ScreenSpec;
  /** Absent: the guest sees the host's system, read-only. */
  readonly image?: GuestImage;
  /** Who the guest's processes are in its own eyes; absent: the backend's choice. Gives no right, on the host or inside. */
  readonly user?: GuestUser;
  /** Where the backend may keep files of this guest's on the host; each is noted before it is made. */
  readonly place: GuestPlace;
}

export interface GuestVolume {
  /** Unique among the volumes of this user. */
  readonly name: string;
  /** Absolute, in the guest. */
  readonly target: string;
  /** As the caller calls it, and for which project, for lists of them. */
  readonly label: string;
  readonly project: string;
}

export interface GuestUser {
  readonly uid: number;
  readonly gid: number;
}

export interface GuestPlace {
  /** Not there yet. */
  readonly folder: string;
  /** What is noted is removed at the end of the run, or of a run that was killed, by whoever finds it. */
  note(entry: JournalEntry): void;
  /** What takes its time, for `--verbose`. */
  readonly told?: (message: string) => void;
}

/** Of backends that have several. */
export const DEFAULT_ISOLATION: Isolation = 'namespaces';

export const SHARES = ['ssh-agent', 'gitconfig', 'known-hosts', 'npmrc'] as const;
export type Share = (typeof SHARES)[number];

export interface GuestRef {
  readonly name: string;
  /** Of a started guest: plain data, by which another process of the same user can run commands in it. */
  readonly handle?: GuestHandle;
}

/** As JSON keeps it; only the backend that made it reads it. */
export type GuestHandle = Readonly<Record<string, unknown>>;

export interface GuestCommand {
  readonly argv: readonly string[];
  /** On top of the guest's own variables. */
  readonly environment?: Readonly<Record<string, string>>;
  /** As the guest sees it; absent: the guest's own. */
  readonly workdir?: string;
  /** Standard input may be what a stream gives; it is closed when that ends. */
  readonly stdio: readonly ['inherit' | 'ignore' | Readable, 'inherit' | 'pipe', 'inherit' | 'pipe'];
  /** Called with output where stdio says `pipe`; the guest gives no more of that stream before a promise has settled. */
  readonly output?: (stream: 'stdout' | 'stderr', chunk: Buffer) => Promise<void> | undefined;
  /** Whether any of the inherited streams is a terminal. */
  readonly terminal: boolean;
  /** Gets what was looked at in the command's own place, passed or not, before it may run; it is held until this settles. */
  readonly admit: (results: readonly ProbeResult[]) => Promise<void> | void;
  /** Called once the command runs; `forward` sends it a signal. */
  readonly started?: (running: { forward(signal: NodeJS.Signals): void }) => void;
  /** Aborting it ends the command: SIGTERM, and SIGKILL after `graceMs`. */
  readonly signal: AbortSignal;
  readonly graceMs: number;
  /** Aborting it ends the command at once. */
  readonly kill: AbortSignal;
}

export interface ExitStatus {
  /** The command's own, or 128+N for signal N; 126 and 127 where it could not be run. */
  readonly code: number;
}

/** What the guest tried that only shows when it has ended. */
export interface Observation {
  readonly code:
    | 'protected-file-created'
    | 'protected-file-changed'
    | 'protected-file-replaced'
    | 'gateway-strangers'
    | ResourceEvent['code'];
  readonly detail: string;
}

export interface RefusedDestination {
  readonly transport: 'tcp' | 'udp' | 'icmp' | 'other';
  readonly address: string;
  readonly port: number;
  readonly count: number;
}

export interface Inspection {
  readonly running: boolean;
  readonly details: Readonly<Record<string, string | number>>;
}

/** The guest's end of a connection or datagram, as the guest sees it. */
export interface ClientEnd {
  readonly transport: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** Where it connected to; absent for a datagram, which may go anywhere. */
  readonly destination?: { readonly address: string; readonly port: number };
}

/** The process of the guest that holds this end; null where that cannot be told. Bounded in time, never throws. */
export type Attribute = (end: ClientEnd) => ProcessFact | null;

/** What a backend needs of the gateway of one guest: where to put what arrives, and its probe answers. */
export interface GatewayPort {
  readonly ports: readonly number[];
  /** Called when a changed policy can allow more ports; resolves when they are planted. */
  onMorePorts(plant: (ports: readonly number[]) => Promise<void>): void;
  /** Of the guest, that the host reaches; no others may be dialled. */
  readonly publishedPorts: readonly number[];
  /**
   * Called before anything of the guest's runs where its link carries no address of the world, only the guest's own loopback:
   * names stand for addresses of 127.18.0.0/15 then.
   */
  synthesizeInLoopback(): void;
  /**
   * Called before anything of the guest's runs where what it dials itself comes to no gateway: names stand for their own
   * addresses then.
   */
  answerRealAddresses(): void;
  /** Called where a link has opened a listener on the host: nobody may dial it. */
  listensAt(place: { readonly address: string; readonly port: number }): void;
  /** Called once the link is up, where ports are published, with its way in. */
  onDial(dial: Dial): void;
  /** Connections at the guest's proxy port. */
  acceptProxy(socket: GuestSocket): void;
  /** A connection whose original destination is known. */
  acceptStream(
    socket: GuestSocket,
    destination: { readonly address: IpAddress; readonly port: number },
  ): void;
  /** DNS of the guest, framed as over TCP; `udp` where a link carries a datagram so, and the answer has to fit one. Absent: `tcp`. */
  acceptDnsStream(socket: GuestSocket, transport?: 'tcp' | 'udp'): void;
  acceptDnsDatagrams(socket: DatagramSocket): void;
  /** Called by a backend that says it can tell, before anything of the guest's runs; with null where it turns out that it cannot. */
  attributeBy(attribute: Attribute | null): void;
  /** Start probes: names that this gateway alone answers or denies, and the line it greets connections with. */
  readonly probe: { readonly reservedName: string; readonly deniedName: string; readonly greeting: string };
  /** Host listeners that a guest must not reach, for the probes. */
  readonly hostListeners: readonly { readonly address: string; readonly port: number }[];
  record(probe: ProbeResult): void;
  refused(destinations: readonly RefusedDestination[]): void;
  /** The link broke: the guest has no way out any more. */
  lost(error: Error): void;
}

export interface StartedGuest {
  readonly handle: GuestHandle;
  /** Settles when the start probes have: rejects with `probe-failed`. */
  readonly confined: Promise<void>;
}

export interface SandboxBackend {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Of backends that have several: what `--link` may name. Its guests have that of its capabilities. */
  readonly links?: readonly string[];
  /** What a guest reaches besides its gateway, in words; absent or empty: nothing. */
  readonly inReach?: readonly string[];
  /** Whether its guests are for watching alone, since nothing that a policy refuses is kept from them. */
  readonly watchesOnly?: boolean;
  /** For doctor; changes nothing. */
  probe(): Promise<readonly Finding[]>;
  /** Idempotent for the same spec; boots nothing. */
  create(spec: GuestSpec): Promise<GuestRef>;
  /**
   * Resolves when the link is up and the guest is there, with the handle; a command is held until the start probes have
   * passed. The handle is for others only then: see `confined`.
   */
  start(guest: GuestRef, gateway: GatewayPort, signal: AbortSignal): Promise<GuestRef & StartedGuest>;
  /** In a guest that this process started, or in any whose reference has its handle. */
  exec(guest: GuestRef, command: GuestCommand): Promise<ExitStatus>;
  inspect(guest: GuestRef): Promise<Inspection>;
  /** Ends what runs in the guest: SIGTERM, and SIGKILL after the grace, at once where that is 0. Gives what only now shows. */
  stop(guest: GuestRef, graceMs: number): Promise<readonly Observation[]>;
  /** Removes all that `create` and `start` made. Idempotent. */
  destroy(guest: GuestRef): Promise<void>;
  list(): Promise<readonly GuestRef[]>;
}
