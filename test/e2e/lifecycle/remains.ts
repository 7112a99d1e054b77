/**
 * What a run of sand leaves behind: its processes (found by lineage while it lived), namespaces, host sockets,
 * mounts and files. Watches from the start, since a process that has lost its parent names it no more.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './conditions.ts';

const POLL_MS = 15;
const NAMESPACES = ['net', 'pid', 'mnt', 'user', 'ipc'] as const;

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  /** Clock ticks since boot: with the pid, a name that is never given twice. */
  readonly start: string;
  readonly state: string;
  readonly commandLine: string;
}

/** Processes that have to do with a folder, by their words or by where they work: of emulated tools, the machines of their guests among them. */
export function processesAround(folder: string): readonly ProcessFacts[] {
  return processes().filter(({ pid, commandLine }) => {
    if (commandLine.includes(folder)) return true;
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

/** Every process of the machine but zombies, which hold nothing. */
export function processes(): readonly ProcessFacts[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const facts = processFacts(Number(name));
      return facts === null || facts.state === 'Z' || facts.state === 'X' ? [] : [facts];
    });
}

function processFacts(pid: number): ProcessFacts | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === '') return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const commandLine = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  return { pid, parent: Number(fields[1]), start: fields[19] ?? '', state: fields[0] ?? '', commandLine };
}

export function descendants(root: number, all = processes()): readonly ProcessFacts[] {
  const children = all.filter(({ parent }) => parent === root);
  return children.flatMap((child) => [child, ...descendants(child.pid, all)]);
}

/** `guard` waits for the guest's init on the host, `nsenter` for the command and `monitor` beside it in the guest. */
export type Role =
  | 'sand'
  | 'unshare'
  | 'planter'
  | 'holder'
  | 'prober'
  | 'guard'
  | 'init'
  | 'nsenter'
  | 'monitor'
  | 'command';

/** The process of that role in a run whose command line is `marker`; null where it is not there (yet, any more). */
export function inRole(sand: number, role: Role, marker: string): number | null {
  const all = processes();
  const own = descendants(sand, all);
  const childrenOf = (pid: number | undefined) => own.filter(({ parent }) => parent === pid);
  const planter = own.find(
    ({ commandLine }) => commandLine.includes('/planter.') && !commandLine.startsWith('unshare'),
  );
  const startingWith = (parent: number | undefined, text: string) =>
    childrenOf(parent).find(({ commandLine }) => commandLine.startsWith(text));
  const guard = startingWith(sand, 'bwrap ');
  const nsenter = startingWith(sand, 'nsenter ');
  const monitor = startingWith(nsenter?.pid, 'bwrap ');
  switch (role) {
    case 'sand':
      return sand;
    case 'unshare':
      return startingWith(sand, 'unshare ')?.pid ?? null;
    case 'planter':
      return planter?.pid ?? null;
    case 'holder':
      return childrenOf(planter?.pid).find(({ commandLine }) => commandLine === 'cat')?.pid ?? null;
    case 'prober':
      return (
        childrenOf(planter?.pid).find(({ commandLine }) => commandLine.includes('/prober.'))?.pid ?? null
      );
    case 'guard':
      return guard?.pid ?? null;
    case 'init':
      return childrenOf(guard?.pid).find(({ commandLine }) => commandLine === 'cat')?.pid ?? null;
    case 'nsenter':
      return nsenter?.pid ?? null;
    case 'monitor':
      return monitor?.pid ?? null;
    case 'command':
      return childrenOf(monitor?.pid).find(({ commandLine }) => commandLine === marker)?.pid ?? null;
  }
}

export interface Watch {
  /** Rejects when something of the run is still there after the deadline. */
  nothingRemains(deadlineMs: number): Promise<void>;
  stop(): void;
}

