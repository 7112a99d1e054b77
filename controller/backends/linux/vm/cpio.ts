/**
 * Files as a `newc` cpio archive (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst), which
 * is what an initial RAM file system is. Pure; what belongs in one says `initramfs.ts`.
 */

export type ArchiveEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly content: Buffer }
  | { readonly kind: 'symlink'; readonly path: string; readonly value: string };

/** S_IFMT of linux/stat.h. */
const FILE_TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;
const MAGIC = '070701';
const ALIGNMENT = 4;

/** Owned by root, dated 0: the same entries give the same bytes. Paths are relative, folders before what is in them. */
export function encodeArchive(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.flatMap((entry, at) =>
    encodeEntry(entry.path, modeOf(entry), contentOf(entry), at + 1),
  );
  return Buffer.concat([...parts, ...encodeEntry('TRAILER!!!', 0, Buffer.alloc(0), 0)]);
}

function modeOf(entry: ArchiveEntry): number {
  return FILE_TYPE[entry.kind] | (entry.kind === 'symlink' ? 0o777 : entry.mode);
}

function contentOf(entry: ArchiveEntry): Buffer {
  if (entry.kind === 'file') return entry.content;
  return entry.kind === 'symlink' ? Buffer.from(entry.value) : Buffer.alloc(0);
}

/** Thirteen fields of eight hexadecimal digits after the magic; then the name and the content, each padded. */
function encodeEntry(path: string, mode: number, content: Buffer, inode: number): readonly Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const links = 1;
  const owner = [0, 0];
  const dates = [0];
  const devices = [0, 0, 0, 0];
  const fields = [inode, mode, ...owner, links, ...dates, content.length, ...devices, name.length, 0];
  const head = Buffer.from(MAGIC + fields.map((field) => field.toString(16).padStart(8, '0')).join(''));
  return [head, name, padding(head.length + name.length), content, padding(content.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);
}
