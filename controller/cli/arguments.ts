/** Splits the command line at the first `--`: before it sand's own words, after it the guest's, untouched. Pure. */

export interface SplitArguments {
  readonly own: readonly string[];
  /** Null where there is no `--`. */
  readonly command: readonly string[] | null;
}

export function splitArguments(argv: readonly string[]): SplitArguments {
  const at = argv.indexOf('--');
  return at < 0 ? { own: argv, command: null } : { own: argv.slice(0, at), command: argv.slice(at + 1) };
}
