/**
 * The heads of entries of a tar stream, as GNU's tar writes them: BusyBox's reads its long names and no other ones. What goes
 * into a stream is `tree-packer.ts`'s. Pure.
 */

export const TAR_BLOCK = 512;
const NAME_BYTES = 100;
/** Octal digits beside a NUL. */
const SIZE_DIGITS = 11;

export interface PackedEntry {
  readonly kind: 'file' | 'folder' | 'symlink';
  readonly name: Buffer;
  /** Of a link; else empty. */
  readonly target: Buffer;
  /** Of a file; else 0. */
  readonly size: number;
  readonly mode: number;
  readonly mtimeSeconds: number;
}

const TYPES = { file: '0', folder: '5', symlink: '2', 'long-name': 'L', 'long-target': 'K' } as const;

/** One block, before it those of a name or target that is too long for it. */
export function tarHeader(entry: PackedEntry): Buffer {
  return Buffer.concat([
    ...longText('long-target', entry.target),
    ...longText('long-name', entry.name),
    block(TYPES[entry.kind], entry),
  ]);
}

/** What follows content of this many bytes. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK);
}

export function tarEnd(): Buffer {
  return Buffer.alloc(2 * TAR_BLOCK);
}

function longText(kind: 'long-name' | 'long-target', text: Buffer): readonly Buffer[] {
  if (text.length <= NAME_BYTES) return [];
  const size = text.length + 1;
  const head = {
    name: Buffer.from('././@LongLink'),
    target: Buffer.alloc(0),
    size,
    mode: 0o644,
    mtimeSeconds: 0,
  };
  return [block(TYPES[kind], head), text, Buffer.alloc(1), tarPadding(size)];
}

function block(type: string, entry: Omit<PackedEntry, 'kind'>): Buffer {
  const head = Buffer.alloc(TAR_BLOCK);
  entry.name.copy(head, 0, 0, NAME_BYTES);
  head.write(octal(entry.mode, 7), 100, 'latin1');
  // Owners are the guest's own affair.
  head.write(octal(0, 7), 108, 'latin1');
  head.write(octal(0, 7), 116, 'latin1');
  writeNumber(head, entry.size, 124);
  writeNumber(head, Math.max(0, entry.mtimeSeconds), 136);
  head.write(' '.repeat(8), 148, 'latin1');
  head.write(type, 156, 'latin1');
  entry.target.copy(head, 157, 0, NAME_BYTES);
  head.write('ustar  \0', 257, 'latin1');
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return head;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** Twelve bytes: octal, or from 8 GiB on binary with the first bit set. */
function writeNumber(head: Buffer, value: number, at: number): void {
  if (value < 8 ** SIZE_DIGITS) {
    head.write(octal(value, SIZE_DIGITS), at, 'latin1');
    return;
  }
  head.writeBigUInt64BE(BigInt(value), at + 4);
  head.writeUInt8(0x80, at);
}
