/** Finds the word that somebody probably meant, for the "did you mean" of an error. */

/** Longer words than any key or preset are not compared: the cost grows with the product of the lengths. */
const LONGEST_WORD = 64;

/** The closest of `known` within two edits (one for short words), or null. */
export function closestWord(word: string, known: readonly string[]): string | null {
  if (word.length > LONGEST_WORD) return null;
  const most = word.length <= 4 ? 1 : 2;
  let best: { readonly word: string; readonly edits: number } | null = null;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) > most) continue;
    const edits = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (edits <= most && (best === null || edits < best.edits)) best = { word: candidate, edits };
  }
  return best === null ? null : best.word;
}

/** Damerau-Levenshtein with adjacent swaps. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const plain = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost);
      next.push(swap ? Math.min(plain, (before[j - 2] ?? 0) + 1) : plain);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
