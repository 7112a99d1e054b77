/** A difference as text for a terminal, or as Markdown for a review: what widens first, each change with its witness. */
import { formatAuthority } from '../hostname.ts';
import type {
  ComparedRule,
  Direction,
  GuestWitness,
  PolicyChange,
  PolicyDifference,
  RequestWitness,
  Witness,
} from './difference.ts';
import { formatTime } from './wording.ts';

export interface DifferenceStyle {
  readonly style: 'text' | 'markdown';
  /** What the two are called, for the heading of the Markdown. */
  readonly names?: { readonly before: string; readonly after: string };
}

/** Ends in a newline. What a screen cannot show is escaped. */
export function formatDifference(difference: PolicyDifference, { style, names }: DifferenceStyle): string {
  return style === 'text' ? formatText(difference) : formatMarkdown(difference, names);
}

/** `https to api.example.com:443`; what of it decides, and nothing else. */
export function formatWitness(witness: Witness): string {
  if (witness.kind === 'guest') return formatGuest(witness);
  if (witness.kind === 'use') {
    const where = witness.authority === null ? '' : ` with ${formatAuthority(witness.authority)}`;
    return `${witness.limit} of ${witness.amount}${where}`;
  }
  return formatRequest(witness);
}

/** A witness is cooperative where confinement decides; then its isolation tells only what else is required. */
function formatGuest({ confinement, isolation }: GuestWitness): string {
  if (confinement === 'enforced') return `a guest whose isolation is ${isolation}`;
  const besides = isolation === 'namespaces' ? '' : ` and whose isolation is ${isolation}`;
  return `a guest whose confinement is ${confinement}${besides}`;
}

function formatRequest({ authority, protocol, http, address, atMs }: RequestWitness): string {
  const where = formatAuthority(authority);
  const what = http === null ? `${protocol} to ${where}` : `${http.method} http://${where}${http.target}`;
  const resolved = authority.host.kind === 'name' ? ` at ${address}` : '';
  return `${what}${resolved}${atMs === null ? '' : ` on ${formatTime(atMs)}`}`;
}

function formatText({ changes }: PolicyDifference): string {
  if (changes.length === 0) return 'no difference\n';
  const lines = changes.flatMap((change) => [
    `${change.direction.padEnd(7)}  ${change.text}${inPhase(change)}`,
    ...(change.witness === null ? [] : [`         ${wordWitness(change)}: ${formatWitness(change.witness)}`]),
    ...placesOf(change).map((place) => `         ${place}`),
  ]);
  const all = [...lines, '', countChanges(changes)];
  return all.map((line) => `${visible(line)}\n`).join('');
}

/** Who allows what the witness is. */
function wordWitness({ direction }: PolicyChange): string {
  return direction === 'widens' ? 'now allowed' : 'no longer allowed';
}

function inPhase({ phase }: PolicyChange): string {
  return phase === null ? '' : ` [phase ${phase}]`;
}

function placesOf({ before, after }: PolicyChange): readonly string[] {
  const places = (side: string, rules: readonly ComparedRule[]): readonly string[] =>
    rules.slice(0, MOST_PLACES).map((rule) => `${side} ${placeOf(rule)}`);
  return [...places('before:', before), ...places('after: ', after)];
}

/** Where more rules than this say the same, the first are enough to find the others. */
const MOST_PLACES = 5;

function placeOf({ id, origin: { file, line } }: ComparedRule): string {
  return line === 0 ? `${file} (${id})` : `${file}:${line} (${id})`;
}

function countChanges(changes: readonly PolicyChange[]): string {
  const count = (wanted: Direction): number => changes.filter(({ direction }) => direction === wanted).length;
  return `${count('widens')} widening, ${count('narrows')} narrowing, ${count('neutral')} neutral`;
}

const HEADINGS: Readonly<Record<Direction, string>> = {
  widens: 'Widens',
  narrows: 'Narrows',
  neutral: 'Changes nothing that is allowed',
};

function formatMarkdown({ changes }: PolicyDifference, names: DifferenceStyle['names']): string {
  const between = names === undefined ? '' : `: ${code(names.before)} → ${code(names.after)}`;
  const title = `### Egress policy${between}`;
  if (changes.length === 0) return `${title}\n\nNo difference.\n`;
  const sections = (Object.keys(HEADINGS) as Direction[]).flatMap((direction) => {
    const own = changes.filter((change) => change.direction === direction);
    if (own.length === 0) return [];
    const table = ['| the policy now | witness | rules |', '|---|---|---|', ...own.map(tableRow)];
    return direction === 'neutral'
      ? [`<details><summary>${HEADINGS[direction]} (${own.length})</summary>`, table.join('\n'), '</details>']
      : [`#### ${HEADINGS[direction]} (${own.length})`, table.join('\n')];
  });
  return `${[title, ...sections].join('\n\n')}\n`;
}

function tableRow(change: PolicyChange): string {
  const rules = [
    ...change.before.slice(0, MOST_PLACES).map((rule) => `before ${code(placeOf(rule))}`),
    ...change.after.slice(0, MOST_PLACES).map((rule) => `after ${code(placeOf(rule))}`),
  ];
  const witness = change.witness === null ? '' : code(formatWitness(change.witness));
  return `| ${prose(`${change.text}${inPhase(change)}`)} | ${witness} | ${rules.join('<br>')} |`;
}

/** Nothing of a policy is markup: `*` and the like would be, and a pipe would end a cell. */
function prose(text: string): string {
  return visible(text).replaceAll(/[\\`*_[\]<>|~&]/g, '\\$&');
}

function code(text: string): string {
  const shown = visible(text).replaceAll('|', '\\|');
  const longest = Math.max(0, ...[...shown.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `${fence}${shown}${fence}` : `${fence} ${shown} ${fence}`;
}

/** File and policy names may hold what moves a cursor or starts a line. */
function visible(text: string): string {
  return text.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
