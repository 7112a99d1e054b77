/**
 * The report that a guest's prelude writes before its command may run: text → facts → probe results. A
 * report that is cut, or says what it should not, is a failed probe. Pure.
 */
import type { ProbeResult } from '../../../audit/event.ts';
import type { Mount } from './mounts.ts';

export interface GuestReport {
  /** `Name: value` lines of /proc/self/status. */
  readonly status: ReadonlyMap<string, string>;
  readonly mounts: readonly { readonly target: string; readonly writable: boolean; readonly type: string }[];
  /** `net:[inode]` */
  readonly namespace: string;
  readonly procSysWritable: boolean;
  readonly commandFound: boolean;
}

/** Three parts with an empty line between them: status, mounts, findings. Null when the report is not whole. */
export function parseReport(text: string): GuestReport | null {
  const [status, mounts, rest] = text.split('\n\n');
  const [namespace, settings, found, end] = (rest ?? '').split('\n');
  if (status === undefined || mounts === undefined || end !== 'end') return null;
  return {
    status: new Map(status.split('\n').map(splitStatus)),
    mounts: mounts.split('\n').map(parseMountInfo),
    namespace: namespace ?? '',
    // Fail closed: anything but the two expected words counts as the worse one.
    procSysWritable: settings !== 'read-only',
    commandFound: found === 'found',
  };
}

export function splitStatus(line: string): readonly [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

/** proc(5), /proc/pid/mountinfo: the fifth field is the mount point, the sixth its options, after `-` the type. */
export function parseMountInfo(line: string): GuestReport['mounts'][number] {
  const fields = line.split(' ');
  const target = (fields[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return {
    target,
    writable: (fields[5] ?? '').split(',').includes('rw'),
    type: fields[fields.indexOf('-') + 1] ?? '',
  };
}

export interface ReportExpectations {
  /** `net:[inode]` of the namespace that the probes looked from. */
  readonly namespace: string;
  /** Where a guest may write, by its own paths. */
  readonly writable: readonly string[];
  /** Mask of the capabilities that the command keeps, as /proc/self/status writes it; absent: none. */
  readonly capabilities?: string;
}

/** Mounts of bubblewrap's own making that a guest writes: its devices, terminals and its procfs. */
const OWN_WRITABLE_TYPES: readonly string[] = ['proc', 'devpts', 'devtmpfs'];

export function judgeReport(report: GuestReport, expected: ReportExpectations): readonly ProbeResult[] {
  const status = (name: string) => report.status.get(name) ?? '(missing)';
  const capabilities = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].filter(
    (set) => !/^0+$/.test(status(set)) && status(set) !== expected.capabilities,
  );
  const writable = new Set(expected.writable);
  const surprising = report.mounts.filter(
    ({ target, writable: written, type }) =>
      written && !writable.has(target) && !target.startsWith('/dev') && !OWN_WRITABLE_TYPES.includes(type),
  );
  return [
    result(
      'guest-capabilities',
      capabilities.length === 0,
      `sets that are not as they should be: ${capabilities.join(', ') || 'none'}`,
    ),
    result('guest-seccomp', status('Seccomp') === '2', `Seccomp: ${status('Seccomp')}`),
    result('guest-no-new-privileges', status('NoNewPrivs') === '1', `NoNewPrivs: ${status('NoNewPrivs')}`),
    result(
      'guest-namespace',
      report.namespace === expected.namespace,
      `the command runs in ${report.namespace}`,
    ),
    result(
      'guest-kernel-settings',
      !report.procSysWritable,
      report.procSysWritable ? '/proc/sys can be written' : '/proc/sys is read-only',
    ),
    result(
      'guest-mounts',
      report.mounts.length > 0 && surprising.length === 0,
      surprising.length === 0
        ? 'only what was planned is writable'
        : `writable: ${surprising.map(({ target }) => target).join(', ')}`,
    ),
  ];
}

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}

/** The places of a plan that a guest may write. */
export function writablePlaces(mounts: readonly Mount[]): readonly string[] {
  return mounts.filter(isWritable).map((mount) => ('target' in mount ? mount.target : `/${mount.kind}`));
}

function isWritable(mount: Mount): boolean {
  return mount.kind === 'tmpfs' || mount.kind === 'device' || (mount.kind === 'bind' && mount.writable);
}
