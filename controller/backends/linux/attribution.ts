/**
 * Which process of a guest opened a connection: from the client's end to its socket, and from the socket to who holds it.
 * Looks only into the guest's own processes, is bounded in time, and where it cannot tell says nothing. Decides no verdict.
 */
import { closeSync, constants, opendirSync, openSync, readlinkSync, readSync, statfsSync } from 'node:fs';
import type { ProcessFact } from '../../../audit/event.ts';
import { redactCommand } from '../../../audit/redact.ts';
import type { Attribute, ClientEnd } from '../backend.ts';
import { ATTRIBUTION_LIMITS } from './attribution-limits.ts';
import { inodeFinder, TABLE_OVERLAP, tablesOf } from './socket-table.ts';

/** See statfs(2). */
const PROC_MAGIC = 0x9fa0;
/** What the kernel gives of a table at once. */
const PAGE_BYTES = 4_096;
/** How many descriptors are looked at between two looks at the clock. */
const STEP = 32;

export interface Attribution {
  readonly attribute: Attribute;
  /** Lets go of the guest's namespaces. Idempotent; from then on nothing is told. */
  close(): void;
}

export interface AttributionOptions {
  /** Milliseconds that do not run backwards. */
  readonly now?: () => number;
  readonly limits?: Partial<Record<keyof typeof ATTRIBUTION_LIMITS, number>>;
}

/**
 * `initPid`: the guest's first process, on the host. To be called before anything of the guest's runs: its /proc is opened
 * once, and whatever the guest makes of its mounts later changes nothing. Null where this machine does not let sand look.
 */
export function openAttribution(initPid: number, options: AttributionOptions = {}): Attribution | null {
  const opened: number[] = [];
  try {
    const proc = openSync(`/proc/${initPid}/root/proc`, constants.O_RDONLY | constants.O_DIRECTORY);
    opened.push(proc);
    const place = `/proc/self/fd/${proc}`;
    // Fail closed: what is not the guest's own /proc could name processes of the host.
    if (!isGuestProc(place, initPid)) throw new Error('not the /proc of the guest');
    const tables = new Map<string, number>();
    for (const name of ['tcp', 'tcp6', 'udp', 'udp6']) {
      const table = openTable(`${place}/1/net/${name}`);
      if (table === null) continue;
      opened.push(table);
      tables.set(name, table);
    }
    const looker = new Looker(place, tables, options);
    return {
      attribute: (end) => looker.attribute(end),
      close() {
        looker.end();
        for (const descriptor of opened.splice(0)) closeSync(descriptor);
      },
    };
  } catch {
    for (const descriptor of opened) closeSync(descriptor);
    return null;
  }
}

function isGuestProc(place: string, initPid: number): boolean {
  const namespace = readlinkSync(`${place}/1/ns/pid`);
  return (
    statfsSync(place).type === PROC_MAGIC &&
    namespace === readlinkSync(`/proc/${initPid}/ns/pid`) &&
    namespace !== readlinkSync('/proc/self/ns/pid')
  );
}

/** A kernel without IPv6 has two of them only. */
function openTable(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY);
  } catch {
    return null;
  }
}

/** A process that answered, and as which of its descriptors: the next connection often gets the number of the last. */
interface Holder {
  readonly pid: number;
  readonly descriptor: string;
}

/** One look: what is left of its bounds. */
interface Look {
  readonly until: number;
  descriptors: number;
}

class Looker {
  readonly #place: string;
  readonly #tables: ReadonlyMap<string, number>;
  readonly #limits: Readonly<Record<keyof typeof ATTRIBUTION_LIMITS, number>>;
  readonly #now: () => number;
  readonly #page = Buffer.alloc(PAGE_BYTES);
  /** The last that answered first. */
  #remembered: readonly Holder[] = [];
  #leftMs: number;
  #countedAt: number;
  #isEnded = false;

  constructor(place: string, tables: ReadonlyMap<string, number>, options: AttributionOptions) {
    this.#place = place;
    this.#tables = tables;
    this.#limits = { ...ATTRIBUTION_LIMITS, ...options.limits };
    this.#now = options.now ?? (() => performance.now());
    this.#leftMs = this.#limits.burstMs;
    this.#countedAt = this.#now();
  }

  end(): void {
    this.#isEnded = true;
  }

