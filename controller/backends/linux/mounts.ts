/**
 * The guest's file system as an ordered list of mounts: an allowlist like egress. From facts about the host
 * (gathered by `host-files.ts`) and what the caller asked for, it decides what the guest sees and what of
 * that it can write. Pure; `argv.ts` turns the list into bubblewrap's arguments.
 */

import { isWithin } from '../../guest/file-state.ts';
import { tmpfsBytes } from '../../resources/disk.ts';

export type Mount =
  | { readonly kind: 'bind'; readonly source: string; readonly target: string; readonly writable: boolean }
  | { readonly kind: 'device'; readonly source: string; readonly target: string }
  | {
      readonly kind: 'tmpfs';
      readonly target: string;
      readonly mode: string;
      /** Absent: what the kernel lets it hold. */
      readonly sizeBytes?: number;
    }
  | { readonly kind: 'read-only'; readonly target: string }
  | { readonly kind: 'symlink'; readonly value: string; readonly target: string }
  | { readonly kind: 'data'; readonly target: string; readonly content: string | Buffer }
  /** Written into the guest's own file system; `mode` absent: bubblewrap's own, 0666 less the umask. */
  | {
      readonly kind: 'file';
      readonly target: string;
      readonly content: string | Buffer;
      readonly mode?: string;
    }
  | { readonly kind: 'directory'; readonly target: string; readonly mode: string }
  /** What was mounted there becomes read-only, once all before it has been put in. */
  | { readonly kind: 'seal'; readonly target: string }
  | { readonly kind: 'proc' }
  | { readonly kind: 'dev' };

/** What of the host decides the plan. Paths are absolute and real (no symlink in them). */
export interface HostFiles {
  /** Entries of the system that exist, in order: a folder, or a symlink with its value. */
  readonly system: readonly { readonly path: string; readonly link: string | null }[];
  /** Of /etc (and other system folders, for a root caller): what `nobody` could not read, FIFOs, sockets. */
  readonly unreadable: readonly { readonly path: string; readonly folder: boolean }[];
  /** Real paths of the files that sand replaces; null where the host has none. */
  readonly resolvConf: string;
  readonly hosts: string | null;
  readonly nsswitch: string | null;
  readonly passwd: string | null;
  readonly group: string | null;
  /** Top-level entries of /proc that a root caller's guest could write. */
  readonly procWritable: readonly string[];
  /** Top-level files of /proc that a guest must not read. */
  readonly procHidden: readonly string[];
  /** Toolchain folders of the caller's home that exist. */
  readonly toolchains: readonly string[];
  /** Listening Unix sockets of the host, by path. */
  readonly sockets: readonly string[];
}

export interface GuestIdentity {
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly home: string;
}

export interface Workspace {
  readonly source: string;
  readonly target: string;
  readonly writable: boolean;
}

export interface FilesRequest {
  readonly host: HostFiles;
  readonly identity: GuestIdentity;
  /** Ordered by target; the first is the working directory unless `--mount` said otherwise. */
  readonly workspaces: readonly Workspace[];
  /** Mounts that keep protected files read-only; see `protected-files.ts`. */
  readonly guards: readonly Mount[];
  /** Package caches and shares, as plain mounts in the guest's home and /run. */
  readonly extras: readonly Mount[];
  readonly nameserver: string;
  /** Bounds what all private folders together hold; absent: nothing does. */
  readonly diskMiB?: number | null;
  /** How long the guest's resolver waits for an answer; absent: `LOOKUP_SECONDS`. */
  readonly lookupSeconds?: number;
}

/** The C library's own: clients are used to it. */
const LOOKUP_SECONDS = 5;

/** Limits of the reader's own user namespace, which only its root may set (namespaces(7)). */
const USER_LIMITS = '/proc/sys/user';

/** Name of the guest in its own eyes. */
export const GUEST_HOSTNAME = 'sand-guest';

/** System folders of the host that a guest sees, read-only. Everything else of the root is not there. */
export const SYSTEM_FOLDERS: readonly string[] = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/etc',
  '/opt',
  '/nix',
  '/gnu',
  '/run/current-system',
  '/var/lib/ca-certificates',
  '/var/lib/dpkg',
  '/sys/devices/system/cpu',
];

/** Folders of a home that hold toolchains and no credentials. Relative to it. */
export const TOOLCHAIN_FOLDERS: readonly string[] = [
  '.asdf',
  '.bun/bin',
  '.cargo/bin',
  '.deno/bin',
  '.dotnet',
  '.fnm',
  '.ghcup',
  '.goenv',
  '.juliaup',
  '.local/bin',
  '.local/lib',
  '.local/pipx',
  '.local/share/fnm',
  '.local/share/mise',
  '.local/share/uv',
  '.nodenv',
  '.npm-global',
  '.nvm',
  '.pyenv',
  '.rbenv',
  '.rustup',
  '.sdkman',
  '.volta',
  'anaconda3',
  'go/bin',
  'miniconda3',
  'sdk',
];

/** Later mounts cover earlier ones, so the order is part of the decision. */
export function planMounts(request: FilesRequest): readonly Mount[] {
  const { host, identity } = request;
  return withinDisk(request, [
    ...systemMounts(host),
    ...procMounts(host),
    { kind: 'dev' },
    ...['/tmp', '/var/tmp', '/dev/shm'].map((target): Mount => ({ kind: 'tmpfs', target, mode: '1777' })),
    { kind: 'tmpfs', target: '/run', mode: '0755' },
    { kind: 'symlink', value: '../run', target: '/var/run' },
    { kind: 'directory', target: `/run/user/${identity.uid}`, mode: '0700' },
    ...host.system.filter(({ path }) => path.startsWith('/run/')).map(systemMount),
    ...homeMounts(host, identity),
    ...request.extras,
    ...request.workspaces.map((workspace): Mount => ({ kind: 'bind', ...workspace })),
    ...request.guards,
    ...maskSockets(request),
    ...identityFiles(request),
  ]);
}

