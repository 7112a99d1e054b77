/**
 * Names as a file system takes them for one that tells no capitals and no ways of composing apart (APFS, and HFS+, which passes
 * over some invisible characters as well). For refusals: it takes too much as the same, never too little. Pure.
 */

/** What HFS+ leaves out of a name when it compares: joiners, marks of direction, and the mark of byte order. */
const PASSED_OVER = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

export function foldName(name: string): string {
  // Upward first: some small letters (the long s) have a capital that they share with another.
  return name.replaceAll(PASSED_OVER, '').normalize('NFD').toUpperCase().toLowerCase().normalize('NFC');
}