/** `root` is the folder of the test's world: nothing may be mounted below it. */
export function watchRun(sand: number, root: string): Watch {
  const seen = new Map<string, ProcessFacts>();
  const namespaces = new Set<string>();
  const sockets = new Set<string>();
  const host = new Set(namespacesOf('self'));
  const look = () => {
    const all = processes();
    for (const facts of [...all.filter(({ pid }) => pid === sand), ...descendants(sand, all)]) {
      seen.set(`${facts.pid}:${facts.start}`, facts);
      for (const name of namespacesOf(facts.pid)) if (!host.has(name)) namespaces.add(name);
    }
    for (const inode of listeningInodes(sand)) sockets.add(inode);
  };
  look();
  const timer = setInterval(look, POLL_MS);
  const remains = (): readonly string[] => {
    const all = processes();
    const inNamespace = all.filter(({ pid }) => namespacesOf(pid).some((name) => namespaces.has(name)));
    return [
      ...all
        .filter(({ pid, start }) => seen.has(`${pid}:${start}`))
        .map(({ pid, state, commandLine }) => `process ${pid} ${state} ${commandLine.slice(0, 80)}`),
      ...inNamespace
        .filter((facts) => isOrphan(facts, inNamespace, all))
        .map(
          ({ pid, commandLine }) => `process ${pid} in a namespace of the run: ${commandLine.slice(0, 80)}`,
        ),
      ...hostSockets()
        .filter((inode) => sockets.has(inode))
        .map((inode) => `socket ${inode} on the host`),
      ...read('/proc/self/mountinfo')
        .split('\n')
        .filter((line) => line.includes(root))
        .map((line) => `mount ${line}`),
    ];
  };
  return {
    async nothingRemains(deadlineMs) {
      clearInterval(timer);
      let last: readonly string[] = [];
      await until(
        'nothing to remain',
        () => {
          last = remains();
          return last.length === 0;
        },
        deadlineMs,
      ).catch(() => {
        throw new Error(`still there after ${deadlineMs} ms:\n${last.join('\n')}`);
      });
    },
    stop: () => clearInterval(timer),
  };
}

/**
 * The kernel gives a namespace's number again once it is gone: a process of another run that has it now hangs
 * from that run's sand, one that was left behind from whoever adopts the orphans here.
 */
function isOrphan(
  facts: ProcessFacts,
  inNamespace: readonly ProcessFacts[],
  all: readonly ProcessFacts[],
): boolean {
  const parent = inNamespace.find(({ pid }) => pid === facts.parent);
  if (parent !== undefined) return isOrphan(parent, inNamespace, all);
  return ancestors(process.pid, all).has(facts.parent);
}

function ancestors(pid: number, all: readonly ProcessFacts[]): ReadonlySet<number> {
  const parent = all.find((facts) => facts.pid === pid)?.parent ?? 0;
  return parent === 0 ? new Set([pid]) : new Set([pid, ...ancestors(parent, all)]);
}

function namespacesOf(pid: number | 'self'): readonly string[] {
  return NAMESPACES.flatMap((kind) => {
    try {
      return [readlinkSync(`/proc/${pid}/ns/${kind}`)];
    } catch {
      return [];
    }
  });
}

/** Inodes of the sockets that a process holds. */
export function socketInodes(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        return inode === undefined ? [] : [inode];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

export interface HostSocket {
  readonly inode: string;
  readonly port: number;
}

/** TCP listeners and UDP sockets of the host's network namespace. */
export function hostListeners(): readonly HostSocket[] {
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
    read(`/proc/self/net/${table}`)
      .split('\n')
      .slice(1)
      .map((row) => row.trim().split(/\s+/))
      .filter((cells) => cells.length > 9 && (table.startsWith('udp') || cells[3] === '0A'))
      .map((cells) => ({
        inode: cells[9] ?? '',
        port: Number.parseInt((cells[1] ?? '').split(':')[1] ?? '', 16),
      })),
  );
}

function listeningInodes(pid: number): readonly string[] {
  const own = new Set(socketInodes(pid));
  return hostSockets().filter((inode) => own.has(inode));
}

function hostSockets(): readonly string[] {
  return hostListeners().map(({ inode }) => inode);
}

/** Every file and folder below `root` but in `without`, relative to it. */
export function filesBelow(root: string, without: readonly string[] = []): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => !without.some((folder) => path === folder || path.startsWith(`${folder}/`)))
    .map((path) => join(root, path))
    .sort();
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
