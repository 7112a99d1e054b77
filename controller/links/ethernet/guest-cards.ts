/** The network interfaces that a guest on a cable says it has: which of their addresses lead past the cable. Pure. */

export interface GuestCard {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** Links of a guest's own have addresses that lead no further than the link. */
const NEAR = /^(127\.|169\.254\.|fe80:|::1$)/;

/** `own`: the guest's on the cable. */
export function strangeAddresses({ name, addresses }: GuestCard, own: string): readonly string[] {
  return addresses
    .filter((address) => address !== own && !NEAR.test(address))
    .map((address) => `${name} has ${address}`);
}
