import { describe, expect, it } from 'vitest';
import { leadsTo } from '../../../controller/gateway/own-place.ts';
import { parseAddress } from '../../../policies/address.ts';

function leads(text: string, own: string): boolean {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(`${text} is no address`);
  return leadsTo(parsed.value, own);
}

describe('leadsTo', () => {
  it.each([
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::7f00:1',
    '0.0.0.0',
    '::',
    '::ffff:0.0.0.0',
  ])('knows a way to loopback in %s', (address) => {
    expect([leads(address, '127.0.0.1'), leads(address, '::1')]).toEqual([true, true]);
  });

  it('knows an address of the host in its own and its mapped form, and no other', () => {
    expect([leads('192.0.2.7', '192.0.2.7'), leads('::ffff:192.0.2.7', '192.0.2.7')]).toEqual([true, true]);
    expect([leads('192.0.2.8', '192.0.2.7'), leads('127.0.0.1', '192.0.2.7')]).toEqual([false, false]);
    expect(leads('192.0.2.7', '127.0.0.1')).toBe(false);
  });
});
