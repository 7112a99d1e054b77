/**
 * Bytes by order of magnitude, as a baseline records them: a power of ten, below `SMALLEST` one for all. Decides when
 * an amount is no longer the one that was recorded. Pure.
 */

/** Handshakes and headers of different length are no news. */
const SMALLEST = 10_000;
/** An amount near the edge of its order moves over it and back from run to run. */
const TOLERANCE = 3;

const UNITS = ['kB', 'MB', 'GB', 'TB'] as const;

/** `<10kB`, `10kB`, `100kB`, `1MB` … `100TB`: from this amount on, up to the next. */
export const MAGNITUDES: readonly string[] = [
  '<10kB',
  ...UNITS.flatMap((unit, at) => [1, 10, 100].slice(at === 0 ? 1 : 0).map((count) => `${count}${unit}`)),
];

export type Magnitude = string;

export function magnitudeOf(bytes: number): Magnitude {
  const at = MAGNITUDES.findLastIndex((_, order) => bytes >= floorOf(order));
  return MAGNITUDES[Math.max(0, at)] ?? '';
}

/**
 * How so many bytes stand to the recorded order of magnitude: the `same` from a third of where it begins up to three
 * times where it ends. Fail closed: against what is no magnitude anything is more.
 */
export function compareToMagnitude(bytes: number, recorded: Magnitude): 'same' | 'more' | 'less' {
  const order = MAGNITUDES.indexOf(recorded);
  if (order < 0) return 'more';
  if (bytes < floorOf(order) / TOLERANCE) return 'less';
  const isLast = order === MAGNITUDES.length - 1;
  return isLast || bytes < floorOf(order + 1) * TOLERANCE ? 'same' : 'more';
}

/** The least amount of an order; 0 for the first. */
function floorOf(order: number): number {
  return order === 0 ? 0 : SMALLEST * 10 ** (order - 1);
}
