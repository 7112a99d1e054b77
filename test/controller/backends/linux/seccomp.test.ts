import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Architecture, seccompFilter } from '../../../../controller/backends/linux/seccomp.ts';

const ALLOWED = 'allow';
const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
const ERRNO: Readonly<Record<number, string>> = {
  1: 'EPERM',
  38: 'ENOSYS',
  93: 'EPROTONOSUPPORT',
  97: 'EAFNOSUPPORT',
};

interface Call {
  readonly number: number;
  readonly audit?: number;
  readonly args?: readonly bigint[];
}

/** A classic BPF machine with the four instructions that filters here use (linux/filter.h). */
function verdict(architecture: Architecture, call: Call): string {
  const program = seccompFilter(architecture);
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number >>> 0, 0);
  data.writeUInt32LE(call.audit ?? AUDIT[architecture], 4);
  for (const [at, arg] of (call.args ?? []).entries()) {
    data.writeBigUInt64LE(BigInt.asUintN(64, arg), 16 + at * 8);
  }
  let accumulator = 0;
  for (let at = 0; at * 8 < program.length; at++) {
    const operand = program.readUInt32LE(at * 8 + 4);
    const jump = (taken: boolean) => program.readUInt8(at * 8 + (taken ? 2 : 3));
    switch (program.readUInt16LE(at * 8)) {
      case 0x20:
        accumulator = data.readUInt32LE(operand);
        break;
      case 0x54:
        accumulator = (accumulator & operand) >>> 0;
        break;
      case 0x15:
        at += jump(accumulator === operand);
        break;
      case 0x45:
        at += jump((accumulator & operand) !== 0);
        break;
      case 0x06:
        return operand === 0x7fff0000 ? ALLOWED : (ERRNO[operand & 0xffff] ?? String(operand));
      default:
        throw new Error('an instruction that no filter here uses');
    }
  }
  throw new Error('the filter ends without a verdict');
}

const SOCKET = { x64: 41, arm64: 198 } as const;
const IOCTL = { x64: 16, arm64: 29 } as const;
const OPENAT = { x64: 257, arm64: 56 } as const;
const FCHMODAT = { x64: 268, arm64: 53 } as const;
const big = (...values: readonly number[]) => values.map(BigInt);

describe.each(['x64', 'arm64'] as const)('the filter for %s', (architecture) => {
  const socket = (family: number, type: number) =>
    verdict(architecture, { number: SOCKET[architecture], args: big(family, type, 0) });

  it.each([
    ['a local stream', 1, 1, ALLOWED],
    ['an IPv4 stream', 2, 1, ALLOWED],
    ['an IPv6 datagram, close-on-exec', 10, 2 | 0o2000000, ALLOWED],
    ['netlink', 16, 3, ALLOWED],
    ['raw IPv4', 2, 3, 'EPROTONOSUPPORT'],
    ['raw IPv6, non-blocking', 10, 3 | 0o4000, 'EPROTONOSUPPORT'],
    ['SCTP-like', 2, 5, 'EPROTONOSUPPORT'],
    ['AF_PACKET', 17, 3, 'EAFNOSUPPORT'],
    ['AF_VSOCK', 40, 1, 'EAFNOSUPPORT'],
    ['AF_ALG', 38, 5, 'EAFNOSUPPORT'],
    ['AF_XDP', 44, 3, 'EAFNOSUPPORT'],
  ])('%s: socket(%i, %i) is %s', (_, family, type, expected) => {
    expect(socket(family, type)).toBe(expected);
  });

  it('knows no family but four, whatever the type', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffffff), (family, type) => {
        if (![1, 2, 10, 16].includes(family)) expect(socket(family, type)).toBe('EAFNOSUPPORT');
        else if (family === 2 || family === 10)
          expect(socket(family, type) === ALLOWED).toBe([1, 2].includes(type & 0xf));
      }),
    );
  });

  it.each([
    ['io_uring_setup', 425, 'ENOSYS'],
    ['bpf', architecture === 'x64' ? 321 : 280, 'EPERM'],
    ['keyctl', architecture === 'x64' ? 250 : 219, 'EPERM'],
    ['add_key', architecture === 'x64' ? 248 : 217, 'EPERM'],
    ['mount', architecture === 'x64' ? 165 : 40, 'EPERM'],
    ['setns', architecture === 'x64' ? 308 : 268, 'EPERM'],
    ['move_mount', 429, 'ENOSYS'],
    ['userfaultfd', architecture === 'x64' ? 323 : 282, 'EPERM'],
  ])('%s is refused', (_, number, expected) => {
    expect(verdict(architecture, { number })).toBe(expected);
  });

  it('refuses terminal injection, also with rubbish in the upper half of the request', () => {
    for (const request of [0x5412n, 0x541cn, 0xdead_0000_5412n]) {
      expect(verdict(architecture, { number: IOCTL[architecture], args: [0n, request] })).toBe('EPERM');
    }
    expect(verdict(architecture, { number: IOCTL[architecture], args: big(0, 0x5413) })).toBe(ALLOWED);
  });

  it('makes no file that runs as its owner', () => {
    const creating = big(0, 0, 0o100 | 2, 0o4755);
    expect(verdict(architecture, { number: OPENAT[architecture], args: creating })).toBe('EPERM');
    expect(verdict(architecture, { number: OPENAT[architecture], args: big(0, 0, 0o100, 0o644) })).toBe(
      ALLOWED,
    );
    expect(verdict(architecture, { number: OPENAT[architecture], args: big(0, 0, 0, 0o4755) })).toBe(ALLOWED);
    expect(verdict(architecture, { number: FCHMODAT[architecture], args: big(0, 0, 0o2755) })).toBe('EPERM');
    expect(verdict(architecture, { number: FCHMODAT[architecture], args: big(0, 0, 0o755) })).toBe(ALLOWED);
  });

  it('refuses every call of another architecture', () => {
    fc.assert(
      fc.property(fc.nat(500), fc.nat(0xffffffff), (number, audit) => {
        fc.pre(audit !== AUDIT[architecture]);
        expect(verdict(architecture, { number, audit })).toBe('ENOSYS');
      }),
    );
  });

  it('comes to a verdict on any call', () => {
    const args = fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(fc.nat(0xffffffff), args, (number, drawn) => {
        expect([ALLOWED, ...Object.values(ERRNO)]).toContain(verdict(architecture, { number, args: drawn }));
      }),
    );
  });
});

it('refuses every call of the x32 ABI', () => {
  fc.assert(
    fc.property(fc.nat(0x3fffffff), (number) => {
      expect(verdict('x64', { number: (number | 0x40000000) >>> 0 })).toBe('ENOSYS');
    }),
  );
});
