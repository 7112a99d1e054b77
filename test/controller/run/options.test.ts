import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, SandError } from '../../../controller/errors.ts';
import {
  parseDnsPort,
  parseDuration,
  parseEnvFlag,
  parseMountFlag,
  parseShares,
  parseUserFlag,
} from '../../../controller/run/options.ts';

/** What a parser raises; every flag's mistake is wrong use, and says what to write. */
function mistake(parse: () => unknown): SandError {
  try {
    parse();
  } catch (error) {
    if (error instanceof SandError) return error;
    throw error;
  }
  throw new Error('nothing was raised');
}

describe('flags that are wrong', () => {
  it.each<readonly [string, () => unknown]>([
    ['a mount of nothing', () => parseMountFlag('')],
    ['a mount at nothing', () => parseMountFlag('a:')],
    ['a mount that is only read-only', () => parseMountFlag(':ro')],
    ['a mount of four parts', () => parseMountFlag('a:/b:/c:ro')],
    ['a relative place', () => parseMountFlag('a:b')],
    ['a variable without a name', () => parseEnvFlag('=x', {})],
    ['a name with a dash', () => parseEnvFlag('A-B=x', {})],
    ['a variable that is not set', () => parseEnvFlag('MINE', {})],
    ['a value with a NUL', () => parseEnvFlag('A=\0', {})],
    ['no user', () => parseUserFlag('')],
    ['a user by name', () => parseUserFlag('root')],
    ['a negative user', () => parseUserFlag('-1')],
    ['a user beyond nobody', () => parseUserFlag('65535')],
    ['a group beyond nobody', () => parseUserFlag('0:70000')],
    ['three ids', () => parseUserFlag('1:2:3')],
    ['no time', () => parseDuration('--timeout', '')],
    ['a time of nothing', () => parseDuration('--timeout', '0s')],
    ['a negative time', () => parseDuration('--timeout', '-1s')],
    ['days', () => parseDuration('--timeout', '2d')],
    ['a time that the timer would take for none', () => parseDuration('--timeout', '10000h')],
    ['an unknown share', () => parseShares(['gitconfig,agent'])],
    ['port 0', () => parseDnsPort('0')],
    ['a privileged port', () => parseDnsPort('53')],
    ['a resolver\u2019s port', () => parseDnsPort('5353')],
    ['a port past the last', () => parseDnsPort('65536')],
    ['a port in hexadecimal', () => parseDnsPort('0x1500')],
  ])('%s: exit 2 and a hint', (_, parse) => {
    const error = mistake(parse);
    expect(ERROR_CODES[error.code].exit).toBe(2);
    expect(error.message).toMatch(/\S/);
    expect(error.hint).toMatch(/^(write|pass) \S/);
  });
});

describe('flags that are right', () => {
  it.each([
    ['a', { source: 'a', target: null, writable: true }],
    ['a:ro', { source: 'a', target: null, writable: false }],
    ['a:/b', { source: 'a', target: '/b', writable: true }],
    ['a:/b:ro', { source: 'a', target: '/b', writable: false }],
    ['a:/b:rw', { source: 'a', target: '/b', writable: true }],
  ])('--mount %s', (text, expected) => {
    expect(parseMountFlag(text)).toEqual(expected);
  });

  it.each([
    ['90', 90_000],
    ['1.5s', 1_500],
    ['250ms', 250],
    ['10m', 600_000],
    ['2h', 7_200_000],
  ])('--timeout %s', (text, timeoutMs) => {
    expect(parseDuration('--timeout', text)).toBe(timeoutMs);
  });

  it('--env takes all after the first = as the value, empty or not', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('\0')),
        (value) => {
          expect(parseEnvFlag(`A_1=${value}`, { A_1: 'caller' })).toEqual({ name: 'A_1', value });
        },
      ),
    );
    expect(parseEnvFlag('A_1', { A_1: '' })).toEqual({ name: 'A_1', value: '' });
  });

  it('--share may be repeated and listed', () => {
    expect(parseShares(['gitconfig,npmrc', 'gitconfig'])).toEqual(['gitconfig', 'npmrc']);
  });

  it('--dns-port takes every port from 1024 on but those of other resolvers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1024, max: 65_535 }), (port) => {
        fc.pre(![1053, 2053, 5353].includes(port));
        expect(parseDnsPort(String(port))).toBe(port);
      }),
    );
  });
});

describe('--user', () => {
  it('is a user, with the group of the same number unless told', () => {
    expect(parseUserFlag('0')).toEqual({ uid: 0, gid: 0 });
    expect(parseUserFlag('12:34')).toEqual({ uid: 12, gid: 34 });
    expect(parseUserFlag('65534')).toEqual({ uid: 65_534, gid: 65_534 });
  });
});
