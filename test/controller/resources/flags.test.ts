import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseResourceFlags } from '../../../controller/resources/flags.ts';

describe('the flags of a guest’s resources', () => {
  it('mean nothing where they are not given', () => {
    expect(parseResourceFlags({})).toEqual({ cpus: null, memoryMiB: null, pids: null, diskMiB: null });
  });

  it.each([
    ['512MiB', 512],
    ['512m', 512],
    ['2g', 2048],
    ['2G', 2048],
    ['2GiB', 2048],
    ['524288KiB', 512],
    ['524288k', 512],
    ['16MiB', 16],
  ])('--memory %s is %i MiB', (memory, memoryMiB) => {
    expect(parseResourceFlags({ memory }).memoryMiB).toBe(memoryMiB);
  });

  it.each([
    ['512', 'which unit is meant'],
    ['512MB', 'which unit is meant'],
    ['2gb', 'which unit is meant'],
    ['0', 'which unit is meant'],
    ['15MiB', 'less than 16MiB'],
    ['1k', 'less than 16MiB'],
    ['-1g', 'not a size'],
    ['1.5g', 'not a size'],
    ['', 'not a size'],
    ['2GiBx', 'not a size'],
    ['16385KiB', 'not a whole number of MiB'],
    ['999999999999999g', 'not a whole number of MiB that a machine can have'],
  ])('--memory %s is refused: %s', (memory, said) => {
    expect(() => parseResourceFlags({ memory })).toThrow(said);
  });

  it.each([
    ['2', 2],
    ['1.5', 1.5],
    ['0.1', 0.1],
  ])('--cpus %s', (cpus, number) => {
    expect(parseResourceFlags({ cpus }).cpus).toBe(number);
  });

  it.each(['0', '0.05', '-1', '1e3', '', '1.2345', 'Infinity', '5000', '0x2'])(
    '--cpus %s is refused',
    (cpus) => {
      expect(() => parseResourceFlags({ cpus })).toThrow('--cpus');
    },
  );

  it.each(['0', '15', '-1', '1.5', '', '99999999', 'max'])('--pids %s is refused', (pids) => {
    expect(() => parseResourceFlags({ pids })).toThrow('--pids');
  });

  it('--disk has a floor of its own, below which its smallest folder is none', () => {
    expect(parseResourceFlags({ disk: '1GiB' }).diskMiB).toBe(1024);
    expect(() => parseResourceFlags({ disk: '31MiB' })).toThrow('less than 32MiB');
  });

  it('of any text become a whole number in bounds or an error of use', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{0,20}\.?\d{0,3}[kmgKMGiB]{0,3}$/)), (text) => {
        for (const key of ['memory', 'disk', 'pids', 'cpus']) {
          try {
            const [value] = Object.values(parseResourceFlags({ [key]: text })).filter((one) => one !== null);
            expect(value).toBeGreaterThan(0);
            if (key !== 'cpus') expect(Number.isSafeInteger(value)).toBe(true);
          } catch (error) {
            expect(error).toMatchObject({ code: 'usage' });
          }
        }
      }),
    );
  });
});
