import { describe, expect, it } from 'vitest';
import {
  formatVersion,
  isBelow,
  parseVersion,
  SOFTNET_FLOOR,
  TART_FLOOR,
} from '../../../../controller/backends/tart/version.ts';

describe('versions of Tart', () => {
  it.each([
    ['2.35.0\n', '2.35.0'],
    ['softnet 0.22.0', '0.22.0'],
    ['2.36.0-beta1', '2.36.0'],
  ])('reads %j', (text, version) => {
    const parsed = parseVersion(text);
    expect(parsed === null ? null : formatVersion(parsed)).toBe(version);
  });

  it.each(['', 'tart', '2.35', 'v2.35.0', 'container CLI version 1.2.2', '2.35.0.1'])('refuses %j', (text) =>
    expect(parseVersion(text)).toBeNull(),
  );

  it.each([
    ['2.33.0', true],
    ['2.34.0', false],
    ['2.35.1', false],
    ['3.0.0', false],
    ['1.99.9', true],
  ])('%s is below the floor: %s', (text, below) => {
    const version = parseVersion(text);
    expect(version !== null && isBelow(version, TART_FLOOR)).toBe(below);
  });

  it('asks of softnet what tells it a policy while it runs', () => {
    expect(formatVersion(SOFTNET_FLOOR)).toBe('0.21.0');
  });
});
