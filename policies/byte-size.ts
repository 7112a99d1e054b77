/** Sizes as people write them, `50MiB`, as bytes. Binary units alone: 1 MB is two different sizes. Pure. */

const UNIT_BYTES: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Null for what is no such size; a bare number is none. May be beyond what a number holds exactly. */
export function parseByteSize(text: string): number | null {
  const match = /^([1-9]\d{0,14})(KiB|MiB|GiB)$/.exec(text);
  if (match === null) return null;
  return Number(match[1]) * (UNIT_BYTES[match[2] ?? ''] ?? Number.NaN);
}
