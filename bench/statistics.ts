/** The few figures that the tables show of many samples. Pure; every function wants at least one sample. */

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

export function mean(samples: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
}

/** Between the two nearest samples where none stands at that very place. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** The median of the ratios of each round: what slows a whole round down slows both sides of its ratio. */
export function pairedRatio(of: readonly number[], to: readonly number[]): number {
  const rounds = Math.min(of.length, to.length);
  return median(of.slice(0, rounds).map((sample, round) => sample / (to[round] ?? Number.NaN)));
}
