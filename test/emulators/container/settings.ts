/**
 * Reads `emulator.json`, by which a test says what the emulated machine is and which faults it shows.
 * Unknown keys are errors: a fault that is misspelt would prove nothing.
 */
import { type Home, readJson, writeJson } from './home.ts';
import { withLock } from './lock.ts';

/** Faults of one call of the tool, told apart by the verb: `list`, `image pull`. */
export const CALL_FAULTS = [
  'hang',
  'delay',
  'fail',
  'xpc-error',
  'garbage',
  'silent',
  'broken-json',
] as const;

/** Faults of a guest or of what is told about it. */
export const GUEST_FAULTS = [
  'lying-network',
  'lying-nameserver',
  'vanish',
  'kill-helper',
  'drop-capability',
  'no-netfilter',
  'no-socket',
  'slow-pull',
] as const;

export const RUNTIME_NAMES = ['namespaces', 'qemu'] as const;

export type FaultName = (typeof CALL_FAULTS)[number] | (typeof GUEST_FAULTS)[number];

export interface Fault {
  readonly fault: FaultName;
  /** The verb, for faults of a call. */
  readonly command?: string;
  /** Each call that it meets counts: this many are let through first. */
  readonly skip?: number;
  /** After these it is over. */
  readonly times?: number;
  /** Only each n-th of those left. */
  readonly every?: number;
  readonly ms?: number;
  readonly message?: string;
  readonly status?: number;
  /** A nameserver, a capability, the guest's path of a socket. */
  readonly value?: string;
}

export interface Settings {
  readonly version: string;
  readonly runtime: (typeof RUNTIME_NAMES)[number];
  readonly server: 'up' | 'down';
  readonly faults: readonly Fault[];
}

const KEYS = ['version', 'runtime', 'server', 'faults'];
const FAULT_KEYS = ['fault', 'command', 'skip', 'times', 'every', 'ms', 'message', 'status', 'value'];

export function readSettings(home: Home): Settings {
  const raw = readJson<Partial<Settings>>(home.settingsFile) ?? {};
  const faults = raw.faults ?? [];
  refuseOthers('emulator.json', Object.keys(raw), KEYS);
  for (const fault of faults) {
    refuseOthers('emulator.json: a fault', Object.keys(fault), FAULT_KEYS);
    refuseOthers('emulator.json: faults', [fault.fault], [...CALL_FAULTS, ...GUEST_FAULTS]);
  }
  const runtime = raw.runtime ?? 'namespaces';
  refuseOthers('emulator.json: runtime', [runtime], RUNTIME_NAMES);
  return { version: raw.version ?? '1.2.2', runtime, server: raw.server ?? 'up', faults };
}

function refuseOthers(where: string, words: readonly string[], known: readonly string[]): void {
  const other = words.find((word) => !known.includes(word));
  if (other !== undefined) throw new Error(`${where} has no "${other}"; it knows ${known.join(', ')}`);
}

/** The faults of a verb that are due now; each call is counted. */
export async function takeFaults(home: Home, settings: Settings, command: string): Promise<readonly Fault[]> {
  const met = [...settings.faults.entries()].filter(
    ([, fault]) => isOf(CALL_FAULTS, fault.fault) && fault.command === command,
  );
  if (met.length === 0) return [];
  return withLock(home, 'counts', async () => {
    const counts = readJson<Record<string, number>>(home.countsFile) ?? {};
    const due = met.filter(([at, fault]) => {
      const key = `${at} ${fault.fault} ${command}`;
      const count = counts[key] ?? 0;
      counts[key] = count + 1;
      return isDue(fault, count);
    });
    writeJson(home.countsFile, counts);
    return due.map(([, fault]) => fault);
  });
}

function isDue({ skip = 0, times = Number.POSITIVE_INFINITY, every = 1 }: Fault, count: number): boolean {
  const at = count - skip;
  return at >= 0 && at % every === every - 1 && Math.floor(at / every) < times;
}

export function faultsNamed(settings: Settings, name: (typeof GUEST_FAULTS)[number]): readonly Fault[] {
  return settings.faults.filter(({ fault }) => fault === name);
}

function isOf(names: readonly string[], name: string): boolean {
  return names.includes(name);
}
