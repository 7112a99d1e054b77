/**
 * Reads `emulator.json`, by which a test says which release is emulated, how a guest boots and which faults are shown.
 * Unknown keys are errors: a fault that is misspelt would prove nothing.
 */
import { type CountedFault, takeDue } from '../container/due.ts';
import { readJson } from '../container/home.ts';
import type { TartHome } from './home.ts';

/** Faults of one call of the tool, told apart by the verb. */
export const CALL_FAULTS = ['hang', 'delay', 'fail', 'garbage', 'silent', 'broken-json'] as const;

/** Faults of a VM, of what is told of it, and of the host it runs on. */
export const VM_FAULTS = [
  'keychain-locked',
  'no-space',
  'limit',
  'no-agent',
  'second-card',
  'softnet-dies',
  'softnet-death-unseen',
  'power-off',
  'vm-error',
  'cut-stream',
  'agent-vanishes',
  'lying-get',
  'lying-list',
  'slow-pull',
  'slow-install',
  'auto-prune',
] as const;

export type VmFaultName = (typeof VM_FAULTS)[number];

export interface Fault extends CountedFault {
  readonly fault: (typeof CALL_FAULTS)[number] | VmFaultName;
  /** Of this VM alone, for faults of a VM. */
  readonly vm?: string;
  readonly ms?: number;
  readonly message?: string;
  readonly status?: number;
  /** What is lied about, as JSON that is laid over the truth. */
  readonly value?: Readonly<Record<string, unknown>>;
}

/** Guests in namespaces, or in machines of their own. */
export const RUNTIME_NAMES = ['namespaces', 'qemu'] as const;

export interface Settings {
  readonly version: string;
  readonly runtime: (typeof RUNTIME_NAMES)[number];
  /** From the start of a VM until its agent answers. */
  readonly agentDelayMs: number;
  /** How long a call of `exec` tries to reach an agent that does not answer; the real tool takes about ten seconds. */
  readonly execPatienceMs: number;
  /** Whether guests that are asked for without Softnet get NAT, instead of a refusal. */
  readonly hasNat: boolean;
  readonly faults: readonly Fault[];
}

const KEYS = ['version', 'runtime', 'agentDelayMs', 'execPatienceMs', 'hasNat', 'faults'];
const FAULT_KEYS = [
  ...['fault', 'command', 'skip', 'times', 'every', 'vm', 'ms', 'message', 'status', 'value'],
];

export function readSettings(home: TartHome): Settings {
  const raw = readJson<Partial<Settings>>(home.settingsFile) ?? {};
  const faults = raw.faults ?? [];
  refuseOthers('emulator.json', Object.keys(raw), KEYS);
  for (const fault of faults) {
    refuseOthers('emulator.json: a fault', Object.keys(fault), FAULT_KEYS);
    refuseOthers('emulator.json: faults', [fault.fault], [...CALL_FAULTS, ...VM_FAULTS]);
  }
  const runtime = raw.runtime ?? 'namespaces';
  refuseOthers('emulator.json: runtime', [runtime], RUNTIME_NAMES);
  return {
    runtime,
    version: raw.version ?? '2.35.0',
    agentDelayMs: raw.agentDelayMs ?? 100,
    execPatienceMs: raw.execPatienceMs ?? 1000,
    hasNat: raw.hasNat ?? false,
    faults,
  };
}

function refuseOthers(where: string, words: readonly string[], known: readonly string[]): void {
  const other = words.find((word) => !known.includes(word));
  if (other !== undefined) throw new Error(`${where} has no "${other}"; it knows ${known.join(', ')}`);
}

/** The faults of a verb that are due now; each call is counted. */
export function takeFaults(home: TartHome, { faults }: Settings, command: string): Promise<readonly Fault[]> {
  const names: readonly string[] = CALL_FAULTS;
  return takeDue(home, faults, ({ fault, command: of }) => names.includes(fault) && of === command, command);
}

/** Whether a VM shows it, and how; null where it does not. */
export function vmFault({ faults }: Settings, name: VmFaultName, vm: string): Fault | null {
  return faults.find((fault) => fault.fault === name && (fault.vm ?? vm) === vm) ?? null;
}
