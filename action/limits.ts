/** Every bound of the action, with its reason. Decides nothing else. */
export const LIMITS = {
  /** The runner takes no more of a summary and of one output, and a guest decides how much it writes. */
  commandFileBytes: 1024 * 1024,
  /** A single argument of a program on Linux holds 128 KiB; a variable for a later guest travels as one. */
  guestVariableBytes: 64 * 1024,
  /** All of them together, well below what the kernel lets arguments hold. */
  guestVariablesBytes: 512 * 1024,
  /** The runner shows nothing of a step's summary above 1 MiB, and a guest must not push out what was denied. */
  guestSummaryBytes: 512 * 1024,
  /** A summary is read by people. The runner's own bound is 1 MiB for a step. */
  summaryCharacters: 60_000,
  /** GitHub refuses a comment of more than 65,536 characters. */
  commentCharacters: 60_000,
  /** GitHub shows ten annotations of a kind for a step. */
  annotations: 10,
  /** Rows of a table that people still read; the report has all. */
  rows: 50,
  /** A text from a guest in a cell or an annotation. */
  textCharacters: 300,
  /** What `sand ci` writes for a run of a million events stays far below. */
  reportBytes: 16 * 1024 * 1024,
  /** What a program that is asked something prints. */
  outputBytes: 16 * 1024 * 1024,
  /** The doctor gives a backend two minutes. */
  doctorMs: 150_000,
  /** A package mirror on a bad day. */
  installMs: 300_000,
  /** A setting of the kernel, a profile, a look at git. */
  toolMs: 30_000,
  /** Of the REST API, a request. A comment is never worth waiting for. */
  apiMs: 10_000,
  /** Pages of a hundred comments that are looked through for our own. */
  commentPages: 10,
  /** Policy files of the base commit that are laid out beside, for what a policy extends. */
  baseFiles: 2000,
  /** Together. */
  baseBytes: 16 * 1024 * 1024,
  /** Reports of steps that the comment at the end of the job sums up. */
  steps: 500,
} as const;
