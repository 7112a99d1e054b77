/** Every bound of the page that `sand audit ui` serves, with its reason. */

export const UI_LIMITS = {
  /** A request's head: a browser's own fields and one cookie take under 2 KiB. */
  headBytes: 8 * 1024,
  /** A request's body: the longest is a run, a number and a word. */
  bodyBytes: 4 * 1024,
  /** A browser opens six to one place; a few windows. */
  connections: 48,
  /** Pages that follow a run, each with a reader of its log. */
  followers: 12,
  /** What is asked arrives within this, whole; it comes from this machine. */
  requestMs: 10_000,
  /** A connection that asks nothing more. */
  idleMs: 15_000,
  /** How long a follower may take nothing until its connection is ended; the page then asks again from where it was. */
  stallMs: 20_000,
  /** So that a page knows that the server is there, and the server that the page is. */
  heartbeatMs: 10_000,
  /** Counts and charts of a page, at the most so often. */
  summaryMs: 1_000,
  /** How often the chain of a log that grows is checked anew, whole. */
  verifyMs: 60_000,
  /** Entries of one message to a page: what a browser shows between two frames. */
  entries: 400,
  /** Proposals that wait for a person, the newest; a person reads one at a time. */
  proposals: 16,
  /** A plan that is older is made anew. */
  proposalMs: 15 * 60_000,
  /** Wrong tokens in `guessWindowMs`, after which every token is refused until it is over. */
  guesses: 10,
  guessWindowMs: 60_000,
  /** Cookies of our name that are looked at: another port of this address may have set some. */
  cookies: 4,
  /** How long is waited for a guest to take a policy file that has changed: it looks four times a second. */
  reloadMs: 3_000,
} as const;
