/** Words as sh reads them back unchanged: what is handed to a shell as text, since SSH carries one string. Pure. */

/** Any text without NUL; POSIX, 2.2.2 Single-Quotes. */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

export function quoteWords(words: readonly string[]): string {
  return words.map(quoteWord).join(' ');
}
