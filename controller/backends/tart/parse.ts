/** What `tart` prints, as values. What is not there or reads otherwise is null, and whoever asked refuses. Pure. */

export interface ListedMachine {
  readonly name: string;
  readonly running: boolean;
}

export interface MachineFacts {
  readonly system: 'macos' | 'linux';
  readonly running: boolean;
  /** A state that was saved with it would come back with a clone. */
  readonly suspended: boolean;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly diskGB: number;
}

/** Of `list --format json`; null where it is no list of machines that all read. */
export function parseMachines(text: string): readonly ListedMachine[] | null {
  const value = parseJson(text);
  if (!Array.isArray(value)) return null;
  const machines = value.map(parseListed);
  return machines.includes(null) ? null : machines.filter((one) => one !== null);
}

function parseListed(value: unknown): ListedMachine | null {
  const { Name: name, Running: running, State: state } = record(value) ?? {};
  if (typeof name !== 'string' || typeof running !== 'boolean') return null;
  // The two words of the tool for one thing: either counts.
  return { name, running: running || state === 'running' };
}

/** Of `get --format json`. */
export function parseMachine(text: string): MachineFacts | null {
  const {
    OS: os,
    Running: running,
    State: state,
    CPU: cpus,
    Memory: memoryMiB,
    Disk: diskGB,
  } = record(parseJson(text)) ?? {};
  const system = os === 'darwin' ? 'macos' : os === 'linux' ? 'linux' : null;
  if (system === null || typeof running !== 'boolean') return null;
  if (typeof cpus !== 'number' || typeof memoryMiB !== 'number' || typeof diskGB !== 'number') return null;
  return { system, running, suspended: state === 'suspended', cpus, memoryMiB, diskGB };
}

/** Of `fqn`: a reference with its digest; null for anything else. */
export function parseDigest(text: string): string | null {
  return /@(sha256:[0-9a-f]{64})\s*$/.exec(text)?.[1] ?? null;
}

/** Of `ip`. */
export function parseAddress(text: string): string | null {
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.exec(text.trim())?.[0] ?? null;
}

const COMPLAINT_LENGTH = 500;

/** The last line that says something, without its prefix and on one line; empty where there is none. */
export function parseComplaint(text: string): string {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim());
  const said = lines.filter((line) => line !== '' && !line.startsWith('Usage:') && !line.startsWith('See '));
  const line = said.find((one) => one.startsWith('Error:')) ?? said.at(-1) ?? '';
  return line
    .replace(/^Error:\s*/, '')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
    .slice(0, COMPLAINT_LENGTH);
}

/** What the framework says of a third macOS guest. */
export function isMachineLimit(text: string): boolean {
  return text.includes('number of VMs exceeds the system limit');
}

/** What macOS says where nobody has unlocked the login keychain. */
export function isLockedKeychain(text: string): boolean {
  return /Interaction is not allowed with the Security Server|User interaction is not allowed|-25308/.test(
    text,
  );
}

export function isFullDisk(text: string): boolean {
  return /no space left|not enough (?:free )?(?:disk )?space|disk is full|out of space/i.test(text);
}

/** What stock Softnet says where it is neither SUID root nor allowed by sudo without a password. */
export function isSoftnetPowerless(text: string): boolean {
  return text.includes('root privileges are required to run and passwordless sudo was not available');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
}
