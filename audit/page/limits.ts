/** Every bound of the page, with its reason. */

export const PAGE_LIMITS = {
  /** Events in the file: about 6 MB, which a browser reads in a second; denied ones go first. */
  events: 20_000,
  /** Hosts in the tables, the first so many by denials, by bytes and by requests each; the rest is counted. */
  hosts: 400,
  /** Hosts whose lookups and connections are followed: a guest can ask for a million random names. */
  names: 10_000,
  /** Distinct lookups, and distinct connections, of one host. */
  perName: 12,
  /** Addresses that answers to one question gave. */
  answers: 4,
  /** Bars of a chart; at that number two become one. An even number. */
  bars: 240,
  /** The shortest step of a chart. */
  stepMs: 50,
  /** Failed probes, notices and unreadable lines of a run that are told one by one. */
  findings: 20,
  /** Events in one piece of the embedded data: what a browser reads in a few milliseconds. */
  chunk: 400,
  /** Runs on one page. */
  runs: 100,
  /** Connections that wait for their close: above what the proxy admits at a time, bounded for cut logs. */
  openConnections: 16_384,
} as const;
