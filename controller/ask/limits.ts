/** Every bound of asking people, with its reason. Times in milliseconds unless the name says otherwise. */
export interface AskLimits {
  readonly silenceMs: number;
  readonly deniedMs: number;
  readonly silentMs: number;
  readonly followMs: number;
  readonly questions: number;
  readonly waiting: number;
  readonly hosts: number;
}

/**
 * How long a guest's own resolver waits for an answer where people are asked: the longest that resolv.conf(5)
 * takes. It is what leaves a person time, since a name is asked about before anything connects.
 */
export const ASKED_LOOKUP_SECONDS = 30;

export const ASK_LIMITS = {
  /**
   * Silence is a no. Below the 30 s that the guest's resolver waits, so that the client still hears the refusal; clients
   * that are held at a connection (curl, npm, pip, git) wait longer by themselves.
   */
  silenceMs: 25_000,
  /** A no also answers what a client tries at once again: the other address family, a retry of a package manager. */
  deniedMs: 5_000,
  /** Where nobody answered, nobody is there: the same question is not held again for so long. */
  silentMs: 60_000,
  /** A `once` for a name that was looked up is for the connection that follows, which follows soon. */
  followMs: 60_000,
  /** More than anybody answers in the time that they have; what comes beyond is denied at once. */
  questions: 32,
  /** Requests that wait for an answer: a package manager opens tens for one host. */
  waiting: 256,
  /** Hosts whose last answer is remembered, and questions that are denied for the run. */
  hosts: 1_024,
  /** Of a command or a host, for the eye: the longest name fits a few lines. */
  textCharacters: 260,
  /** What was typed before a question was there for so long is no answer to it. */
  settleMs: 300,
  /** How often another terminal looks for questions. */
  pollMs: 250,
} as const satisfies AskLimits & Readonly<Record<string, number>>;
