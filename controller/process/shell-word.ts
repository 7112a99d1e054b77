/** One argument as a word of a command line that a person or a shell reads. Which command it stands in is the asker's. */

/** One word of a POSIX shell, whatever it holds. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
