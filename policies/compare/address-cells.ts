/**
 * Addresses that stand for all others: one for each range that a comparison knows, in none of the ranges within it,
 * and IPv6 addresses that embed a given IPv4 address. What is asked of them is for `compare.ts`.
 */
import { type AddressBits, addressBits, embeddedAddresses, formatBits, type RangeBits } from '../address.ts';
import type { IpAddress } from '../model.ts';

export interface Block {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

const WIDTH = { 4: 32n, 6: 128n } as const;

export function blockOf({ family, bits, length }: RangeBits): Block {
  const size = 1n << (WIDTH[family] - BigInt(length));
  return { family, first: bits, last: bits + size - 1n };
}

export function isWithin(inner: Block, outer: Block): boolean {
  return inner.family === outer.family && outer.first <= inner.first && inner.last <= outer.last;
}

export function holds(block: Block, { family, bits }: AddressBits): boolean {
  return block.family === family && block.first <= bits && bits <= block.last;
}

/** Blocks by where they begin, the larger first, each once: prefixes never overlap but by containment. */
export function sortBlocks(blocks: readonly Block[]): readonly Block[] {
  const sorted = blocks.toSorted(
    (a, b) => a.family - b.family || compare(a.first, b.first) || compare(b.last, a.last),
  );
  return sorted.filter((block, at) => {
    const before = sorted[at - 1];
    return before === undefined || !(isWithin(block, before) && isWithin(before, block));
  });
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export interface Stand {
  readonly block: Block;
  readonly address: IpAddress;
}

/** Of each block an address in none of the blocks within it and none avoided; nothing where there is none. */
export function standIns(blocks: readonly Block[], avoided: readonly Block[]): readonly Stand[] {
  const sorted = sortBlocks(blocks);
  const outermost = outermostOf(sortBlocks(avoided));
  const inner = new Map<Block, Block[]>();
  const open: Block[] = [];
  for (const block of sorted) {
    for (let above = open.at(-1); above !== undefined && !isWithin(block, above); above = open.at(-1))
      open.pop();
    const above = open.at(-1);
    const within = above === undefined ? undefined : inner.get(above);
    if (within !== undefined) within.push(block);
    inner.set(block, []);
    open.push(block);
  }
  return sorted.flatMap((block) => {
    const address = standIn(block, inner.get(block) ?? [], outermost);
    return address === null ? [] : [{ block, address }];
  });
}

/** Those that lie in no other: ascending, and apart from each other. */
function outermostOf(sorted: readonly Block[]): readonly Block[] {
  const kept: Block[] = [];
  for (const block of sorted) {
    const before = kept.at(-1);
    if (before === undefined || !isWithin(block, before)) kept.push(block);
  }
  return kept;
}

/** What people read as an address of nobody, where it is in the block. */
const WELL_KNOWN: readonly AddressBits[] = ['192.0.2.1', '2001:db8::1'].map((text) =>
  addressBits(text as IpAddress),
);

function standIn(block: Block, inner: readonly Block[], avoided: readonly Block[]): IpAddress | null {
  const known = WELL_KNOWN.find((address) => holds(block, address));
  const starts = [known?.bits ?? block.first + 1n, block.first];
  for (const start of starts) {
    let at = start;
    // Each turn leaves a range behind, so their number bounds this loop.
    while (at <= block.last) {
      const address = { family: block.family, bits: at };
      const within = around(inner, address) ?? around(avoided, address);
      if (within === null) return formatBits(address);
      at = within.last + 1n;
    }
  }
  return null;
}

/** The block that holds an address, of blocks that are sorted and apart from each other. */
export function around(blocks: readonly Block[], address: AddressBits): Block | null {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const block = blocks[middle];
    if (block === undefined) return null;
    if (block.family < address.family || (block.family === address.family && block.last < address.bits))
      low = middle + 1;
    else high = middle;
  }
  const block = blocks[low];
  return block !== undefined && holds(block, address) ? block : null;
}

/**
 * IPv6 addresses inside a block that embed an IPv4 address, one for each form that has room there. `neutral` fills
 * the second place of forms that have two.
 */
export function embeddings(quad: AddressBits, neutral: AddressBits, block: Block): readonly IpAddress[] {
  const free = block.last - block.first;
  const texts = formsOf(quad.bits, neutral.bits).map((bits) =>
    formatBits({ family: 6, bits: block.first | (bits & free) }),
  );
  const wanted = formatBits(quad);
  return [...new Set(texts)].filter((text) => embeddedAddresses(text).includes(wanted));
}

function formsOf(quad: bigint, neutral: bigint): readonly bigint[] {
  const octets = [24n, 16n, 8n, 0n].map((shift) => (quad >> shift) & 0xffn);
  const local = [
    [6, 7, 9, 10],
    [7, 9, 10, 11],
    [9, 10, 11, 12],
    [12, 13, 14, 15],
  ].map((places) =>
    places.reduce(
      (sum, place, at) => sum | ((octets[at] ?? 0n) << BigInt(120 - 8 * place)),
      0x0064_ff9b_0001n << 80n,
    ),
  );
  const inverted = (bits: bigint): bigint => bits ^ 0xffff_ffffn;
  return [
    (0xffffn << 32n) | quad,
    quad,
    (0xffff_0000n << 32n) | quad,
    (0x0064_ff9bn << 96n) | quad,
    ...local,
    (0x2002n << 112n) | (quad << 80n),
    (0x2001_0000n << 96n) | (quad << 64n) | inverted(neutral),
    (0x2001_0000n << 96n) | (neutral << 64n) | inverted(quad),
    (0x5efen << 32n) | quad,
  ];
}
