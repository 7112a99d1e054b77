import { describe, expect, it } from 'vitest';
import {
  FLOOR,
  isBelow,
  parseVersion,
  parseVersionLine,
} from '../../../../controller/backends/apple-container/version.ts';

describe('the version of the tool', () => {
  it.each([
    ['container CLI version 1.2.2 (build: release, commit: 0190097)', '1.2.2'],
    ['container-apiserver version 1.3.0 (build: debug, commit: abc)', '1.3.0'],
  ])('is read from %j', (line, version) => {
    expect(parseVersionLine(line)).toEqual(parseVersion(version));
  });

  it.each(['', 'podman version 5.1.2', 'container CLI version x', 'docker 1.2.3', 'Error: no'])(
    'is not read from %j',
    (line) => {
      expect(parseVersionLine(line)).toBeNull();
    },
  );

  it.each([
    ['1.2.0', true],
    ['1.1.9', true],
    ['0.12.3', true],
    ['1.2.1', false],
    ['1.2.2', false],
    ['1.10.0', false],
    ['2.0.0', false],
  ])('%s is below the floor: %j', (text, below) => {
    const version = parseVersion(text);
    expect(version !== null && isBelow(version, FLOOR)).toBe(below);
  });
});
