/** Bounds of the check, with their reasons. */
export const CHECK_LIMITS = {
  /** Pairs of rules that are compared: a second's work; only globs by the thousand over one name need more. */
  comparisons: 2_000_000,
  /** Names in one message: past this a person looks into the group. */
  names: 4,
  /** How long before its end a rule is told. */
  expiryNoticeMs: 7 * 24 * 60 * 60_000,
  /** A range that is shorter than this opens more than one organisation has. */
  shortestPrefix: { 4: 16, 6: 48 },
  /** Of `addresses`, which may well hold a company's whole private network. */
  shortestAddresses: { 4: 8, 6: 32 },
} as const;
