import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareToMagnitude, MAGNITUDES, magnitudeOf } from '../../../controller/ci/magnitude.ts';

describe('the order of magnitude of bytes', () => {
  it.each([
    [0, '<10kB'],
    [9_999, '<10kB'],
    [10_000, '10kB'],
    [99_999, '10kB'],
    [100_000, '100kB'],
    [1_000_000, '1MB'],
    [5 * 10 ** 9, '1GB'],
    [10 ** 15, '100TB'],
    [Number.MAX_SAFE_INTEGER, '100TB'],
  ])('of %d is %s', (bytes, magnitude) => expect(magnitudeOf(bytes)).toBe(magnitude));

  it.each([
    [33_334, '100kB', 'same'],
    [33_332, '100kB', 'less'],
    [2_999_999, '100kB', 'same'],
    [3_000_000, '100kB', 'more'],
    [0, '<10kB', 'same'],
    [29_999, '<10kB', 'same'],
    [30_000, '<10kB', 'more'],
    [0, '10kB', 'less'],
    [Number.MAX_SAFE_INTEGER, '100TB', 'same'],
  ] as const)('%d bytes against a recorded %s are %s', (bytes, recorded, shift) => {
    expect(compareToMagnitude(bytes, recorded)).toBe(shift);
  });

  it('never changes against its own amount, and always against a hundredfold', () => {
    fc.assert(
      fc.property(fc.nat(10 ** 9), (bytes) => {
        expect(compareToMagnitude(bytes, magnitudeOf(bytes))).toBe('same');
        if (bytes >= 10_000) expect(compareToMagnitude(bytes * 100, magnitudeOf(bytes))).toBe('more');
      }),
    );
  });

  it('is never met where the text is none', () => {
    expect(compareToMagnitude(0, 'some')).toBe('more');
    expect(new Set(MAGNITUDES).size).toBe(MAGNITUDES.length);
  });
});
