/** Every bound of the audit log and of what reads it, with its reason. */

/** What one line may hold. Lengths are UTF-16 units, counts are array items. */
export const LINE_LIMITS = {
  /** Any text without a bound of its own: a DNS name has at most 253 characters, a sentence fits. */
  text: 300,
  /** A path of a plain HTTP request: longer than any that people read, far below a request head. */
  path: 2048,
  /** Files of rules and the working directory: the longest path that Linux opens. */
  file: 4096,
  /** A rule id is its layer and its first subject. */
  ruleId: 1024,
  /** A policy layer is a preset or a file; up to 64 of them share a line. */
  layer: 1024,
  /** Arguments of the command: a glob can expand to thousands. */
  arguments: 128,
  /** Items of any other list (addresses of an answer, ALPN names, policy layers). */
  items: 64,
} as const;

export const LOG_LIMITS = {
  /** pino sleeps 100 ms after each EAGAIN: five seconds, then the log counts as unavailable. */
  busyRetries: 50,
  /** One file of a log; the next goes on. A day of a busy agent fits in one, and any editor opens it. */
  segmentBytes: 64 * 1024 * 1024,
} as const;

export const READ_LIMITS = {
  /** Above the longest line that `encodeLine` can make (a test holds this); what is longer is not ours. */
  lineBytes: 1024 * 1024,
  /** One read: large enough that a million events cost few system calls. */
  chunkBytes: 256 * 1024,
  /** Unreadable lines, notices and failed probes that are told one by one; the rest is counted. */
  problems: 20,
} as const;

export const FOLLOW_LIMITS = {
  /** How often a followed log is looked at: soon enough for the eye, five `fstat` a second. */
  pollMs: 200,
  /** Events that `sand audit tail` begins with. */
  events: 20,
} as const;

export const SUMMARY_LIMITS = {
  /** Distinct rows: a guest can ask for a million random names; the rest folds into one row a verdict. */
  rows: 10_000,
  /** Connections that wait for their close: above what the proxy admits at a time, bounded for cut logs. */
  openConnections: 16_384,
  /** Why connections of one row were ended: reasons are a closed list, this is for the eye. */
  endings: 4,
} as const;

export const TOTALS_LIMITS = {
  /** Hosts that a list of runs names: a line of a table. */
  topDenied: 5,
} as const;

export const RUNS_LIMITS = {
  /** Runs that one listing holds, the newest. */
  listed: 10_000,
  /** Runs that an ambiguous prefix names. */
  candidates: 10,
  /** Runs that `sand audit ls` shows unless told; two small reads each. */
  shown: 50,
  /** What one `sand audit ls` reads of logs whose seal holds no totals: a few seconds. */
  wholeBytes: 256 * 1024 ** 2,
} as const;

export const DENIALS_LIMITS = {
  /** The block at the end of a run is a pointer to `sand audit`, not the audit itself. */
  hosts: 10,
} as const;

export const EXPORT_LIMITS = {
  /** Log records of one OTLP request: what collectors take in one piece. */
  recordsPerRequest: 256,
  /** Of fat records fewer: 4 MiB is what collectors take, and a record is no longer than a line of the log by much. */
  requestCharacters: 1024 * 1024,
  /** Text that is written at once: few system calls, little memory. */
  chunkCharacters: 64 * 1024,
} as const;
