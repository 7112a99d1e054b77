/**
 * Looks at the host's file system and gathers the facts that `mounts.ts` and `protected-files.ts` decide by.
 * Reads only; every walk is bounded.
 */
import {
  type Dirent,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../../errors.ts';
import { type HostFiles, SYSTEM_FOLDERS, TOOLCHAIN_FOLDERS, type Workspace } from './mounts.ts';
import { type FileState, PROTECTED_NAMES, type ProtectedFile } from './protected-files.ts';

/** Entries of /etc and of the top of /opt and /usr/local that are looked at; real ones hold some thousands. */
const WALK_ENTRIES = 100_000;

/** Writable by uid 0 of the host whatever its namespace; the list of proc(5), as far as it exists. */
const PROC_WRITABLE: readonly string[] = [
  '/proc/sys',
  '/proc/sysrq-trigger',
  '/proc/irq',
  '/proc/bus',
  '/proc/fs',
  '/proc/acpi',
  '/proc/scsi',
  '/proc/mtrr',
  '/proc/driver',
  '/proc/dynamic_debug',
  '/proc/pressure',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/kcore',
  '/proc/kmsg',
  '/proc/keys',
];

export function readHostFiles(home: string, root: boolean): HostFiles {
  return {
    system: SYSTEM_FOLDERS.flatMap(systemEntry),
    unreadable: [
      ...unreadableBelow('/etc', Number.POSITIVE_INFINITY, root),
      ...(root ? ['/opt', '/usr/local'].flatMap((folder) => unreadableBelow(folder, 2, root)) : []),
    ],
    resolvConf: realPath('/etc/resolv.conf') ?? '/etc/resolv.conf',
    hosts: realPath('/etc/hosts'),
    nsswitch: realPath('/etc/nsswitch.conf'),
    passwd: realPath('/etc/passwd'),
    group: realPath('/etc/group'),
    procWritable: PROC_WRITABLE.filter((path) => statOf(path) !== null),
    toolchains: TOOLCHAIN_FOLDERS.map((name) => join(home, name)).filter(
      (path) => statOf(path)?.isDirectory() === true,
    ),
    sockets: listeningSockets(),
  };
}

function systemEntry(path: string): HostFiles['system'] {
  const stat = statOf(path);
  if (stat === null) return [];
  if (stat.isSymbolicLink()) return [{ path, link: readlinkSync(path) }];
  return stat.isDirectory() ? [{ path, link: null }] : [];
}

/**
 * What the guest must not see below a system folder: for a root caller all that `nobody` cannot read (the
 * guest is uid 0 to the host's files); for everybody FIFOs and sockets, which no read-only mount closes.
 */
function unreadableBelow(folder: string, levels: number, root: boolean): HostFiles['unreadable'] {
  const found: { readonly path: string; readonly folder: boolean }[] = [];
  const open: { readonly path: string; readonly level: number }[] = [{ path: folder, level: 1 }];
  let budget = WALK_ENTRIES;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const entry of entriesOf(at.path)) {
      // Fail closed: what was not looked at is not shown.
      if (--budget < 0) throw tooLarge(folder);
      const path = join(at.path, entry.name);
      if (entry.isFIFO() || entry.isSocket()) found.push({ path, folder: false });
      else if (root && !entry.isSymbolicLink() && !readableByNobody(path))
        found.push({ path, folder: entry.isDirectory() });
      else if (entry.isDirectory() && at.level < levels) open.push({ path, level: at.level + 1 });
    }
  }
  return found;
}

function tooLarge(folder: string): SandError {
  return new SandError(
    'workspace-refused',
    `${folder} holds more than ${WALK_ENTRIES} files, so sand cannot tell which of them a guest may read`,
    `move data out of ${folder}`,
  );
}

/** /dev/null over a file keeps it from being read; a folder needs its search bit as well. */
function readableByNobody(path: string): boolean {
  const stat = statOf(path);
  if (stat === null) return false;
  return (stat.mode & (stat.isDirectory() ? 0o005 : 0o004)) === (stat.isDirectory() ? 0o005 : 0o004);
}

function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** /proc/net/unix: the path is the eighth column; abstract names begin with @ and are cut off by the namespace. */
function listeningSockets(): readonly string[] {
  const rows = readFileSync('/proc/net/unix', 'utf8').split('\n').slice(1);
  const paths = rows.map((row) => row.replace(/^\S+ \S+ \S+ \S+ \S+ \S+ +\d+ ?/, ''));
  const real = paths.filter((path) => path.startsWith('/')).map(realPath);
  return [...new Set(real.filter((path) => path !== null))];
}

/** The protected names of each workspace and the policy files in force, with what stands there now. */
export function readProtectedFiles(
  workspaces: readonly Workspace[],
  policyFiles: readonly string[],
): readonly ProtectedFile[] {
  const names = workspaces.filter(({ writable }) => writable).flatMap(({ source }) => protectedBelow(source));
  const policies = new Set(policyFiles.flatMap((path) => [path, realPath(path) ?? path]));
  const others = [...new Set(names)].filter((path) => !policies.has(path));
  return [
    ...others.map((path) => ({ path, state: stateOf(path), always: false })),
    ...[...policies].map((path) => ({ path, state: stateOf(path), always: true })),
  ];
}

/** `.git` itself counts where it is no folder: a worktree's file that names another place, or nothing yet. */
function protectedBelow(root: string): readonly string[] {
  const repository = join(root, '.git');
  const hasFolder = stateOf(repository) === 'folder';
  const names = PROTECTED_NAMES.filter((name) => hasFolder || !name.startsWith('.git/')).map((name) =>
    join(root, name),
  );
  return hasFolder ? names : [repository, ...names];
}

export function stateOf(path: string): FileState {
  const stat = statOf(path);
  if (stat === null) return 'absent';
  if (stat.isSymbolicLink()) return 'symlink';
  return stat.isDirectory() ? 'folder' : 'file';
}

export function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}
