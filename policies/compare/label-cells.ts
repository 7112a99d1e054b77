/**
 * Every way in which one label of a name, or one segment of a path, can meet a set of patterns: for each set of
 * patterns that some text matches and no others, the shortest such text. Sequences of them are `sequence-cells.ts`.
 */
import { createBudget } from './compare-limits.ts';

/** What may stand in one label or segment. */
export interface Alphabet {
  /** In order of preference; more than a pattern can name, or all that there are. */
  readonly characters: readonly string[];
  readonly longest: number;
  /** Whether a text can occur at all. Those of characters that no pattern names must. */
  readonly admits: (text: string) => boolean;
  /** What decides, besides the patterns, which texts that begin like this one can occur; null: none can. */
  readonly remembers: (text: string) => string | null;
}

export interface LabelCell {
  /** The shortest. */
  readonly text: string;
  /** Of the same cell, and better to read. */
  readonly shown: string;
  /** Which of the globs match. */
  readonly globs: readonly number[];
}

/** One cell for each literal, then those of all other texts. `globs` are patterns with one or two `*`. */
export function labelCells(
  literals: ReadonlySet<string>,
  globs: readonly string[],
  alphabet: Alphabet,
): readonly LabelCell[] {
  const cells = [...literals].map((text) => ({ text, shown: text, globs: matching(globs, text) }));
  if (globs.length === 0) {
    const fresh = freshText(literals, alphabet);
    return fresh === null ? cells : [...cells, { text: fresh, shown: fresh, globs: [] }];
  }
  return [...cells, ...globCells(literals, globs, alphabet)];
}

/** The shortest text that is none of the literals. */
function freshText(literals: ReadonlySet<string>, { characters, longest, admits }: Alphabet): string | null {
  let texts: readonly string[] = [''];
  for (let length = 1; length <= longest; length += 1) {
    const longer: string[] = [];
    for (const text of texts) {
      for (const character of characters) {
        const next = text + character;
        if (!literals.has(next) && admits(next)) return next;
        longer.push(next);
      }
    }
    // Every text so far was a literal, so their number bounds this loop.
    texts = longer;
  }
  return null;
}

/** Where each glob stands after some text, and that text where it begins a literal. */
interface State {
  readonly text: string;
  readonly places: readonly (readonly number[])[];
}

/** Only literals that would stand for a cell are kept out of it: of thousands beside a glob these are few. */
function globCells(
  literals: ReadonlySet<string>,
  globs: readonly string[],
  alphabet: Alphabet,
): readonly LabelCell[] {
  const spend = createBudget('labelStates');
  const avoided = new Set<string>();
  // Each turn avoids one literal more, so their number bounds this loop.
  for (;;) {
    const cells = cellsBeside(avoided, globs, alphabet, spend);
    const taken = cells.filter(({ text }) => literals.has(text));
    if (taken.length === 0) {
      return cells.map((cell) => ({ ...cell, shown: readable(cell, literals, globs, alphabet) }));
    }
    for (const { text } of taken) avoided.add(text);
  }
}

/** Texts by length, and no two that lead to the same state: what follows them is the same. */
function cellsBeside(
  literals: ReadonlySet<string>,
  globs: readonly string[],
  alphabet: Alphabet,
  spend: (used: number) => void,
): readonly LabelCell[] {
  const begins = new Set([...literals].flatMap((text) => [...text].map((_, at) => text.slice(0, at + 1))));
  const characters = usedCharacters(globs, begins, alphabet);
  const found = new Map<string, LabelCell>();
  const seen = new Set<string>();
  let states: State[] = [{ text: '', places: globs.map((glob) => closure(glob, [0])) }];
  for (let length = 1; length <= alphabet.longest && states.length > 0; length += 1) {
    const next: State[] = [];
    for (const state of states) {
      for (const character of characters) {
        const text = state.text + character;
        const places = state.places.map((at, glob) => step(globs[glob] ?? '', at, character));
        const memory = alphabet.remembers(text);
        const key = `${places.map((at) => at.join(',')).join(';')}|${begins.has(text) ? text : ''}|${memory}`;
        if (memory === null || seen.has(key)) continue;
        seen.add(key);
        spend(1);
        next.push({ text, places });
        if (literals.has(text) || !alphabet.admits(text)) continue;
        const matched = places.flatMap((at, glob) => (at.includes((globs[glob] ?? '').length) ? [glob] : []));
        const cell = matched.join(',');
        if (!found.has(cell)) found.set(cell, { text, shown: text, globs: matched });
      }
    }
    states = next;
  }
  return [...found.values()];
}

/** All that patterns name, and one that they do not: any other would do as it does. */
function usedCharacters(
  globs: readonly string[],
  begins: ReadonlySet<string>,
  { characters }: Alphabet,
): readonly string[] {
  const named = new Set([...globs, ...begins].flatMap((text) => [...text]).filter((one) => one !== '*'));
  const fresh = characters.find((character) => !named.has(character));
  return fresh === undefined ? [...named] : [fresh, ...named];
}

/** The places in a glob that a text can have led to: a `*` is passed, or stays. */
function step(glob: string, places: readonly number[], character: string): readonly number[] {
  const next = places.flatMap((at) => {
    if (glob[at] === '*') return [at];
    return glob.startsWith(character, at) ? [at + character.length] : [];
  });
  return closure(glob, next);
}

function closure(glob: string, places: readonly number[]): readonly number[] {
  const all = new Set(places);
  for (const at of all) if (glob[at] === '*') all.add(at + 1);
  return [...all].sort((a, b) => a - b);
}

export function matching(globs: readonly string[], text: string): readonly number[] {
  return globs.flatMap((glob, at) => (matchesGlob(glob, text) ? [at] : []));
}

function matchesGlob(glob: string, text: string): boolean {
  let places = closure(glob, [0]);
  for (const character of text) places = step(glob, places, character);
  return places.includes(glob.length);
}

/** `api-x` rather than `api-`, where both are in the cell. */
function readable(
  cell: { readonly text: string; readonly globs: readonly number[] },
  literals: ReadonlySet<string>,
  globs: readonly string[],
  { admits, longest }: Alphabet,
): string {
  const key = cell.globs.join(',');
  const candidates = cell.globs.map((glob) => (globs[glob] ?? '').replaceAll('*', 'x'));
  const better = candidates.find(
    (text) =>
      text.length <= longest &&
      admits(text) &&
      !literals.has(text) &&
      matching(globs, text).join(',') === key,
  );
  return better ?? cell.text;
}
