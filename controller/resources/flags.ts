/**
 * How much of the host a guest may use, as a person writes it: `--cpus`, `--memory`, `--pids`, `--disk` → numbers.
 * Whether this host can hold a guest to them is for `plan.ts`. Pure.
 */
import { parseByteSize } from '../../policies/byte-size.ts';
import { SandError } from '../errors.ts';

/** Null: not asked for. */
export interface ResourceLimits {
  /** In processors; 1.5 is one and a half. */
  readonly cpus: number | null;
  readonly memoryMiB: number | null;
  /** Processes and threads. */
  readonly pids: number | null;
  /** Of all private writable folders together. */
  readonly diskMiB: number | null;
}

export const NO_RESOURCES: ResourceLimits = { cpus: null, memoryMiB: null, pids: null, diskMiB: null };

export interface ResourceFlags {
  readonly cpus?: string;
  readonly memory?: string;
  readonly pids?: string;
  readonly disk?: string;
}

export const RESOURCE_BOUNDS = {
  /** The kernel hands out time in milliseconds of each tenth of a second; below this a guest does not start in time. */
  leastCpus: 0.1,
  /** More than any machine has. */
  mostCpus: 4096,
  /** bubblewrap and a shell live in a few; a guest that cannot start is no limit. */
  leastMemoryMiB: 16,
  /** What holds a guest and starts a command in it takes up to ten. */
  leastPids: 16,
  /** pid_max of a 64-bit kernel. */
  mostPids: 4_194_304,
  /** The smallest folder gets a 32nd, and less than one MiB is no folder to work in. */
  leastDiskMiB: 32,
  /** 16 PiB; as bytes still a whole number. */
  mostMiB: 2 ** 34,
} as const;

/** Raises `usage`. */
export function parseResourceFlags(flags: ResourceFlags): ResourceLimits {
  const read = (text: string | undefined, parse: (text: string) => number) =>
    text === undefined ? null : parse(text);
  const { leastMemoryMiB, leastDiskMiB } = RESOURCE_BOUNDS;
  return {
    cpus: read(flags.cpus, parseCpus),
    memoryMiB: read(flags.memory, (text) => parseMiB('--memory', text, leastMemoryMiB, '512MiB')),
    pids: read(flags.pids, parsePids),
    diskMiB: read(flags.disk, (text) => parseMiB('--disk', text, leastDiskMiB, '1GiB')),
  };
}

function parseCpus(text: string): number {
  const { leastCpus, mostCpus } = RESOURCE_BOUNDS;
  const cpus = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (cpus >= leastCpus && cpus <= mostCpus) return cpus;
  throw usage(
    `--cpus ${text}: not a number of processors from ${leastCpus} to ${mostCpus}`,
    'write for example --cpus 2 or --cpus 1.5',
  );
}

function parsePids(text: string): number {
  const { leastPids, mostPids } = RESOURCE_BOUNDS;
  const pids = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (pids >= leastPids && pids <= mostPids) return pids;
  throw usage(
    `--pids ${text}: not a number of processes from ${leastPids} to ${mostPids}`,
    'write for example --pids 256',
  );
}

const SHORT = /^([1-9]\d{0,14})([kmg])$/i;
/** A bare number could be bytes or MiB, and MB a million bytes or 1048576. */
const AMBIGUOUS = /^(\d+(?:\.\d+)?) ?([kmg]b|b)?$/i;

function parseMiB(flag: string, text: string, leastMiB: number, sample: string): number {
  const short = SHORT.exec(text);
  const bytes = parseByteSize(short === null ? text : `${short[1]}${short[2]?.toUpperCase()}iB`);
  const example = `write for example ${flag} ${sample}`;
  if (bytes === null) {
    const ambiguous = AMBIGUOUS.test(text) ? `which unit is meant: ${text} can be read in two ways` : '';
    throw usage(`${flag} ${text}: ${ambiguous || 'not a size'}`, `${example}; units are KiB, MiB and GiB`);
  }
  const sizeMiB = bytes / 1024 ** 2;
  if (sizeMiB < leastMiB) {
    throw usage(`${flag} ${text} is less than ${leastMiB}MiB, with which no guest starts`, example);
  }
  if (!Number.isInteger(sizeMiB) || sizeMiB > RESOURCE_BOUNDS.mostMiB) {
    throw usage(`${flag} ${text}: not a whole number of MiB that a machine can have`, example);
  }
  return sizeMiB;
}

function usage(message: string, hint: string): SandError {
  return new SandError('usage', message, hint);
}
