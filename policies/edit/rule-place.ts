/** Finds the rules of a policy text, or of one of its phases, in its layout and its tree side by side. */
import type { LaidOut } from '../document.ts';
import type { EntryLayout, ListLayout, MapLayout } from '../document-layout.ts';
import type { MapNode, PolicyNode } from '../document-tree.ts';

/** The map that has, or is to have, the key `rules`. */
export interface RulePlace {
  readonly map: MapLayout;
  readonly node: MapNode;
  readonly entry: EntryLayout | null;
  /** Null where there is no list yet. */
  readonly list: ListLayout | null;
  /** As many as `list` has items. */
  readonly rules: readonly PolicyNode[];
}

export function findRulePlace({ layout, tree }: LaidOut, phase: string | undefined): RulePlace | null {
  if (layout.kind !== 'map' || tree.kind !== 'map') return null;
  if (phase === undefined) return placeIn(layout, tree);
  const phases = childOf(layout, tree, 'phases');
  const found = phases === null ? null : childOf(phases.map, phases.node, phase);
  return found === null ? null : placeIn(found.map, found.node);
}

export function entryOf(map: MapLayout, key: string): EntryLayout | null {
  return map.entries.find((entry) => entry.key === key) ?? null;
}

function placeIn(map: MapLayout, node: MapNode): RulePlace {
  const entry = entryOf(map, 'rules');
  const list = entry?.value?.kind === 'list' ? entry.value : null;
  const value = node.entries.find(({ key }) => key === 'rules')?.value;
  return { map, node, entry, list, rules: value?.kind === 'list' ? value.items : [] };
}

function childOf(
  map: MapLayout,
  node: MapNode,
  key: string,
): { readonly map: MapLayout; readonly node: MapNode } | null {
  const layout = entryOf(map, key)?.value;
  const value = node.entries.find((entry) => entry.key === key)?.value;
  return layout?.kind === 'map' && value?.kind === 'map' ? { map: layout, node: value } : null;
}
