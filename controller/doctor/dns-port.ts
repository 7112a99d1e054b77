/**
 * Who holds port 53 of this host, from /proc or, on a Mac, as `mac-ports.ts` reads it. For information only: sand never listens
 * on it and never needs it, so this check cannot fail.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { parseAddress } from '../../policies/address.ts';
import type { Finding } from '../backends/backend.ts';
import { excerpt, ok } from './finding.ts';
import { macPorts } from './mac-ports.ts';

const CHECK = 'port 53';
const DNS_PORT = 53;

/** Processes that are looked through for the holder; an ordinary machine runs some hundreds. */
const PROCESSES = 10_000;
/** Descriptors of all of them together. */
const DESCRIPTORS = 200_000;
/** Holders that are told one by one. */
const SHOWN = 4;

export interface Listener {
  readonly transport: 'udp' | 'tcp';
  readonly address: string;
  readonly port: number;
}

/** A row of /proc/net. */
export interface SocketRow extends Listener {
  /** 0 where the kernel does not tell. */
  readonly inode: number;
}

export interface Holder {
  readonly name: string;
  readonly pid: number;
}

export interface PortWorld {
  /** Null where nobody tells. */
  readonly readListeners: (port: number) => readonly Listener[] | null;
  /** Those that cannot be seen are left out. */
  readonly findHolders: (listeners: readonly Listener[]) => ReadonlyMap<Listener, Holder>;
}

/** Who is known to listen there, and why: nothing that has to be ended. */
const KNOWN: Readonly<Record<string, string>> = {
  mDNSResponder: 'macOS, for virtual machines or Internet Sharing',
  'warp-svc': 'Cloudflare WARP',
  CloudflareWARP: 'Cloudflare WARP',
};

export function checkDnsPort(world: PortWorld = portsOfThisHost()): Finding {
  const listeners = world.readListeners(DNS_PORT);
  if (listeners === null) return ok(CHECK, 'cannot be looked up here; sand never needs it');
  if (listeners.length === 0) return ok(CHECK, 'is free; sand never needs it');
  const holders = world.findHolders(listeners);
  return ok(CHECK, `is held by ${describeListeners(listeners, holders)}; sand never needs it`);
}

function portsOfThisHost(): PortWorld {
  return process.platform === 'darwin' ? macPorts() : procPorts();
}

function describeListeners(listeners: readonly Listener[], holders: ReadonlyMap<Listener, Holder>): string {
  const places = new Map<string, Set<string>>();
  for (const listener of listeners) {
    const { transport, address } = listener;
    const holder = holders.get(listener);
    const who = holder === undefined ? 'a process that is not visible' : describeHolder(holder);
    places.set(who, (places.get(who) ?? new Set()).add(`${transport} ${address}`));
  }
  const told = [...places]
    .slice(0, SHOWN)
    .map(([who, at]) => `${who} on ${[...at].slice(0, SHOWN).join(', ')}`);
  return told.join(' and ') + (places.size > SHOWN ? ` and ${places.size - SHOWN} more` : '');
}

function describeHolder({ name, pid }: Holder): string {
  const known = Object.hasOwn(KNOWN, name) ? `, ${KNOWN[name]}` : '';
  return `${excerpt(name)} (pid ${pid}${known})`;
}

/** A row whose socket listens: TCP state 0A (LISTEN), UDP state 07 (not connected). */
const LISTENING = { tcp: '0A', udp: '07' } as const;

/** /proc/net/tcp and its kin (proc(5)): hexadecimal, addresses in host byte order. Other rows are passed over. */
export function parseSocketTable(transport: 'udp' | 'tcp', text: string): readonly SocketRow[] {
  return text.split('\n').flatMap((row): readonly SocketRow[] => {
    const cells = row.trim().split(/\s+/);
    const local = /^(?<address>[0-9A-F]{8}|[0-9A-F]{32}):(?<port>[0-9A-F]{4})$/.exec(cells[1] ?? '')?.groups;
    if (local?.address === undefined || local.port === undefined || cells[3] !== LISTENING[transport])
      return [];
    const address = decodeAddress(local.address);
    const inode = Number(cells[9] ?? 0);
    return [
      {
        transport,
        address,
        port: Number.parseInt(local.port, 16),
        inode: Number.isSafeInteger(inode) ? inode : 0,
      },
    ];
  });
}

/** Each 32-bit word is little-endian on the processors that sand runs on. */
function decodeAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).toReversed());
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join('.');
  const groups = bytes.join('').match(/.{4}/g) ?? [];
  const parsed = parseAddress(groups.join(':'));
  return parsed.ok ? parsed.value : groups.join(':');
}

export interface ProcWorld {
  /** Text of `/proc/net/<table>`; empty where it cannot be read. */
  readonly readTable: (table: string) => string;
  /** By inode; those that cannot be seen are left out. */
  readonly findInodes: (inodes: ReadonlySet<number>) => ReadonlyMap<number, Holder>;
}

export function procPorts(world: ProcWorld = PROC): PortWorld {
  const rows = new Map<Listener, number>();
  return {
    readListeners(port) {
      const tables = ['udp', 'udp6', 'tcp', 'tcp6'].map((name) => ({ name, text: world.readTable(name) }));
      if (tables.every(({ text }) => text === '')) return null;
      return tables
        .flatMap(({ name, text }) => parseSocketTable(name.startsWith('udp') ? 'udp' : 'tcp', text))
        .filter((row) => row.port === port)
        .map(({ inode, ...listener }) => {
          rows.set(listener, inode);
          return listener;
        });
    },
    findHolders(listeners) {
      const inodeOf = (listener: Listener) => rows.get(listener) ?? 0;
      const holders = world.findInodes(new Set(listeners.map(inodeOf)));
      return new Map(
        listeners.flatMap((listener) => {
          const holder = holders.get(inodeOf(listener));
          return holder === undefined ? [] : [[listener, holder] as const];
        }),
      );
    },
  };
}

const PROC: ProcWorld = {
  readTable(table) {
    try {
      return readFileSync(`/proc/net/${table}`, 'utf8');
    } catch {
      return '';
    }
  },
  findInodes(inodes) {
    const found = new Map<number, Holder>();
    let budget = DESCRIPTORS;
    const pids = entriesOf('/proc').filter((name) => /^\d+$/.test(name));
    for (const pid of pids.slice(0, PROCESSES)) {
      for (const descriptor of entriesOf(`/proc/${pid}/fd`)) {
        if (--budget < 0) return found;
        const inode = socketInode(`/proc/${pid}/fd/${descriptor}`);
        if (inode === null || !inodes.has(inode) || found.has(inode)) continue;
        found.set(inode, { name: processName(pid), pid: Number(pid) });
        if (found.size === inodes.size) return found;
      }
    }
    return found;
  },
};

/** Other users' processes, and those that have just ended, have no entries to see. */
function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function socketInode(path: string): number | null {
  try {
    const inode = /^socket:\[(\d{1,15})\]$/.exec(readlinkSync(path))?.[1];
    return inode === undefined ? null : Number(inode);
  } catch {
    return null;
  }
}

function processName(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'a process that has ended';
  }
}

/** Of this machine, for tests of the search itself. */
export const findInodes = PROC.findInodes;
