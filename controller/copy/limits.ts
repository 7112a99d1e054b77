/** The bounds of a copy out of a guest, which is a stream of a stranger's making. */

export const COPY_LIMITS = {
  /** Content of all files together, unless `--max-size` says otherwise. */
  contentBytes: 8 * 1024 ** 3,
  /** More than any project has; each costs some system calls. */
  entries: 1_000_000,
  /** One name, or one link's target: what Linux takes for a path. */
  nameBytes: 4_096,
  /** Extended headers of one entry: two names, times and attributes. */
  metaBytes: 64 * 1024,
  /** Left out entries that are told by name. */
  told: 20,
  /** What the guest's tar says of itself. */
  complaintBytes: 4_096,
  /** Symbolic links on the way to a place of the host, as the kernel's own. */
  links: 40,
} as const;
