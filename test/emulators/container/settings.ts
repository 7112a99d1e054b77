/**
 * Reads `emulator.json`, by which a test says what the emulated machine is and which faults it shows.
 * Unknown keys are errors: a fault that is misspelt would prove nothing.
 */
import { type CountedFault, takeDue } from './due.ts';
import { type Home, readJson } from './home.ts';

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

export interface Fault extends CountedFault {
  readonly fault: FaultName;
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
export function takeFaults(home: Home, { faults }: Settings, command: string): Promise<readonly Fault[]> {
  return takeDue(
    home,
    faults,
    ({ fault, command: of }) => isOf(CALL_FAULTS, fault) && of === command,
    command,
  );
}

export function faultsNamed(settings: Settings, name: (typeof GUEST_FAULTS)[number]): readonly Fault[] {
  return settings.faults.filter(({ fault }) => fault === name);
}

function isOf(names: readonly string[], name: string): boolean {
  return names.includes(name);
}
