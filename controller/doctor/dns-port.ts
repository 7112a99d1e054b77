/**
 * Who holds port 53 of this host, from /proc. For information only: sand never listens on it and never needs
 * it, so this check cannot fail.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { parseAddress } from '../../policies/address.ts';
import type { Finding } from '../backends/backend.ts';
import { excerpt, ok } from './finding.ts';

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
  /** 0 where the kernel does not tell. */
  readonly inode: number;
}

export interface Holder {
  readonly name: string;
  readonly pid: number;
}

export interface PortWorld {
  /** Text of `/proc/net/<table>`; empty where it cannot be read. */
  readonly readTable: (table: string) => string;
  /** By inode; those that cannot be seen are left out. */
  readonly findHolders: (inodes: ReadonlySet<number>) => ReadonlyMap<number, Holder>;
}

export function checkDnsPort(world: PortWorld = PROC): Finding {
  const tables = ['udp', 'udp6', 'tcp', 'tcp6'].map((name) => ({ name, text: world.readTable(name) }));
  if (tables.every(({ text }) => text === '')) {
    return ok(CHECK, 'cannot be looked up here; sand never needs it');
  }
  const listeners = tables
    .flatMap(({ name, text }) => parseSocketTable(name.startsWith('udp') ? 'udp' : 'tcp', text))
    .filter(({ port }) => port === DNS_PORT);
  if (listeners.length === 0) return ok(CHECK, 'is free; sand never needs it');
  const holders = world.findHolders(new Set(listeners.map(({ inode }) => inode)));
  return ok(CHECK, `is held by ${describeListeners(listeners, holders)}; sand never needs it`);
}

function describeListeners(listeners: readonly Listener[], holders: ReadonlyMap<number, Holder>): string {
  const places = new Map<string, Set<string>>();
  for (const { transport, address, inode } of listeners) {
    const holder = holders.get(inode);
    const who =
      holder === undefined ? 'a process that is not visible' : `${excerpt(holder.name)} (pid ${holder.pid})`;
    places.set(who, (places.get(who) ?? new Set()).add(`${transport} ${address}`));
  }
  const told = [...places]
    .slice(0, SHOWN)
    .map(([who, at]) => `${who} on ${[...at].slice(0, SHOWN).join(', ')}`);
  return told.join(' and ') + (places.size > SHOWN ? ` and ${places.size - SHOWN} more` : '');
}

/** A row whose socket listens: TCP state 0A (LISTEN), UDP state 07 (not connected). */
const LISTENING = { tcp: '0A', udp: '07' } as const;

/** /proc/net/tcp and its kin (proc(5)): hexadecimal, addresses in host byte order. Other rows are passed over. */
export function parseSocketTable(transport: 'udp' | 'tcp', text: string): readonly Listener[] {
  return text.split('\n').flatMap((row): readonly Listener[] => {
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

const PROC: PortWorld = {
  readTable(table) {
    try {
      return readFileSync(`/proc/net/${table}`, 'utf8');
    } catch {
      return '';
    }
  },
  findHolders(inodes) {
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
export const findHolders = PROC.findHolders;
