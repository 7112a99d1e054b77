import { describe, expect, it } from 'vitest';
import { isAtOrBelow, spelled } from '../../../controller/run/spelling.ts';

describe('on a Mac', () => {
  it.each([
    ['/Users/Me/.SSH', '/users/me/.ssh'],
    ['/Users/me/caf\u00e9', '/users/me/cafe\u0301'],
    ['/System/Volumes/Data/Users/me/.ssh', '/Users/me/.ssh'],
  ])('%s is %s', (a, b) => {
    expect(spelled(a, 'darwin')).toBe(spelled(b, 'darwin'));
  });

  it('the volume of data itself stays what it is', () => {
    expect(spelled('/System/Volumes/Data', 'darwin')).toBe('/system/volumes/data');
  });
});

it('on Linux every spelling is a place of its own', () => {
  expect(spelled('/home/Me/.SSH', 'linux')).toBe('/home/Me/.SSH');
});

it('a name that only begins alike is not below', () => {
  expect(isAtOrBelow('/a/bc', '/a/b')).toBe(false);
  expect(isAtOrBelow('/a/b/c', '/a/b')).toBe(true);
  expect(isAtOrBelow('/a', '/')).toBe(true);
});
