/** Every bound of `sand ci`, with its reason. */
export const CI_LIMITS = {
  /** Of a baseline file: what its entries take at their longest, and far less than a reviewer reads. */
  baselineBytes: 4 * 1024 * 1024,
  /** Hosts, and denials, of one baseline: a build of more than this is not reviewed line by line. */
  baselineEntries: 2_000,
  /** Rules of one entry, as the audit log has them for one destination. */
  baselineRules: 64,
  /** Characters of a denied host, which need not parse: what the audit log keeps of a text. */
  hostCharacters: 300,
  /** Of a rule id, as in the audit log. */
  ruleCharacters: 1024,
  /** Reports that one run writes. */
  reports: 16,
  /** Denials whose line is compared with the policy: each is a comparison of two policies. */
  compared: 20,
  /** Denials for which it is kept who asked: each is looked up once for a row of the reports. */
  processes: 10_000,
  /** Rules that a ceiling cuts and that are told one by one. */
  cuts: 20,
  /** Drift that is told one by one on a terminal; reports have more. */
  told: 20,
  /** Rows of each kind in a Markdown report. */
  markdownRows: 100,
  /** Of a Markdown report: a comment on GitHub holds 65,536 characters, and whoever posts it adds a few. */
  markdownCharacters: 60_000,
  /** Denials and drift, each, in a SARIF report: GitHub reads 25,000 results and shows 5,000. */
  results: 5_000,
} as const;
