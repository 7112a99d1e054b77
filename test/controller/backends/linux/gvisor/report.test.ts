import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countProcesses,
  type GvisorExpectations,
  judgeInside,
  judgeOutside,
  type OutsideReport,
  parseInside,
} from '../../../../../controller/backends/linux/gvisor/report.ts';

const EXPECTED: GvisorExpectations = {
  uid: 1000,
  hostKernel: 'Linux version 6.1.0 (host)',
  namespace: 'net:[7]',
  writable: ['/tmp', '/home/me/work'],
  isSynthetic: (address) => address.startsWith('198.18.'),
};

const STATUS = ['CapInh', 'CapPrm', 'CapEff'].map((set) => `${set}:\t0000000000000000`);

interface InsideText {
  readonly status?: readonly string[];
  readonly kernel?: readonly string[];
  readonly resolver?: readonly string[];
}

function text({ status, kernel, resolver }: InsideText = {}): string {
  return [
    ...['@status', ...(status ?? ['Uid:\t1000\t1000\t1000\t1000', ...STATUS])],
    ...['@kernel', ...(kernel ?? ['Linux version 4.4.0 #1', '[    0.000000] Starting gVisor...'])],
    ...['@resolver', ...(resolver ?? ['198.18.1.5      STREAM n0nce.probe.sand', '198.18.1.5      DGRAM'])],
    ...['@command', 'found', '@end', ''],
  ].join('\n');
}

function insideFailures(report: string): readonly string[] {
  const parsed = parseInside(report);
  if (parsed === null) return ['unreadable'];
  return judgeInside(parsed, EXPECTED)
    .filter(({ passed }) => !passed)
    .map(({ name }) => name);
}

describe('what a gVisor guest says of itself', () => {
  it('passes where everything is as planned', () => {
    expect(insideFailures(text())).toEqual([]);
    expect(parseInside(text())?.commandFound).toBe(true);
  });

  it.each<readonly [string, InsideText, string]>([
    [
      'a capability',
      { status: ['Uid:\t1000\t1000\t1000\t1000', ...STATUS.slice(1), 'CapInh:\t01'] },
      'guest-capabilities',
    ],
    [
      'capabilities that it does not tell',
      { status: ['Uid:\t1000\t1000\t1000\t1000'] },
      'guest-capabilities',
    ],
    ['root', { status: ['Uid:\t0\t0\t0\t0', ...STATUS] }, 'guest-user'],
    ['a saved root', { status: ['Uid:\t1000\t1000\t0\t1000', ...STATUS] }, 'guest-user'],
    [
      'the host\u2019s kernel',
      { kernel: ['Linux version 6.1.0 (host)', '[    0.000000] Starting gVisor...'] },
      'guest-kernel',
    ],
    ['a kernel that is not gVisor', { kernel: ['Linux version 4.4.0 #1'] }, 'guest-kernel'],
    ['no kernel', { kernel: [] }, 'guest-kernel'],
    ['another resolver', { resolver: ['203.0.113.1 STREAM'] }, 'guest-resolver'],
    ['one of two addresses from elsewhere', { resolver: ['198.18.1.5', '203.0.113.1'] }, 'guest-resolver'],
    ['no answer', { resolver: [] }, 'guest-resolver'],
  ])('fails with %s', (_, report, name) => {
    expect(insideFailures(text(report))).toEqual([name]);
  });

  it('is unreadable when it is cut', () => {
    const whole = text().trimEnd();
    fc.assert(
      fc.property(fc.nat({ max: whole.length - 1 }), (length) => {
        expect(parseInside(whole.slice(0, length))).toBeNull();
      }),
    );
  });

  it('is survived, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (any) => {
        const parsed = parseInside(any);
        if (parsed !== null) judgeInside(parsed, EXPECTED);
      }),
    );
  });
});

const HELD = new Map([
  ['Seccomp', '2'],
  ['NoNewPrivs', '1'],
  ['CapPrm', '0000000000080000'],
]);

const OUTSIDE: OutsideReport = {
  sandbox: { status: HELD, namespace: 'net:[7]' },
  gofer: { status: HELD, namespace: 'net:[8]' },
  mounts: [
    { target: '/', writable: false },
    { target: '/sand', writable: true },
    { target: '/guest', writable: false },
    { target: '/guest/usr', writable: false },
    { target: '/guest/tmp', writable: true },
    { target: '/guest/home/me/work', writable: true },
  ],
};

function outsideFailures(report: OutsideReport): readonly string[] {
  return judgeOutside(report, EXPECTED)
    .filter(({ passed }) => !passed)
    .map(({ name }) => name);
}

function heldWith(name: string, value: string): OutsideReport['sandbox'] {
  return { ...OUTSIDE.sandbox, status: new Map([...HELD, [name, value]]) };
}

describe('what the host sees of a gVisor guest', () => {
  it('passes where everything is as planned', () => {
    expect(outsideFailures(OUTSIDE)).toEqual([]);
  });

  it.each<readonly [string, Partial<OutsideReport>, string]>([
    ['a sandbox without a filter', { sandbox: heldWith('Seccomp', '0') }, 'sandbox-seccomp'],
    ['a gofer without a filter', { gofer: heldWith('Seccomp', '0') }, 'sandbox-seccomp'],
    ['new privileges', { sandbox: heldWith('NoNewPrivs', '0') }, 'sandbox-no-new-privileges'],
    [
      'a capability over the network',
      { sandbox: heldWith('CapPrm', '0000000000081000') },
      'sandbox-capabilities',
    ],
    ['capabilities that are no number', { sandbox: heldWith('CapPrm', 'all') }, 'sandbox-capabilities'],
    ['another network', { sandbox: { status: HELD, namespace: 'net:[1]' } }, 'guest-namespace'],
    ['no view at all', { mounts: [] }, 'guest-mounts'],
    [
      'a writable system',
      { mounts: [...OUTSIDE.mounts, { target: '/guest/etc', writable: true }] },
      'guest-mounts',
    ],
    ['a writable root', { mounts: [{ target: '/guest', writable: true }] }, 'guest-mounts'],
  ])('fails with %s', (_, changed, name) => {
    expect(outsideFailures({ ...OUTSIDE, ...changed })).toEqual([name]);
  });
});

it.each([
  ['[{"pid":1},{"pid":2},{"pid":9}]', 3],
  ['null', 0],
  ['', 0],
])('the processes of a guest are counted: %s', (json, count) => {
  expect(countProcesses(json)).toBe(count);
});
