/**
 * What a gVisor guest says of itself, and what the host sees of the processes that hold it, judged: the guest's
 * word shows that gVisor's kernel answers and that names are asked at this gateway; that nothing else can be
 * reached is read from the host's own kernel. Pure.
 */
import type { ProbeResult } from '../../../../audit/event.ts';
import { splitStatus } from '../report.ts';
import { GUEST_ROOT } from './view.ts';

/** What the guest wrote. */
export interface InsideReport {
  /** `Name: value` lines of /proc/self/status. */
  readonly status: ReadonlyMap<string, string>;
  /** /proc/version, and the first line of the kernel's log. */
  readonly kernel: readonly string[];
  /** First word of each line of the lookup's answer. */
  readonly addresses: readonly string[];
  readonly commandFound: boolean;
}

/** One of the two processes that hold the guest, as the host's /proc shows it. */
export interface HeldProcess {
  readonly status: ReadonlyMap<string, string>;
  /** `net:[inode]` */
  readonly namespace: string;
}

/** What the host's kernel says. */
export interface OutsideReport {
  /** gVisor's kernel, the process that makes the guest's system calls. */
  readonly sandbox: HeldProcess;
  /** Hands the guest its files. */
  readonly gofer: HeldProcess;
  /** Of the outer sandbox. */
  readonly mounts: readonly { readonly target: string; readonly writable: boolean }[];
}

const PARTS = ['status', 'kernel', 'resolver', 'command'] as const;

/** Null when the report is not whole. */
export function parseInside(text: string): InsideReport | null {
  const parts = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('@')) {
      lines = [];
      parts.set(line.slice(1), lines);
    } else if (line !== '') lines.push(line);
  }
  if (!parts.has('end') || PARTS.some((part) => !parts.has(part))) return null;
  return {
    status: parseStatus(parts.get('status') ?? []),
    kernel: parts.get('kernel') ?? [],
    addresses: (parts.get('resolver') ?? []).map((line) => line.split(/\s/, 1).join('')),
    commandFound: parts.get('command')?.[0] === 'found',
  };
}

export function parseStatus(lines: readonly string[]): ReadonlyMap<string, string> {
  return new Map(lines.map(splitStatus));
}

export interface GvisorExpectations {
  readonly uid: number;
  /** /proc/version of the host. */
  readonly hostKernel: string;
  /** `net:[inode]` of the namespace that the probes looked from. */
  readonly namespace: string;
  /** Where the guest may write, by its own paths. */
  readonly writable: readonly string[];
  /** Of an address that this guest's gateway gives. */
  readonly isSynthetic: (address: string) => boolean;
}

export function judgeInside(report: InsideReport, expected: GvisorExpectations): readonly ProbeResult[] {
  const status = (name: string) => report.status.get(name) ?? '(missing)';
  const capabilities = ['CapInh', 'CapPrm', 'CapEff'].filter((set) => !/^0+$/.test(status(set)));
  const [version = '(missing)', log = ''] = report.kernel;
  const uid = status('Uid').split(/\s/);
  return [
    result(
      'guest-capabilities',
      capabilities.length === 0,
      `sets that are not empty: ${capabilities.join(', ') || 'none'}`,
    ),
    result(
      'guest-user',
      uid.length === 4 && uid.every((id) => id === String(expected.uid)),
      `Uid: ${uid.join(' ')}`,
    ),
    result('guest-kernel', version !== expected.hostKernel && /gVisor/.test(log), `${version}; ${log}`),
    result(
      'guest-resolver',
      report.addresses.length > 0 && report.addresses.every(expected.isSynthetic),
      `a name that only the gateway knows, asked from inside: ${report.addresses.join(' ') || 'no answer'}`,
    ),
  ];
}

/** CAP_SYS_PTRACE: with it gVisor's kernel runs the guest's processes, which are its own children. */
const SANDBOX_CAPABILITIES = 1n << 19n;

export function judgeOutside(report: OutsideReport, expected: GvisorExpectations): readonly ProbeResult[] {
  const { sandbox, gofer } = report;
  const held = [
    ['sandbox', sandbox],
    ['gofer', gofer],
  ] as const;
  const unfiltered = held.filter(([, { status }]) => status.get('Seccomp') !== '2').map(([name]) => name);
  const free = held.filter(([, { status }]) => status.get('NoNewPrivs') !== '1').map(([name]) => name);
  const planned = new Set(expected.writable.map((target) => GUEST_ROOT + target));
  const surprising = report.mounts.filter(
    ({ target, writable }) =>
      writable && (target === GUEST_ROOT || target.startsWith(`${GUEST_ROOT}/`)) && !planned.has(target),
  );
  const isShown = report.mounts.some(({ target }) => target === GUEST_ROOT);
  return [
    result(
      'sandbox-seccomp',
      unfiltered.length === 0,
      `without a filter: ${unfiltered.join(', ') || 'none'}`,
    ),
    result('sandbox-no-new-privileges', free.length === 0, `without: ${free.join(', ') || 'none'}`),
    result(
      'sandbox-capabilities',
      isWithinCapabilities(sandbox.status.get('CapPrm'), SANDBOX_CAPABILITIES),
      `CapPrm: ${sandbox.status.get('CapPrm') ?? '(missing)'}`,
    ),
    result(
      'guest-namespace',
      sandbox.namespace === expected.namespace,
      `the guest\u2019s kernel runs in ${sandbox.namespace}`,
    ),
    result(
      'guest-mounts',
      isShown && surprising.length === 0,
      surprising.length === 0
        ? 'only what was planned is writable'
        : `writable: ${surprising.map(({ target }) => target).join(', ')}`,
    ),
  ];
}

/** Fail closed: what is no number holds more than it may. */
function isWithinCapabilities(hex: string | undefined, allowed: bigint): boolean {
  return hex !== undefined && /^[\da-f]{1,16}$/.test(hex) && (BigInt(`0x${hex}`) & ~allowed) === 0n;
}

/** Of `runsc ps --format=json`; 0 where it says something else, since a guest that has ended has none. */
export function countProcesses(json: string): number {
  try {
    const list: unknown = JSON.parse(json);
    return Array.isArray(list) ? list.length : 0;
  } catch {
    return 0;
  }
}

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}
