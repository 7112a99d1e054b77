/** Whether an address, in any of its forms, leads to a listener of sand's own on this host. Pure. */
import { embeddedAddresses } from '../../policies/address.ts';
import type { IpAddress } from '../../policies/model.ts';

/** Fail closed: every loopback address counts as every other, and the unspecified ones, which connect to loopback, as well. */
export function leadsTo(address: IpAddress, own: string): boolean {
  const forms = [address, ...embeddedAddresses(address)];
  return forms.some((form) => form === own || (isLoopback(own) && (isLoopback(form) || isUnspecified(form))));
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function isUnspecified(address: string): boolean {
  return address === '::' || address === '0.0.0.0';
}
