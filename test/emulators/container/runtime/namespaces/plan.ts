/**
 * Decides the steps by which entry.c makes a guest of a container, or joins one: pure, apart from what the caller has found
 * out of files. How each step is done is the program's.
 */
import { posix } from 'node:path';
import type { Configuration, Process } from '../../containers.ts';
import type { Credentials } from './users.ts';

/** What of `/proc` and `/sys` a guest does not read, and what it does not write. */
export const MASKED = [
  ...['acpi', 'asound', 'interrupts', 'kcore', 'keys', 'latency_stats', 'sched_debug', 'scsi'].map(
    (name) => `/proc/${name}`,
  ),
  ...['/proc/timer_list', '/proc/timer_stats', '/sys/firmware', '/sys/devices/virtual/powercap'],
];
export const SEALED = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);

const DEVICES = [
  ['null', '1', '3'],
  ['zero', '1', '5'],
  ['full', '1', '7'],
  ['random', '1', '8'],
  ['urandom', '1', '9'],
  ['tty', '5', '0'],
] as const;

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The kernel's numbers. */
const LIMITS = [
  ...[
    'cpu',
    'fsize',
    'data',
    'stack',
    'core',
    'rss',
    'nproc',
    'nofile',
    'memlock',
    'as',
    'locks',
    'sigpending',
  ],
  ...['msgqueue', 'nice', 'rtprio', 'rttime'],
];

/** What a root file system is put together of. */
export interface RootParts {
  /** Where the root is put together, seen only by the guest. */
  readonly workFolder: string;
  readonly imageRoot: string;
  /** Folders of an image over its root, the top one first. */
  readonly layers: readonly string[];
  /** Where changes go: a folder of the host, or null for memory that is gone with the guest. */
  readonly upper: string | null;
  /** Entries of the image's root that the guest does not see, and folders that it finds empty. */
  readonly hidden: readonly string[];
  readonly emptied: readonly string[];
}

/** Steps of entry.c. */
export type KernelLack = 'no-netfilter' | 'no-vsock';

export interface GuestParts extends RootParts {
  readonly configuration: Configuration;
  /** By destination, in the order of the mounts; sources on the host without links. */
  readonly binds: readonly {
    readonly source: string;
    readonly target: string;
    readonly isReadOnly: boolean;
  }[];
  readonly tmpfs: readonly { readonly target: string; readonly options: string }[];
  readonly credentials: Credentials;
  readonly capabilities: bigint;
  /** What the kernel is made to lack. */
  readonly kernelLacks: readonly KernelLack[];
  /** Whether the network is one of its own, since this machine's is not the guest's. */
  readonly hasNetworkOfItsOwn: boolean;
}

/** Makes the namespaces, and runs the entrypoint as PID 1 of them; it dies with whoever runs this. */
export function planGuest(parts: GuestParts, isInteractive: boolean): readonly string[] {
  const { configuration, workFolder } = parts;
  const root = `${workFolder}/root`;
  const { initProcess } = configuration;
  return [
    ...['tied', ...(isInteractive ? ['stdin'] : []), ...(initProcess.terminal ? ['pty'] : [])],
    ...[
      parts.hasNetworkOfItsOwn ? 'unshare' : 'unshare-guest',
      'fork',
      'lo',
      'hostname',
      configuration.id.split('.')[0] ?? configuration.id,
    ],
    ...planRoot(parts, root),
    ...['pivot', root],
    ...planSystem(configuration.shmSize),
    ...planNames(configuration),
    ...parts.tmpfs.flatMap(({ target, options }) => [
      'mount',
      'tmpfs',
      'tmpfs',
      target,
      'nosuid,nodev',
      options,
    ]),
    ...parts.binds.flatMap(({ source, target, isReadOnly }) => [
      ...['bind', `/.old${source}`, target],
      ...(isReadOnly ? ['remount', target, 'ro'] : []),
    ]),
    ...(configuration.maskedPaths ?? MASKED).flatMap((path) => ['mask', path]),
    ...(configuration.readonlyPaths ?? SEALED).flatMap((path) => ['seal', path]),
    ...['unpivot', 'folder', initProcess.workingDirectory],
    ...(configuration.readOnly ? ['remount', '/', 'ro'] : []),
    ...planProcess(initProcess, parts.credentials, parts.capabilities, parts.kernelLacks),
  ];
}

/** A command of a build: in namespaces of its own but for the network, which is the host's. */
export function planBuildRun(
  parts: RootParts,
  process: Process,
  credentials: Credentials,
  capabilities: bigint,
  resolver: string,
): readonly string[] {
  const root = `${parts.workFolder}/root`;
  return [
    ...['tied', 'unshare-files', 'fork'],
    ...planRoot(parts, root),
    ...['pivot', root],
    ...planSystem(undefined),
    // A file of the build alone, which is in no layer.
    ...['file', '/dev/.resolv.conf', resolver, 'bind', '/dev/.resolv.conf', '/etc/resolv.conf'],
    'unpivot',
    ...planProcess(process, credentials, capabilities, ['no-vsock']),
  ];
}

/** One more process in the namespaces of `init`. */
export function planExec(
  init: number,
  process: Process,
  credentials: Credentials,
  capabilities: bigint,
  kernelLacks: readonly KernelLack[],
  isInteractive: boolean,
): readonly string[] {
  return [
    ...(isInteractive ? ['stdin'] : []),
    ...(process.terminal ? ['pty'] : []),
    ...['join', String(init), 'fork'],
    ...planProcess(process, credentials, capabilities, kernelLacks),
  ];
}

