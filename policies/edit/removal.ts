/** Takes one mention of a subject out of the text of a policy: out of its list, or with its rule where it stands alone. */
import type { LaidOut } from '../document.ts';
import type { Layout } from '../document-layout.ts';
import type { PolicyNode } from '../document-tree.ts';
import type { Rule } from '../model.ts';
import { formatSubject, parseSubject } from '../subject.ts';
import { findRulePlace, type RulePlace } from './rule-place.ts';
import { removeItem, type Splice } from './splice.ts';

/** Null where no rule with that verb mentions it. */
export function spliceRemoval(
  laidOut: LaidOut,
  change: { readonly verb: Rule['verb']; readonly subject: string; readonly phase?: string },
): readonly Splice[] | null {
  const { text } = laidOut;
  const place = findRulePlace(laidOut, change.phase);
  if (place === null || place.list === null) return null;
  for (const [at, node] of place.rules.entries()) {
    const item = place.list.items[at];
    if (item === undefined) continue;
    const splice = fromSubjects(text, node, item.value, change);
    if (splice === 'all') {
      return [removeItem(text, place.list, item), ...(place.list.items.length === 1 ? emptied(place) : [])];
    }
    if (splice !== null) return [splice];
  }
  return null;
}

/** `all`: the rule mentions nothing else. */
function fromSubjects(
  text: string,
  node: PolicyNode,
  layout: Layout,
  { verb, subject }: { readonly verb: Rule['verb']; readonly subject: string },
): Splice | 'all' | null {
  if (node.kind !== 'map' || layout.kind !== 'map') return null;
  const value = node.entries.find(({ key }) => key === verb)?.value;
  const place = layout.entries.find(({ key }) => key === verb)?.value;
  if (value === undefined) return null;
  const mentions = value.kind === 'list' ? value.items : [value];
  const found = mentions.findIndex((mention) => canonical(mention) === subject);
  if (found === -1) return null;
  if (mentions.every((mention) => canonical(mention) === subject)) return 'all';
  const item = place?.kind === 'list' ? place.items[found] : undefined;
  return place?.kind === 'list' && item !== undefined ? removeItem(text, place, item) : null;
}

function canonical(node: PolicyNode): string | null {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return null;
  const subject = parseSubject(node.value);
  return subject.ok ? formatSubject(subject.value) : null;
}

/** `rules:` with nothing below it would be no list. */
function emptied({ entry, list }: RulePlace): readonly Splice[] {
  if (entry === null || list === null || list.isFlow) return [];
  return [{ at: entry.keyEnd + 1, cut: 0, put: ' []' }];
}
