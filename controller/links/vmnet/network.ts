/**
 * Which of the host's networks a guest of vmnet is on: what the guest says of its lease, held against the host's own
 * interfaces. A guest can say anything, and a listener at the wrong address would be one for the neighbours. Pure.
 */
import { isIPv4 } from 'node:net';

/** The guest's own words. */
export interface ToldLease {
  readonly address: string;
  readonly router: string;
}

/** As `os.networkInterfaces` has them. */
export type HostInterfaces = Readonly<
  Record<string, readonly { readonly address: string; readonly netmask: string }[] | undefined>
>;

export interface GuestNetwork {
  /** The host's address there, at which alone its gateway listens. */
  readonly gateway: string;
  /** The guest's: nobody else is served. */
  readonly guest: string;
  /** The host's interface. */
  readonly name: string;
}

export type NetworkSearch =
  | { readonly ok: true; readonly network: GuestNetwork }
  | { readonly ok: false; readonly why: string };

/** vmnet's own, one for each of its networks; below a hundred are bridges that a person has made, of cards with a cable. */
const BRIDGE = /^bridge[1-9]\d{2}$/;

/** Fail closed: an address of the host's on any other interface is no place for a guest's gateway, whoever names it. */
export function findGuestNetwork({ address, router }: ToldLease, interfaces: HostInterfaces): NetworkSearch {
  if (!isIPv4(address) || !isIPv4(router)) return { ok: false, why: 'it names no IPv4 lease' };
  for (const [name, addresses = []] of Object.entries(interfaces)) {
    const own = addresses.find((one) => one.address === router);
    if (own === undefined) continue;
    if (!BRIDGE.test(name))
      return { ok: false, why: `${router} is this host\u2019s on ${name}, no bridge of vmnet` };
    const mask = bitsOf(own.netmask);
    const isNeighbour = address !== router && ((bitsOf(address) ^ bitsOf(router)) & mask) === 0;
    if (!isNeighbour) return { ok: false, why: `${address} is no neighbour of ${router}` };
    return { ok: true, network: { gateway: router, guest: address, name } };
  }
  return { ok: false, why: `its router ${router} is not this host` };
}

function bitsOf(address: string): number {
  return address.split('.').reduce((bits, part) => (bits << 8) | Number(part), 0);
}
