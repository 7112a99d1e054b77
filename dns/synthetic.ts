/**
 * The table of synthetic addresses of one guest: which name stands for which address of 198.18.0.0/15, or of
 * 127.18.0.0/15 for a guest that reaches nothing but its own loopback. An address is given once and never reused
 * in the guest's life, so a late connection can mean no other name.
 */
import { parseAddress } from '../policies/address.ts';
import type { Hostname, IpAddress } from '../policies/model.ts';

/** What an address that a guest connected to stands for. Compatible with the proxy's own type of that name. */
export type Meaning =
  | { readonly kind: 'name'; readonly name: Hostname }
  | { readonly kind: 'unknown-synthetic' }
  | { readonly kind: 'literal' };

/** Where the addresses lie: their first number; the rest is the same. */
export type SyntheticPlace = 198 | 127;

/** Blocks of 256 addresses in a /15. */
const BLOCKS = 512;
/** The first /24 belongs to the link itself. */
const FIRST_BLOCK = 1;
/** Hosts .1 to .254: some stacks treat .0 and .255 as broadcast. */
const HOSTS_PER_BLOCK = 254;

/** All that one guest can ever be given. */
export const SYNTHETIC_CAPACITY = (BLOCKS - FIRST_BLOCK) * HOSTS_PER_BLOCK;

export interface SyntheticTable {
  /** The name's address, given now or earlier; null once the table is exhausted. */
  allocate(name: Hostname): IpAddress | null;
  meaning(address: IpAddress): Meaning;
  /** From here on, before the first is given. */
  moveTo(place: SyntheticPlace): void;
}

export function createSyntheticTable(capacity: number = SYNTHETIC_CAPACITY): SyntheticTable {
  const addresses = new Map<Hostname, IpAddress>();
  const names: Hostname[] = [];
  let place: SyntheticPlace = 198;
  return {
    moveTo(next) {
      if (names.length > 0) throw new Error('synthetic addresses were given already');
      place = next;
    },
    allocate(name) {
      const known = addresses.get(name);
      if (known !== undefined) return known;
      // Fail closed: an exhausted table refuses; reusing an address would let it mean two names.
      if (names.length >= Math.min(capacity, SYNTHETIC_CAPACITY)) return null;
      const parsed = parseAddress(formatIndex(place, names.length));
      if (!parsed.ok) return null;
      addresses.set(name, parsed.value);
      names.push(name);
      return parsed.value;
    },
    meaning(address) {
      const offset = rangeOffset(place, address);
      if (offset === null) return { kind: 'literal' };
      const host = (offset % 256) - 1;
      const block = Math.floor(offset / 256) - FIRST_BLOCK;
      if (host < 0 || host >= HOSTS_PER_BLOCK || block < 0) return { kind: 'unknown-synthetic' };
      const name = names[block * HOSTS_PER_BLOCK + host];
      return name === undefined ? { kind: 'unknown-synthetic' } : { kind: 'name', name };
    },
  };
}

function formatIndex(place: SyntheticPlace, index: number): string {
  const block = Math.floor(index / HOSTS_PER_BLOCK) + FIRST_BLOCK;
  return `${place}.${18 + Math.floor(block / 256)}.${block % 256}.${(index % HOSTS_PER_BLOCK) + 1}`;
}

/** Where a canonical address lies in the range; null outside it, and for IPv6. */
function rangeOffset(place: SyntheticPlace, address: IpAddress): number | null {
  const [first, second, third, fourth] = address.split('.').map(Number);
  if (first !== place || (second !== 18 && second !== 19)) return null;
  if (third === undefined || fourth === undefined) return null;
  return (second - 18) * 65_536 + third * 256 + fourth;
}
