import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mount } from '../../../../controller/backends/linux/mounts.ts';
import { judgeReport, parseReport, writablePlaces } from '../../../../controller/backends/linux/report.ts';

const MOUNTS: readonly Mount[] = [
  { kind: 'bind', source: '/usr', target: '/usr', writable: false },
  { kind: 'tmpfs', target: '/tmp', mode: '1777' },
  { kind: 'bind', source: '/p', target: '/my work', writable: true },
];

const STATUS = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map((set) => `${set}:\t0000000000000000`);

interface ReportText {
  readonly status?: readonly string[];
  readonly mounts?: readonly string[];
  readonly tail?: readonly string[];
}

function text({ status, mounts, tail }: ReportText = {}): string {
  return [
    ...(status ?? ['Name:\tsh', ...STATUS, 'NoNewPrivs:\t1', 'Seccomp:\t2']),
    '',
    ...(mounts ?? [
      '100 99 0:50 /usr /usr ro,nosuid - ext4 /dev/vda rw',
      '101 99 0:51 / /tmp rw,nosuid - tmpfs tmpfs rw',
      '102 99 0:52 / /my\\040work rw - ext4 /dev/vda rw',
      '103 99 0:53 / /proc rw - proc proc rw',
      '104 99 0:54 / /dev rw - tmpfs tmpfs rw',
    ]),
    '',
    ...(tail ?? ['net:[4026532000]', 'read-only', 'found', 'end']),
    '',
  ].join('\n');
}

function failures(report: string, capabilities: { readonly capabilities?: string } = {}): readonly string[] {
  const parsed = parseReport(report);
  if (parsed === null) return ['unreadable'];
  const results = judgeReport(parsed, {
    namespace: 'net:[4026532000]',
    writable: writablePlaces(MOUNTS),
    ...capabilities,
  });
  return results.filter(({ passed }) => !passed).map(({ name }) => name);
}

describe('a guest\u2019s report', () => {
  it('passes where everything is as planned', () => {
    expect(failures(text())).toEqual([]);
    expect(parseReport(text())?.commandFound).toBe(true);
  });

  it('passes the capabilities that were planned, and no others', () => {
    const kept = (mask: string) =>
      text({
        status: [
          ...STATUS.slice(1),
          `CapEff:\t${mask}`,
          'CapInh:\t0000000000000000',
          'NoNewPrivs:\t1',
          'Seccomp:\t2',
        ],
      });
    const expected = { capabilities: '0000000000040100' };
    expect(failures(kept('0000000000040100'), expected)).toEqual([]);
    expect(failures(kept('0000000000040101'), expected)).toEqual(['guest-capabilities']);
    expect(failures(kept('0000000000040100'))).toEqual(['guest-capabilities']);
  });

  const TAIL = { namespace: 'net:[4026532000]', end: ['found', 'end'] };
  it.each<readonly [string, ReportText, string]>([
    [
      'a capability',
      { status: [...STATUS.slice(1), 'CapInh:\t0000000000000001', 'NoNewPrivs:\t1', 'Seccomp:\t2'] },
      'guest-capabilities',
    ],
    ['no filter', { status: [...STATUS, 'NoNewPrivs:\t1', 'Seccomp:\t0'] }, 'guest-seccomp'],
    ['a missing line', { status: [...STATUS, 'NoNewPrivs:\t1'] }, 'guest-seccomp'],
    ['new privileges', { status: [...STATUS, 'NoNewPrivs:\t0', 'Seccomp:\t2'] }, 'guest-no-new-privileges'],
    ['another namespace', { tail: ['net:[1]', 'read-only', ...TAIL.end] }, 'guest-namespace'],
    ['writable settings', { tail: [TAIL.namespace, 'writable', ...TAIL.end] }, 'guest-kernel-settings'],
    ['an unexpected word', { tail: [TAIL.namespace, 'fine', ...TAIL.end] }, 'guest-kernel-settings'],
    [
      'a writable mount that nobody planned',
      { mounts: ['1 1 0:1 / / rw - ext4 /dev/vda rw'] },
      'guest-mounts',
    ],
    [
      'a read-only mount that is writable',
      { mounts: ['1 1 0:1 / /usr rw - ext4 /dev/vda rw'] },
      'guest-mounts',
    ],
  ])('fails for %s', (_, changed, name) => {
    expect(failures(text(changed))).toContain(name);
  });

  it('is unreadable when it is cut anywhere', () => {
    const whole = text();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 5 }), (length) => {
        expect(failures(whole.slice(0, length))).not.toEqual([]);
      }),
    );
  });

  it('never passes for what a guest makes up without knowing its namespace', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (made) => {
        expect(failures(made)).not.toEqual([]);
      }),
    );
  });
});