/** bubblewrap makes /dev a folder in memory as well, and its size cannot be set: devices work on a read-only one. */
function withinDisk({ diskMiB = null, identity }: FilesRequest, mounts: readonly Mount[]): readonly Mount[] {
  if (diskMiB === null) return mounts;
  const sized = mounts.map((mount): Mount => {
    const sizeBytes = mount.kind === 'tmpfs' ? tmpfsBytes(diskMiB, mount.target, identity.home) : null;
    return mount.kind === 'tmpfs' && sizeBytes !== null ? { ...mount, sizeBytes } : mount;
  });
  return [...sized, { kind: 'read-only', target: '/dev' }];
}

function systemMounts(host: HostFiles): readonly Mount[] {
  const seen = host.system.filter(({ path }) => !path.startsWith('/run/'));
  const masks = host.unreadable.map(
    ({ path, folder }): Mount =>
      folder
        ? { kind: 'tmpfs', target: path, mode: '0755' }
        : { kind: 'bind', source: '/dev/null', target: path, writable: false },
  );
  return [...seen.map(systemMount), ...masks];
}

function systemMount(entry: HostFiles['system'][number]): Mount {
  if (entry.link !== null) return { kind: 'symlink', value: entry.link, target: entry.path };
  return { kind: 'bind', source: entry.path, target: entry.path, writable: false };
}

/**
 * A guest of a root caller is the host's uid 0 to procfs, and its namespaces do not stop it from writing
 * the kernel's settings there.
 */
export function procMounts(host: Pick<HostFiles, 'procWritable' | 'procHidden'>): readonly Mount[] {
  const settings = host.procWritable.map(
    (path): Mount => ({ kind: 'bind', source: path, target: path, writable: false }),
  );
  const hidden = host.procHidden.map(
    (target): Mount => ({ kind: 'bind', source: '/dev/null', target, writable: false }),
  );
  // bubblewrap lowers the limit of user namespaces here for each command; without a capability it can only be read.
  const limits = host.procWritable
    .filter((path) => path === '/proc/sys')
    .map((): Mount => ({ kind: 'bind', source: USER_LIMITS, target: USER_LIMITS, writable: true }));
  return [{ kind: 'proc' }, ...settings, ...limits, ...hidden];
}

function homeMounts(host: HostFiles, identity: GuestIdentity): readonly Mount[] {
  const toolchains = host.toolchains.map(
    (path): Mount => ({ kind: 'bind', source: path, target: path, writable: false }),
  );
  return [
    { kind: 'tmpfs', target: identity.home, mode: '0700' },
    ...toolchains,
    // npm reads the user's npmrc, tokens included; the guest's own is empty, and may be written.
    { kind: 'file', target: `${identity.home}/.npmrc`, content: '' },
  ];
}

/** A socket can be connected to through a read-only mount, and system call filters cannot see a path. */
export function maskSockets(request: {
  readonly host: Pick<HostFiles, 'system' | 'toolchains' | 'sockets'>;
  readonly workspaces: readonly Workspace[];
}): readonly Mount[] {
  const visible = [
    ...request.host.system
      .filter(({ link }) => link === null)
      .map(({ path }) => ({ source: path, target: path })),
    ...request.host.toolchains.map((path) => ({ source: path, target: path })),
    ...request.workspaces,
  ];
  return request.host.sockets.flatMap((socket) =>
    visible
      .filter(({ source }) => isWithin(socket, source))
      .map(({ source, target }): Mount => {
        const at = `${target}${socket.slice(source.length)}`;
        return { kind: 'bind', source: '/dev/null', target: at, writable: false };
      }),
  );
}

/** Last, so that no other mount covers what names the guest's resolver and its user. */
function identityFiles(request: FilesRequest): readonly Mount[] {
  const { host, identity } = request;
  const file = (target: string | null, content: string): readonly Mount[] =>
    target === null ? [] : [{ kind: 'data', target, content }];
  return [
    ...file(host.resolvConf, resolverText(request.nameserver, request.lookupSeconds)),
    ...file(host.hosts, `127.0.0.1 localhost ${GUEST_HOSTNAME}\n::1 localhost ip6-localhost ip6-loopback\n`),
    ...file(
      host.nsswitch,
      'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n',
    ),
    ...file(
      host.passwd,
      [
        identity.uid === 0 ? '' : 'root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n',
        `${identity.user}:x:${identity.uid}:${identity.gid}:guest of sand:${identity.home}:/bin/sh\n`,
        'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
      ].join(''),
    ),
    ...file(
      host.group,
      `root:x:0:\n${identity.gid === 0 ? '' : `${identity.user}:x:${identity.gid}:\n`}nogroup:x:65534:\n`,
    ),
  ];
}

/** The guest's resolv.conf. */
export function resolverText(nameserver: string, lookupSeconds = LOOKUP_SECONDS): string {
  return `nameserver ${nameserver}\noptions timeout:${lookupSeconds} attempts:2\n`;
}

/** Whether `path` is `folder` or lies below it; both absolute and normalised. */
