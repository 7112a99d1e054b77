/** Whether a program needs no library: what an initial RAM file system can run as it is. elf(5). Pure. */

const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
const CLASS_64 = 2;
/** Of the 64-bit header: where the program headers lie, how long each is, how many. */
const OFFSET_AT = 32;
const SIZE_AT = 54;
const COUNT_AT = 56;
const HEADER_BYTES = 64;
/** PT_INTERP names the loader that a program with libraries wants. */
const INTERPRETER = 3;

/** False for anything but a 64-bit little-endian ELF file that is whole. */
export function isStaticProgram(file: Buffer): boolean {
  if (file.length < HEADER_BYTES || !file.subarray(0, 4).equals(MAGIC) || file[4] !== CLASS_64) return false;
  const offset = Number(file.readBigUInt64LE(OFFSET_AT));
  const size = file.readUInt16LE(SIZE_AT);
  const count = file.readUInt16LE(COUNT_AT);
  if (count === 0 || offset + size * count > file.length) return false;
  return Array.from({ length: count }, (_, at) => file.readUInt32LE(offset + at * size)).every(
    (type) => type !== INTERPRETER,
  );
}
