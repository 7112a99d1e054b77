/** Two versions of a text as a unified diff that `git apply` and `patch` read. */

/** Lines of context around a change: what patch tools expect. */
const CONTEXT = 3;
/** Cells of the comparison: beyond this what differs is told as one block that goes and one that comes. */
const MOST_CELLS = 4_000_000;

interface Step {
  readonly mark: ' ' | '-' | '+';
  readonly line: string;
}

/** Empty where nothing differs. `before` null: the file is new. */
export function formatPatch(file: string, before: string | null, after: string): string {
  if (before === after) return '';
  const steps = compareLines(splitLines(before ?? ''), splitLines(after));
  const head = [`--- ${before === null ? '/dev/null' : `a/${file}`}`, `+++ b/${file}`];
  return `${[...head, ...hunksOf(steps)].join('\n')}\n`;
}

/** Each with what ends it, so that a changed line end shows. */
function splitLines(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function compareLines(before: readonly string[], after: readonly string[]): readonly Step[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  while (
    tail < Math.min(before.length, after.length) - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail += 1;
  const same = (lines: readonly string[]): readonly Step[] => lines.map((line) => ({ mark: ' ', line }));
  return [
    ...same(before.slice(0, head)),
    ...align(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

/** By the longest common subsequence. */
function align(before: readonly string[], after: readonly string[]): readonly Step[] {
  const removed = before.map((line): Step => ({ mark: '-', line }));
  const added = after.map((line): Step => ({ mark: '+', line }));
  const width = after.length + 1;
  if (before.length === 0 || after.length === 0 || (before.length + 1) * width > MOST_CELLS)
    return [...removed, ...added];
  const lengths = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] =
        before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const steps: Step[] = [];
  let [i, j] = [0, 0];
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      steps.push({ mark: ' ', line: before[i] ?? '' });
      i += 1;
      j += 1;
    } else if (at(i + 1, j) >= at(i, j + 1)) steps.push(removed[i++] ?? { mark: '-', line: '' });
    else steps.push(added[j++] ?? { mark: '+', line: '' });
  }
  return [...steps, ...removed.slice(i), ...added.slice(j)];
}

function hunksOf(steps: readonly Step[]): readonly string[] {
  const changed = steps.flatMap(({ mark }, at) => (mark === ' ' ? [] : [at]));
  const groups: { from: number; to: number }[] = [];
  for (const at of changed) {
    const last = groups.at(-1);
    if (last !== undefined && at - last.to <= 2 * CONTEXT) last.to = at;
    else groups.push({ from: at, to: at });
  }
  return groups.flatMap(({ from, to }) => {
    const start = Math.max(0, from - CONTEXT);
    return formatHunk(steps, start, Math.min(steps.length, to + CONTEXT + 1));
  });
}

function formatHunk(steps: readonly Step[], start: number, end: number): readonly string[] {
  const count = (some: readonly Step[], mark: '-' | '+'): number =>
    some.filter((step) => step.mark === ' ' || step.mark === mark).length;
  const before = steps.slice(0, start);
  const shown = steps.slice(start, end);
  const range = (mark: '-' | '+'): string => {
    const length = count(shown, mark);
    return `${mark}${count(before, mark) + (length === 0 ? 0 : 1)},${length}`;
  };
  return [`@@ ${range('-')} ${range('+')} @@`, ...shown.map(formatStep)];
}

function formatStep({ mark, line }: Step): string {
  if (line.endsWith('\n')) return `${mark}${line.slice(0, -1)}`;
  return `${mark}${line}\n\\ No newline at end of file`;
}