/** Puts the root file system together at `root`, and leaves everything else as it is. */
export function planRoot(
  { workFolder, imageRoot, layers, hidden, emptied, upper: kept }: RootParts,
  root: string,
): readonly string[] {
  const upper = kept ?? `${workFolder}/upper`;
  const work = kept === null ? `${workFolder}/work` : `${kept}.work`;
  const base = `${workFolder}/base`;
  // Layers on the host's own file system lie below its root, which the kernel refuses to overlay with them in one step.
  const isNested = imageRoot === '/' && (layers.length > 0 || kept !== null);
  const system = `${workFolder}/system`;
  const lower = isNested ? [...layers, system] : [...layers, base, imageRoot];
  return [
    ...['mount', 'tmpfs', 'tmpfs', workFolder, '', 'mode=755'],
    ...[base, upper, work, root].flatMap((folder) => ['folder', folder]),
    ...hidden.flatMap((name) => ['whiteout', posix.join(base, name)]),
    ...emptied.flatMap((name) => ['opaque', posix.join(base, name)]),
    ...emptied
      .filter((name) => /(^|\/)tmp$/.test(name))
      .flatMap((name) => ['mode', posix.join(base, name), '1777']),
    ...(isNested ? ['mount', 'overlay', 'overlay', system, 'ro', overlayOptions([base, imageRoot])] : []),
    ...['mount', 'overlay', 'overlay', root, '', overlayOptions(lower, { upper, work })],
  ];
}

function overlayOptions(
  lower: readonly string[],
  writable?: { readonly upper: string; readonly work: string },
): string {
  const options = [`lowerdir=${lower.map(escapeOption).join(':')}`];
  if (writable !== undefined) {
    options.push(`upperdir=${escapeOption(writable.upper)}`, `workdir=${escapeOption(writable.work)}`);
  }
  return options.join(',');
}

/** Options of a mount are separated by commas, lower folders by colons. */
function escapeOption(path: string): string {
  return path.replace(/[\\,:]/g, (sign) => `\\${sign}`);
}

/** The kernel's own file systems and devices, inside the root. */
export function planSystem(shmSize: number | undefined): readonly string[] {
  return [
    ...['mount', 'proc', 'proc', '/proc', 'nosuid,nodev,noexec', ''],
    ...['mount', 'sysfs', 'sysfs', '/sys', 'ro,nosuid,nodev,noexec', ''],
    ...['mount', 'tmpfs', 'dev', '/dev', 'nosuid,noexec', 'mode=755,size=1m'],
    ...DEVICES.flatMap(([name, major, minor]) => ['device', `/dev/${name}`, '666', major, minor]),
    ...['mount', 'devpts', 'devpts', '/dev/pts', 'nosuid,noexec', 'newinstance,ptmxmode=0666,mode=0620'],
    ...['mount', 'tmpfs', 'shm', '/dev/shm', 'nosuid,nodev,noexec', `mode=1777,size=${shmSize ?? 67108864}`],
    ...['mount', 'mqueue', 'mqueue', '/dev/mqueue', 'nosuid,nodev,noexec', ''],
    ...['link', 'pts/ptmx', '/dev/ptmx', 'link', '/proc/self/fd', '/dev/fd'],
    ...['stdin', 'stdout', 'stderr'].flatMap((name, at) => ['link', `/proc/self/fd/${at}`, `/dev/${name}`]),
  ];
}

/** Both files replace the image's; without `--dns` and without a network there is no nameserver. */
function planNames({ dns }: Configuration): readonly string[] {
  const hosts = ['file', '/etc/hosts', '127.0.0.1 localhost\n'];
  if (dns === undefined) return hosts;
  const lines = [
    ...dns.nameservers.map((address) => `nameserver ${address}`),
    ...(dns.domain === undefined ? [] : [`domain ${dns.domain}`]),
    ...(dns.searchDomains.length === 0 ? [] : [`search ${dns.searchDomains.join(' ')}`]),
    ...(dns.options.length === 0 ? [] : [`options ${dns.options.join(' ')}`]),
  ];
  return ['file', '/etc/resolv.conf', lines.map((line) => `${line}\n`).join(''), ...hosts];
}

function planProcess(
  process: Process,
  { uid, gid, groups, home }: Credentials,
  capabilities: bigint,
  kernelLacks: readonly KernelLack[],
): readonly string[] {
  const environment = [...process.environment];
  const adds = (name: string, value: string) => {
    if (!environment.some((entry) => entry.startsWith(`${name}=`))) environment.push(`${name}=${value}`);
  };
  adds('PATH', DEFAULT_PATH);
  adds('HOME', home ?? '/');
  if (process.terminal) adds('TERM', 'xterm');
  return [
    ...process.rlimits.flatMap(({ limit, soft, hard }) => [
      'limit',
      limitNumber(limit),
      String(soft),
      String(hard),
    ]),
    ...kernelLacks,
    ...['chdir', process.workingDirectory],
    ...['credentials', capabilities.toString(16), String(uid), String(gid), groups.join(',')],
    ...environment.flatMap((entry) => ['env', entry]),
    ...['exec', process.executable, ...process.arguments],
  ];
}

function limitNumber(name: string): string {
  return String(LIMITS.indexOf(name.replace(/^RLIMIT_/i, '').toLowerCase()));
}
