/** How far sand looks for the process behind a connection, each bound with its reason. What is beyond it stays unnamed. */

export const ATTRIBUTION_LIMITS = {
  /** Sockets of the guest that are gone through, 150 bytes each in the kernel's table: far above what a build has open. */
  tableBytes: 512 * 1024,
  /** Processes whose descriptors are looked at: a parallel build has a few hundred. */
  processes: 512,
  /** Numbers that the guest's /proc is read for: a process that forks without end makes more. */
  listed: 4_096,
  /** Descriptors that are looked at for one connection, of all processes together: what a server has by default, several times. */
  descriptors: 4_096,
  /** One look is longer than this only by a single read of the kernel's: a guest that hides makes nobody wait for long. */
  lookMs: 50,
  /** Of each second, the part that looks may take at most; what connects faster than that stays unnamed. */
  share: 0.2,
  /** What looks may take at once: a start of many connections at a time, after a rest. */
  burstMs: 500,
  /** Processes that answered last and are looked at first: those that connect again and again are few. */
  remembered: 8,
  /** What is read of a command line, which the log cuts to a tenth of that. */
  commandBytes: 4_096,
} as const;