  attribute(end: ClientEnd): ProcessFact | null {
    if (this.#isEnded) return null;
    const startedAt = this.#now();
    const { share, burstMs, lookMs, descriptors } = this.#limits;
    this.#leftMs = Math.min(burstMs, this.#leftMs + (startedAt - this.#countedAt) * share);
    this.#countedAt = startedAt;
    if (this.#leftMs <= 0) return null;
    try {
      return this.#look(end, { until: startedAt + lookMs, descriptors });
    } catch {
      // What ends meanwhile is not there any more; a decision is never held up by not knowing who asked.
      return null;
    } finally {
      this.#leftMs -= this.#now() - startedAt;
    }
  }

  #look(end: ClientEnd, look: Look): ProcessFact | null {
    const [first, second] = tablesOf(end);
    const inode =
      this.#inodeIn(first, inodeFinder(end, 'first'), look) ??
      this.#inodeIn(second, inodeFinder(end, 'second'), look);
    if (inode === null) return null;
    const socket = `socket:[${inode}]`;
    for (const holder of this.#remembered)
      if (isSocket(this.#pathOf(holder), socket)) return this.#tell(holder, socket);
    for (const { pid } of this.#remembered) {
      const holder = this.#find(pid, socket, look);
      if (holder !== null) return this.#tell(holder, socket);
    }
    const looked = new Set(this.#remembered.map(({ pid }) => pid));
    for (const pid of this.#processes()) {
      if (looked.has(pid)) continue;
      const holder = this.#find(pid, socket, look);
      if (holder !== null) return this.#tell(holder, socket);
      if (this.#isOver(look)) return null;
    }
    return null;
  }

  #isOver(look: Look): boolean {
    return look.descriptors <= 0 || this.#now() > look.until;
  }

  #inodeIn(name: string, find: ReturnType<typeof inodeFinder>, look: Look): number | null {
    const table = this.#tables.get(name);
    if (table === undefined || find === null) return null;
    let tail = '';
    for (let position = 0; position < this.#limits.tableBytes; ) {
      const length = readSync(table, this.#page, 0, PAGE_BYTES, position);
      if (length === 0) return null;
      const text = tail + this.#page.toString('latin1', 0, length);
      const inode = find(text);
      if (inode !== null) return inode;
      tail = text.slice(-TABLE_OVERLAP);
      position += length;
      if (this.#isOver(look)) return null;
    }
    return null;
  }

  /** The newest first: who connects has mostly just been started. */
  #processes(): readonly number[] {
    const pids: number[] = [];
    const folder = opendirSync(this.#place, { bufferSize: STEP });
    try {
      for (let listed = 0; listed < this.#limits.listed; listed += 1) {
        const entry = folder.readSync();
        if (entry === null) break;
        const pid = Number(entry.name);
        if (Number.isInteger(pid)) pids.push(pid);
      }
    } finally {
      folder.closeSync();
    }
    return pids.reverse().slice(0, this.#limits.processes);
  }

  #pathOf({ pid, descriptor }: Holder): string {
    return `${this.#place}/${pid}/fd/${descriptor}`;
  }

  /** Null where it has no descriptor that is this socket, or is gone, or does not let sand look. */
  #find(pid: number, socket: string, look: Look): Holder | null {
    const path = `${this.#place}/${pid}/fd`;
    try {
      const folder = opendirSync(path, { bufferSize: STEP });
      try {
        for (let looked = 1; ; looked += 1) {
          const entry = folder.readSync();
          if (entry === null) return null;
          look.descriptors -= 1;
          if (isSocket(`${path}/${entry.name}`, socket)) return { pid, descriptor: entry.name };
          if (look.descriptors <= 0 || (looked % STEP === 0 && this.#isOver(look))) return null;
        }
      } finally {
        folder.closeSync();
      }
    } catch {
      return null;
    }
  }

  #tell(holder: Holder, socket: string): ProcessFact | null {
    const { pid } = holder;
    const command = this.#commandOf(pid);
    // The number may be another's by now.
    if (!isSocket(this.#pathOf(holder), socket)) return null;
    const others = this.#remembered.filter((one) => one.pid !== pid);
    this.#remembered = [holder, ...others].slice(0, this.#limits.remembered);
    return { pid, command };
  }

  /** The guest's own word, as `ps` shows it. */
  #commandOf(pid: number): string {
    const words = this.#read(`${this.#place}/${pid}/cmdline`).replace(/\0+$/, '');
    if (words !== '') return redactCommand(words.split('\0')).join(' ');
    return `[${this.#read(`${this.#place}/${pid}/comm`).trimEnd()}]`;
  }

  #read(path: string): string {
    const descriptor = openSync(path, constants.O_RDONLY);
    try {
      const buffer = Buffer.alloc(this.#limits.commandBytes);
      return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(descriptor);
    }
  }
}

function isSocket(path: string, socket: string): boolean {
  try {
    return readlinkSync(path) === socket;
  } catch {
    return false;
  }
}
