import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { LEASE_SCRIPT, parseLease } from '../../../../controller/backends/tart/guest-lease.ts';

describe('what a guest says of its lease', () => {
  it('is asked in bash that reads', () => void execFileSync('/bin/bash', ['-n', '-c', LEASE_SCRIPT]));

  it('is one line of two addresses', () => {
    expect(parseLease('lease 192.168.64.5 192.168.64.1\n')).toEqual({
      address: '192.168.64.5',
      router: '192.168.64.1',
    });
  });

  it.each([
    '',
    'lease 192.168.64.5\n',
    'lease a b\n',
    'x\nlease 192.168.64.5 192.168.64.1\n',
    'lease fe80::1 fe80::2',
  ])('else nothing: %j', (text) => expect(parseLease(text)).toBeNull());
});
