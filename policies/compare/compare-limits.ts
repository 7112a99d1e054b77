/** The bounds of a comparison, with their reasons, and what is raised when one is reached. */
export const COMPARE_LIMITS = {
  /** Places in patterns at which names or paths are followed: some for each label of each pattern is usual. */
  places: 4_000_000,
  /** The same for the characters of one label or segment, whose patterns have at most two `*` each. */
  labelStates: 10_000,
  /** Questions to the evaluator: each takes microseconds, and a person waits. */
  questions: 3_000_000,
} as const;

/** Fail closed: whoever catches it must count the two policies as differing. */
export class ComparisonBound extends Error {
  constructor(what: keyof typeof COMPARE_LIMITS) {
    super(`the comparison needs more than ${COMPARE_LIMITS[what]} ${what}`);
    this.name = 'ComparisonBound';
  }
}

/** Counts down; raises `ComparisonBound` when nothing is left. */
export function createBudget(what: keyof typeof COMPARE_LIMITS): (used: number) => void {
  let left: number = COMPARE_LIMITS[what];
  return (used) => {
    left -= used;
    if (left < 0) throw new ComparisonBound(what);
  };
}
