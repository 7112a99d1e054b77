/** The bounds of what is read of an image, each with its reason. */

export const IMAGE_LIMITS = {
  /** A real configuration is some kilobytes; the largest seen, with long histories, stay below 100. */
  configBytes: 1024 * 1024,
  /** More variables, arguments or bytes in one than any image has; the kernel takes 2 MiB of both together. */
  words: 1_000,
  wordBytes: 128 * 1024,
  /** A passwd file with ten thousand users; longer ones are cut at a line. */
  accountBytes: 1024 * 1024,
  /** The kernel's own bound on symlinks in one path. */
  links: 40,
  /** PATH_MAX of Linux. */
  pathBytes: 4_096,
  /** Headers of an archive that are looked at to tell its kind; writers put the file that tells among the last of some hundred. */
  archiveMembers: 10_000,
  /** Several gigabytes on a slow disk. */
  readMs: 15 * 60_000,
  /** An unpack that is this old was killed. */
  abandonedMs: 24 * 60 * 60_000,
  /** A list of authorities is 220 KB, a JVM's about as much. */
  authorityBytes: 8 * 1024 * 1024,
  /** Files and folders of one image that are looked at when it is unpacked. */
  entries: 5_000_000,
  /** Files of a build's context: a large repository with its dependencies, looked through in seconds. */
  contextFiles: 500_000,
} as const;
