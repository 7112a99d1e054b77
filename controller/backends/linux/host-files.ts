/**
 * Looks at the host's file system and gathers the facts that `mounts.ts` decides by.
 * Reads only; every walk is bounded.
 */
import { type Dirent, lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { realPath } from '../../guest/file-state.ts';
import { type HostFiles, SYSTEM_FOLDERS, TOOLCHAIN_FOLDERS } from './mounts.ts';

/** Entries that one walk looks at; real /etc, /opt and /usr/local hold some thousands, 100 ms at the most. */
const WALK_ENTRIES = 100_000;
/** The same for FIFOs that an ordinary caller could open, where the host's own permissions guard the files. */
const FIFO_WALK_ENTRIES = 10_000;

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
];

/** Names the keys that its reader possesses: for a guest, those of its caller's session. */
const PROC_HIDDEN: readonly string[] = ['/proc/keys'];

/** `workspaces`: what else of the host the guest will see, by its paths there. */
export function readHostFiles(home: string, root: boolean, workspaces: readonly string[]): HostFiles {
  const toolchains = TOOLCHAIN_FOLDERS.map((name) => join(home, name)).filter(
    (path) => statOf(path)?.isDirectory() === true,
  );
  const shown = [...workspaces, ...toolchains];
  return {
    system: SYSTEM_FOLDERS.flatMap(systemEntry),
    unreadable: [
      ...unreadableBelow('/etc', WALK_ENTRIES, root),
      ...['/opt', '/usr/local'].flatMap((folder) =>
        unreadableBelow(folder, root ? WALK_ENTRIES : FIFO_WALK_ENTRIES, root),
      ),
    ],
    resolvConf: realPath('/etc/resolv.conf') ?? '/etc/resolv.conf',
    hosts: realPath('/etc/hosts'),
    nsswitch: realPath('/etc/nsswitch.conf'),
    passwd: realPath('/etc/passwd'),
    group: realPath('/etc/group'),
    procWritable: PROC_WRITABLE.filter((path) => statOf(path) !== null),
    procHidden: hiddenInProc(root),
    toolchains: TOOLCHAIN_FOLDERS.map((name) => join(home, name)).filter(
      (path) => statOf(path)?.isDirectory() === true,
    ),
    sockets: listeningSockets(shown),
  };
}

/** For a root caller's guest also what is root's alone: it is uid 0 to procfs, which asks for no capability there. */
function hiddenInProc(root: boolean): readonly string[] {
  const files = entriesOf('/proc')
    .filter((entry) => entry.isFile())
    .map(({ name }) => join('/proc', name));
  const hidden = (path: string) => PROC_HIDDEN.includes(path) || (root && !readableByNobody(path));
  return files.filter((path) => hidden(path) && !PROC_WRITABLE.includes(path));
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
 * Nearest to the top first; folders past the bound are not shown to a root caller's guest.
 */
function unreadableBelow(folder: string, bound: number, root: boolean): HostFiles['unreadable'] {
  const found: { readonly path: string; readonly folder: boolean }[] = [];
  const open = [folder];
  let budget = bound;
  for (const at of open) {
    // Fail closed: what was not looked at is not shown. An ordinary guest reads no more there than its caller.
    if (budget <= 0 && root) found.push({ path: at, folder: true });
    if (budget <= 0) continue;
    for (const entry of entriesOf(at)) {
      budget -= 1;
      const path = join(at, entry.name);
      if (entry.isFIFO() || entry.isSocket()) found.push({ path, folder: false });
      else if (root && !entry.isSymbolicLink() && !readableByNobody(path))
        found.push({ path, folder: entry.isDirectory() });
      else if (entry.isDirectory()) open.push(path);
    }
  }
  return found;
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

/**
 * /proc/net/unix: the path is the eighth column; abstract names begin with @ and are cut off by the namespace.
 * It is the name that was bound: one that is relative, or that is gone since, is looked for in what is `shown`.
 */
function listeningSockets(shown: readonly string[]): readonly string[] {
  const rows = readFileSync('/proc/net/unix', 'utf8').split('\n').slice(1);
  const paths = rows
    .map((row) => row.replace(/^\S+ \S+ \S+ \S+ \S+ \S+ +\d+ ?/, ''))
    .filter((path) => path !== '');
  const absolute = [...new Set(paths.filter((path) => path.startsWith('/')))];
  const isRelative = paths.some((path) => !path.startsWith('/') && !path.startsWith('@'));
  const real = absolute.map(realPath).filter((path) => path !== null);
  const moved = absolute.filter((path) => statOf(path) === null).map(dirname);
  return [
    ...new Set([...real, ...moved.flatMap(socketsIn), ...(isRelative ? shown.flatMap(socketsBelow) : [])]),
  ];
}

function socketsIn(folder: string): readonly string[] {
  const real = realPath(folder);
  const entries = real === null ? [] : entriesOf(real);
  return entries.filter((entry) => entry.isSocket()).map(({ name }) => join(real ?? folder, name));
}

/** Nearest to the top first, where sockets are; past the bound a relative one stays open to the guest. */
function socketsBelow(folder: string): readonly string[] {
  const found: string[] = [];
  const open = [folder];
  let budget = WALK_ENTRIES;
  for (const at of open) {
    if (budget <= 0) break;
    for (const entry of entriesOf(at)) {
      budget -= 1;
      if (entry.isSocket()) found.push(join(at, entry.name));
      else if (entry.isDirectory()) open.push(join(at, entry.name));
    }
  }
  return found;
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}
