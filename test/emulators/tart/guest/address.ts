/** Reads a guest's address out of what its kernel tells. Pure. */

/** `trie` is /proc/net/fib_trie; null where nothing but the loopback has an address. */
export function localAddress(trie: string): string | null {
  const lines = trie.split('\n');
  for (const [at, line] of lines.entries()) {
    const address = /\|-- ([0-9.]+)$/.exec(line)?.[1];
    if (address !== undefined && !address.startsWith('127.') && /32 host LOCAL/.test(lines[at + 1] ?? ''))
      return address;
  }
  return null;
}
