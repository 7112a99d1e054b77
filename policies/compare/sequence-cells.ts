/**
 * Every way in which a name or a path can meet a set of patterns: for each set of patterns that some sequence
 * of labels or segments matches and no others, one such sequence, the shortest. Exact: an automaton of all patterns,
 * made deterministic as far as it is reached. What a label can be is `label-cells.ts`.
 */
import { createBudget } from './compare-limits.ts';
import { type Alphabet, labelCells } from './label-cells.ts';

export interface SequenceLanguage {
  readonly alphabet: Alphabet;
  /** Of all elements with one separator between each two. */
  readonly longest: number;
  /** Whether the last element may be empty. */
  readonly endsEmpty: boolean;
}

/** Elements in the order in which they are read: literal, glob, `*`, or `**` for any number of elements. */
export type SequencePattern = readonly string[];

export interface SequenceCell {
  readonly elements: readonly string[];
  /** Which of the patterns match, ascending. */
  readonly matched: readonly number[];
}

/** A place in a pattern: all before it is read. */
interface Item {
  readonly pattern: number;
  readonly at: number;
}

interface Walk {
  readonly items: readonly Item[];
  readonly short: readonly string[];
  readonly shown: readonly string[];
  readonly length: number;
}

/**
 * Cells in which a pattern of interest matches; with `isOfInterest` null all, also the one that nothing matches.
 * Raises `ComparisonBound`.
 */
export function sequenceCells(
  patterns: readonly SequencePattern[],
  isOfInterest: ((pattern: number) => boolean) | null,
  language: SequenceLanguage,
): readonly SequenceCell[] {
  const spend = createBudget('places');
  const cells = new Map<string, SequenceCell>();
  const seen = new Set<string>();
  const queue = new LengthQueue();
  const start = patterns.flatMap((_, pattern) => closure(patterns, { pattern, at: 0 }));
  queue.push({ items: start, short: [], shown: [], length: -1 });
  for (let walk = queue.pop(); walk !== null; walk = queue.pop()) {
    const key = keyOf(walk.items, walk.short.at(-1) === '');
    if (seen.has(key)) continue;
    seen.add(key);
    spend(1 + walk.items.length);
    if (walk.short.length > 0) addCell(cells, patterns, walk, isOfInterest, language);
    if (walk.short.at(-1) === '') continue;
    for (const next of stepsOf(patterns, walk, language)) {
      const isAlive = isOfInterest === null || next.items.some(({ pattern }) => isOfInterest(pattern));
      if (isAlive && next.length <= language.longest) queue.push(next);
    }
  }
  return [...cells.values()];
}

function addCell(
  cells: Map<string, SequenceCell>,
  patterns: readonly SequencePattern[],
  { items, short, shown }: Walk,
  isOfInterest: ((pattern: number) => boolean) | null,
  { longest }: SequenceLanguage,
): void {
  const matched = items
    .filter(({ pattern, at }) => at === patterns[pattern]?.length)
    .map(({ pattern }) => pattern);
  if (isOfInterest !== null && !matched.some(isOfInterest)) return;
  const key = matched.join(',');
  if (cells.has(key)) return;
  const fits = shown.join('.').length <= longest;
  cells.set(key, { elements: fits ? shown : short, matched });
}

function stepsOf(
  patterns: readonly SequencePattern[],
  walk: Walk,
  { alphabet, endsEmpty }: SequenceLanguage,
): readonly Walk[] {
  const literals = new Map<string, Item[]>();
  const globs = new Map<string, Item[]>();
  const always: Item[] = [];
  const deep: Item[] = [];
  for (const { pattern, at } of walk.items) {
    const element = patterns[pattern]?.[at];
    if (element === undefined) continue;
    const next = { pattern, at: at + 1 };
    if (element === '**') deep.push({ pattern, at });
    else if (element === '*') always.push(next);
    else append(element.includes('*') ? globs : literals, element, next);
  }
  const empty = literals.get('') ?? [];
  const texts = new Set(literals.keys());
  texts.delete('');
  const names = [...globs.keys()];
  const extend = (items: readonly Item[], short: string, shown: string): Walk => ({
    items: distinct(items.flatMap((item) => closure(patterns, item))),
    short: [...walk.short, short],
    shown: [...walk.shown, shown],
    length: walk.length + 1 + short.length,
  });
  const steps = labelCells(texts, names, alphabet).map((cell) => {
    const byGlob = cell.globs.flatMap((glob) => globs.get(names[glob] ?? '') ?? []);
    const items = [...deep, ...always, ...byGlob, ...(literals.get(cell.text) ?? [])];
    return extend(items, cell.text, cell.shown);
  });
  return endsEmpty ? [...steps, extend([...deep, ...empty], '', '')] : steps;
}

/** A `**` that stands for nothing is passed. */
function closure(patterns: readonly SequencePattern[], item: Item): readonly Item[] {
  const isDeep = patterns[item.pattern]?.[item.at] === '**';
  return isDeep ? [item, { pattern: item.pattern, at: item.at + 1 }] : [item];
}

function distinct(items: readonly Item[]): readonly Item[] {
  const sorted = items.toSorted((a, b) => a.pattern - b.pattern || a.at - b.at);
  return sorted.filter(({ pattern, at }, place) => {
    const before = sorted[place - 1];
    return before === undefined || before.pattern !== pattern || before.at !== at;
  });
}

function keyOf(items: readonly Item[], isEnd: boolean): string {
  return `${items.map(({ pattern, at }) => `${pattern}:${at}`).join(' ')}${isEnd ? '$' : ''}`;
}

function append(map: Map<string, Item[]>, key: string, item: Item): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else list.push(item);
}

/** The shortest first: what is met first by a state is its shortest sequence. */
class LengthQueue {
  readonly #byLength: Walk[][] = [];
  #least = 0;

  push(walk: Walk): void {
    const at = walk.length + 1;
    const list = this.#byLength[at];
    if (list === undefined) this.#byLength[at] = [walk];
    else list.push(walk);
    this.#least = Math.min(this.#least, at);
  }

  pop(): Walk | null {
    for (; this.#least < this.#byLength.length; this.#least += 1) {
      const walk = this.#byLength[this.#least]?.pop();
      if (walk !== undefined) return walk;
    }
    return null;
  }
}
