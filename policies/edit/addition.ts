/** Where new rules go in the text of a policy: into a list that says the same of other hosts, else behind the last rule. */

import { decodeRule } from '../decode-rule.ts';
import type { LaidOut } from '../document.ts';
import type { ListLayout } from '../document-layout.ts';
import type { PolicyNode } from '../document-tree.ts';
import { formatRule } from '../format.ts';
import { IssueList } from '../issue.ts';
import { findRulePlace, type RulePlace } from './rule-place.ts';
import { blockItem, flowItem, type RuleContent, type Style, subjectText } from './rule-text.ts';
import { appendToFlow, indentAt, linesBelow, type Splice } from './splice.ts';

/** Null where the text has no place for them. */
export function spliceAddition(
  laidOut: LaidOut,
  rules: readonly RuleContent[],
  phase: string | undefined,
): readonly Splice[] | null {
  const place = findRulePlace(laidOut, phase);
  if (place === null) return null;
  const style = styleOf(laidOut);
  return joinLast(laidOut.text, place, rules, style) ?? addRules(laidOut.text, place, rules, style);
}

/** JSON is YAML, and stays JSON. */
export function styleOf({ text, layout }: LaidOut): Style {
  if (layout.kind !== 'map' || !layout.isFlow) return 'yaml';
  try {
    JSON.parse(text);
    return 'json';
  } catch {
    return 'yaml';
  }
}

function addRules(
  text: string,
  { map, entry, list }: RulePlace,
  rules: readonly RuleContent[],
  style: Style,
): readonly Splice[] | null {
  const block = rules.flatMap(blockItem);
  const flow = rules.map((rule) => flowItem(rule, style));
  const key = style === 'json' ? '"rules"' : 'rules';
  if (entry === null) {
    const last = map.entries.at(-1);
    if (last === undefined) return null;
    if (map.isFlow) return [{ at: last.end, cut: 0, put: `, ${key}: [${flow.join(', ')}]` }];
    const indent = indentAt(text, map.entries[0]?.start ?? map.start);
    return [linesBelow(text, last.end, indent, ['rules:', ...block.map((line) => `  ${line}`)])];
  }
  const below = `${indentAt(text, entry.start)}  `;
  if (list === null) return map.isFlow ? null : [linesBelow(text, entry.keyEnd, below, block)];
  const last = list.items.at(-1);
  if (last !== undefined && !list.isFlow) {
    return [linesBelow(text, last.end, indentAt(text, last.start), block)];
  }
  const isBare = /^\[\s*\]$/.test(text.slice(list.start, list.end));
  if (last !== undefined || map.isFlow || !isBare) return appendToFlow(text, list, flow);
  const before = /[ \t]*$/.exec(text.slice(0, list.start))?.[0].length ?? 0;
  const empty = { at: list.start - before, cut: list.end - list.start + before, put: '' };
  return [empty, linesBelow(text, list.end, below, block)];
}

/** One rule goes into the last of its verb where that is a list on the same terms; null where it is not. */
function joinLast(
  text: string,
  { list, rules: nodes }: RulePlace,
  rules: readonly RuleContent[],
  style: Style,
): readonly Splice[] | null {
  const [rule, ...others] = rules;
  if (rule === undefined || others.length > 0 || list === null || rule.limits !== undefined) return null;
  const at = nodes.findLastIndex((node) => verbOf(node) === rule.verb);
  const node = nodes[at];
  const item = list.items[at]?.value;
  if (node === undefined || item?.kind !== 'map' || !sharesTerms(node, rule)) return null;
  const subjects = item.entries.find(({ key }) => key === rule.verb)?.value;
  if (subjects?.kind !== 'list' || subjects.items.length === 0) return null;
  return appendSubjects(text, subjects, rule, style);
}

function appendSubjects(
  text: string,
  subjects: ListLayout,
  rule: RuleContent,
  style: Style,
): readonly Splice[] {
  const scalars = rule.subjects.map((subject) => subjectText(subject, style));
  const last = subjects.items.at(-1);
  if (subjects.isFlow || last === undefined) return appendToFlow(text, subjects, scalars);
  const lines = scalars.map((scalar) => `- ${scalar}`);
  return [linesBelow(text, last.end, indentAt(text, last.start), lines)];
}

function verbOf(node: PolicyNode): string | null {
  if (node.kind !== 'map') return null;
  return node.entries.find(({ key }) => ['allow', 'deny', 'mute'].includes(key))?.key ?? null;
}

function sharesTerms(node: PolicyNode, rule: RuleContent): boolean {
  const drafts = decodeRule(node, new IssueList('policy'), false);
  const [draft] = drafts;
  const subjects = rule.subjects.slice(0, 1);
  return (
    drafts.length === 1 &&
    draft !== undefined &&
    draft.subjects[0]?.kind === subjects[0]?.kind &&
    formatRule({ ...draft, subjects }) === formatRule({ ...rule, subjects })
  );
}
