/**
 * The kernel's tables of sockets, /proc/PID/net/tcp and its kin, as text: which inode is the socket of this end. Decides how
 * an address is written there; reading the files is `attribution.ts`'s. Pure.
 */
import type { ClientEnd } from '../backend.ts';

/** The longest line is 190 bytes: what is cut at the end of one read is found with the next. */
export const TABLE_OVERLAP = 256;

/** Which tables an end can be in, the likely one first: a socket of IPv6 may speak IPv4. */
export function tablesOf({ transport }: Pick<ClientEnd, 'transport'>): readonly [string, string] {
  return transport === 'tcp' ? ['tcp', 'tcp6'] : ['udp', 'udp6'];
}

/** Finds the line of this end in a piece of a table; gives its inode, null where the piece does not have it. */
export type InodeFinder = (text: string) => number | null;

/** One for each of `tablesOf`; null where the end is not one of addresses that the kernel knows. */
export function inodeFinder(end: ClientEnd, table: 'first' | 'second'): InodeFinder | null {
  const write = table === 'first' ? writeV4 : writeV6;
  const local = write(end.address);
  if (local === null) return null;
  const port = writePort(end.port);
  if (end.destination === undefined) {
    // A socket that was never connected is bound to every address.
    const any = table === 'first' ? '0'.repeat(8) : '0'.repeat(32);
    const line = new RegExp(`(?:${local}|${any}):${port} [0-9A-F]+:[0-9A-F]{4} ([^\\n]*)\\n`);
    return (text) => inodeOf(line.exec(text)?.[1]);
  }
  const remote = write(end.destination.address);
  if (remote === null) return null;
  const both = `${local}:${port} ${remote}:${writePort(end.destination.port)} `;
  return (text) => {
    const at = text.indexOf(both);
    if (at < 0) return null;
    const from = at + both.length;
    const newline = text.indexOf('\n', from);
    return newline < 0 ? null : inodeOf(text.slice(from, newline));
  };
}

/** Behind both ends stand state, queues, timer, retransmits, uid and timeout; then the inode, 0 where no process has it. */
function inodeOf(rest: string | undefined): number | null {
  const inode = Number(rest?.trim().split(/ +/)[6]);
  return Number.isSafeInteger(inode) && inode > 0 ? inode : null;
}

function writePort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

/** The four bytes as the number that a little-endian machine reads them as; every one that sand runs on is. */
function writeV4(address: string): string | null {
  const bytes = address.split('.').map(Number);
  if (bytes.length !== 4 || !bytes.every((byte) => byte >= 0 && byte <= 255)) return null;
  return writeWord(bytes);
}

function writeV6(address: string): string | null {
  const mapped = writeV4(address);
  if (mapped !== null) return `${'0'.repeat(16)}FFFF0000${mapped}`;
  const groups = expandV6(address);
  if (groups === null) return null;
  const bytes = groups.flatMap((group) => [group >> 8, group & 0xff]);
  return [0, 4, 8, 12].map((at) => writeWord(bytes.slice(at, at + 4))).join('');
}

function writeWord(bytes: readonly number[]): string {
  return bytes
    .toReversed()
    .map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'))
    .join('');
}

function expandV6(address: string): readonly number[] | null {
  const halves = address.split('::');
  if (halves.length > 2) return null;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 0 : missing !== 0) return null;
  const groups = [...head, ...Array<string>(missing).fill('0'), ...tail].map((group) =>
    /^[0-9a-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : -1,
  );
  return groups.every((group) => group >= 0) ? groups : null;
}
