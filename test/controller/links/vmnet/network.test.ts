import { describe, expect, it } from 'vitest';
import { findGuestNetwork } from '../../../../controller/links/vmnet/network.ts';

const INTERFACES = {
  lo0: [{ address: '127.0.0.1', netmask: '255.0.0.0' }],
  bridge0: [{ address: '10.9.9.1', netmask: '255.255.255.0' }],
  en0: [{ address: '10.0.0.7', netmask: '255.255.255.0' }],
  bridge100: [{ address: '192.168.64.1', netmask: '255.255.255.0' }],
  bridge101: [{ address: '192.168.65.1', netmask: '255.255.255.252' }],
  utun0: undefined,
};
const why = (address: string, router: string) => {
  const found = findGuestNetwork({ address, router }, INTERFACES);
  return found.ok ? found.network : found.why;
};

describe('the network that a guest says it is on', () => {
  it('is one of vmnet\u2019s, with the guest beside the host', () => {
    expect(why('192.168.64.5', '192.168.64.1')).toEqual({
      gateway: '192.168.64.1',
      guest: '192.168.64.5',
      name: 'bridge100',
    });
    expect(why('192.168.65.2', '192.168.65.1')).toMatchObject({ name: 'bridge101' });
  });

  it('lan-address: is none where a guest names the host\u2019s address on another network', () => {
    expect(why('10.0.0.9', '10.0.0.7')).toContain('no bridge of vmnet');
    expect(why('10.9.9.2', '10.9.9.1')).toContain('no bridge of vmnet');
    expect(why('127.0.0.2', '127.0.0.1')).toContain('no bridge of vmnet');
  });

  it.each([
    ['192.168.65.9', '192.168.65.1', 'no neighbour'],
    ['10.0.0.9', '192.168.64.1', 'no neighbour'],
    ['192.168.64.1', '192.168.64.1', 'no neighbour'],
    ['192.168.64.5', '192.168.66.1', 'is not this host'],
    ['192.168.64.5', '0.0.0.0', 'is not this host'],
    ['fe80::1', 'fe80::2', 'no IPv4 lease'],
    ['192.168.064.5', '192.168.64.1', 'no IPv4 lease'],
  ])('is none for %s behind %s', (address, router, said) => expect(why(address, router)).toContain(said));
});
