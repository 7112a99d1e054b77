/** Where a further preset or group goes in the `extends` of a policy text. */
import type { LaidOut } from '../document.ts';
import { styleOf } from './addition.ts';
import { entryOf } from './rule-place.ts';
import { scalarText } from './rule-text.ts';
import { appendToFlow, indentAt, linesBelow, type Splice } from './splice.ts';

/** Null where the text has no place for them. */
export function spliceExtension(laidOut: LaidOut, names: readonly string[]): readonly Splice[] | null {
  const { text, layout } = laidOut;
  if (layout.kind !== 'map') return null;
  const style = styleOf(laidOut);
  const scalars = names.map((name) => scalarText(name, style));
  const value = entryOf(layout, 'extends')?.value ?? null;
  if (value?.kind === 'list') {
    const last = value.items.at(-1);
    if (value.isFlow || last === undefined) return appendToFlow(text, value, scalars);
    const lines = scalars.map((scalar) => `- ${scalar}`);
    return [linesBelow(text, last.end, indentAt(text, last.start), lines)];
  }
  if (value?.kind === 'scalar') {
    const old = text.slice(value.start, value.end);
    return [{ at: value.start, cut: old.length, put: `[${[old, ...scalars].join(', ')}]` }];
  }
  const after = entryOf(layout, 'name') ?? entryOf(layout, 'version');
  if (after === null || value !== null) return null;
  const list = `[${scalars.join(', ')}]`;
  if (!layout.isFlow) return [linesBelow(text, after.end, indentAt(text, after.start), [`extends: ${list}`])];
  return [{ at: after.end, cut: 0, put: `, ${style === 'json' ? '"extends"' : 'extends'}: ${list}` }];
}
