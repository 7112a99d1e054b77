/**
 * Every argument list that `tart` is run with. Names and words of others stand behind `--` or attached to their option, so
 * that none becomes an option. Pure.
 */
import { SandError } from '../../errors.ts';
import { STOCK_LISTS } from './softnet-model.ts';

/** A folder of the host's, under a name of sand's own. */
export interface SharedFolder {
  readonly name: string;
  /** Absolute and real. */
  readonly source: string;
  readonly writable: boolean;
}

/**
 * What the guest's one card is: a cable into the first program called softnet, the same with stock Softnet's lists, or the
 * host's NAT.
 */
export type MachineCard = 'cable' | 'softnet' | 'nat';

export interface MachineRun {
  readonly name: string;
  readonly shares: readonly SharedFolder[];
  readonly card: MachineCard;
  /** Shows the guest's screen by Screen Sharing. */
  readonly vnc: boolean;
}

/** Of local machines. */
export const LIST = ['list', '--source', 'local', '--format', 'json'] as const;
export const VERSION = ['--version'] as const;

/** Overwrites a machine of that name: who asks has looked before. */
export function planClone(image: string, name: string): readonly string[] {
  return ['clone', '--', image, name];
}

export interface MachineSettings {
  readonly cpus: number | null;
  readonly memoryMiB: number | null;
  /** Of 10^9 bytes each, as the tool counts. */
  readonly diskGB: number | null;
  /** `WIDTHxHEIGHT`. */
  readonly display: string | null;
}

/** Always an address of its own for the card: two clones of one image would have the same. */
export function planSet(
  name: string,
  { cpus, memoryMiB, diskGB, display }: MachineSettings,
): readonly string[] {
  const options = { '--cpu': cpus, '--memory': memoryMiB, '--disk-size': diskGB, '--display': display };
  return [
    'set',
    '--random-mac',
    ...Object.entries(options).flatMap(([option, value]) => (value === null ? [] : [`${option}=${value}`])),
    ...['--', name],
  ];
}

/** Without an option of its own the tool gives NAT. */
const CARDS: Readonly<Record<MachineCard, readonly string[]>> = {
  cable: ['--net-softnet'],
  softnet: [
    '--net-softnet',
    `--net-softnet-block=${STOCK_LISTS.block.join(',')}`,
    `--net-softnet-allow=${STOCK_LISTS.allow.join(',')}`,
  ],
  nat: [],
};

/** Sound would give the guest the host's microphone, and the clipboard is the host's. */
export function planRun({ name, shares, card, vnc }: MachineRun): readonly string[] {
  return [
    'run',
    // With both, the screen's address is printed and no viewer is opened.
    ...['--no-graphics', ...(vnc ? ['--vnc'] : [])],
    ...['--no-audio', '--no-clipboard'],
    ...CARDS[card],
    ...shares.map(sharedFolder),
    ...['--', name],
  ];
}

/** The tool splits at colons, takes a `~` for a home and a URL for something to fetch; an absolute path is neither. Raises `workspace-refused`. */
function sharedFolder({ name, source, writable }: SharedFolder): string {
  if (/[:\u0000-\u001f]/.test(source) || !source.startsWith('/')) {
    throw new SandError(
      'workspace-refused',
      `${JSON.stringify(source)} cannot be mounted: Tart knows no path with a colon or a line break`,
      'rename that folder, or mount it by another path',
    );
  }
  return `--dir=${name}:${source}${writable ? '' : ':ro'}`;
}

export interface MachineExec {
  readonly name: string;
  /** Whether standard input is passed on. */
  readonly interactive: boolean;
  /** Only where the tool's own standard output is a terminal: without one it crashes. */
  readonly terminal: boolean;
  readonly command: readonly string[];
}

/** Behind `--` a word may begin with three dashes, which the tool refuses anywhere else. */
export function planExec({ name, interactive, terminal, command }: MachineExec): readonly string[] {
  return ['exec', ...(interactive ? ['-i'] : []), ...(terminal ? ['-t'] : []), '--', name, ...command];
}

export function planGet(name: string): readonly string[] {
  return ['get', '--format', 'json', '--', name];
}

/** SIGINT to the tool that runs the machine, which is its power switch. Whole seconds until SIGKILL. */
export function planStop(name: string, seconds: number): readonly string[] {
  return ['stop', '--timeout', `${seconds}`, '--', name];
}

export function planDelete(name: string): readonly string[] {
  return ['delete', '--', name];
}

/** By the guest's agent: on sand's cable no lease of the host's tells it. */
export function planIp(name: string): readonly string[] {
  return ['ip', '--resolver', 'agent', '--', name];
}

export function planFullName(image: string): readonly string[] {
  return ['fqn', '--', image];
}

export function planPull(image: string): readonly string[] {
  return ['pull', '--', image];
}

/** `source`: `latest`, or the file of a restore image. */
export function planCreate(name: string, source: string, diskGB: number | null): readonly string[] {
  return [
    'create',
    `--from-ipsw=${source}`,
    ...(diskGB === null ? [] : [`--disk-size=${diskGB}`]),
    ...['--', name],
  ];
}
