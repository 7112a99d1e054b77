/**
 * One rule as a person writes it: as an item of a block, in braces, or as JSON. The canonical text that digests are
 * taken of is `format.ts`; where the text goes is `edit.ts`.
 */
import { soleAddress } from '../address.ts';
import { formatLimits } from '../guest-limits.ts';
import type { IpRange, Rule, Subject } from '../model.ts';
import { DEFAULT_PORTS, formatPortRange, PROTOCOLS } from '../port-range.ts';
import { formatSubject } from '../subject.ts';

/** What a rule says, whatever its id and place. */
export type RuleContent = Omit<Rule, 'id' | 'origin'>;

export type Style = 'yaml' | 'json';

/** The lines of an item of a block list, its dash included, without indentation. */
export function blockItem(rule: RuleContent): readonly string[] {
  return entriesOf(rule, 'yaml').flatMap(([key, value], at) => {
    const isLong = at === 0 && rule.subjects.length > MOST_IN_LINE;
    if (!isLong) return [`${at === 0 ? '- ' : '  '}${key}: ${value}`];
    return [`- ${key}:`, ...rule.subjects.map((subject) => `    - ${subjectText(subject, 'yaml')}`)];
  });
}

/** Hosts of one line; more of them get a line each, so that a review sees each come and go. */
const MOST_IN_LINE = 3;

/** An item of a list in brackets. */
export function flowItem(rule: RuleContent, style: Style): string {
  const entries = entriesOf(rule, style).map(([key, value]) =>
    style === 'json' ? `"${key}": ${value}` : `${key}: ${value}`,
  );
  return `{${entries.join(', ')}}`;
}

/** One line to paste below `rules:`. */
export function pasteLine(rule: RuleContent): string {
  const [only, ...more] = blockItem(rule);
  return only !== undefined && more.length === 0 ? only : `- ${flowItem(rule, 'yaml')}`;
}

/** Text as a YAML scalar: bare where no reader could take it for anything else. */
export function scalarText(text: string, style: Style): string {
  return style === 'yaml' && isPlain(text) ? text : quote(text, style);
}

/** Words that YAML, of this version or an older one, reads as something else than text. */
const WORDS_OF_YAML = /^(true|false|null|yes|no|on|off|y|n)$/i;

/** A name such as `1.e3` reads as one. */
const NUMBER_OF_YAML = /^[0-9.]*e[0-9]+$/i;

function isPlain(text: string): boolean {
  if (WORDS_OF_YAML.test(text) || NUMBER_OF_YAML.test(text)) return false;
  const isHost = /^[a-z0-9_][a-z0-9._-]*\.[a-z][a-z0-9_-]*$/.test(text);
  const isName = /^[A-Za-z][A-Za-z0-9._-]*(?: [A-Za-z0-9._-]+)*$/.test(text);
  const isAddress = /^\d+\.\d+\.\d+\.\d+(\/\d+)?$/.test(text);
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text);
  const isExtension = /^group:[a-z0-9-]+(\/all|\/quiet)?$/.test(text);
  return isHost || isName || isAddress || isInstant || isExtension;
}

/** What a screen cannot show is escaped: in YAML by code point, in JSON by halves. */
function quote(text: string, style: Style): string {
  return JSON.stringify(text).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    if (style === 'yaml' && hex.length > 4) return `\\U${hex.padStart(8, '0')}`;
    const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
  });
}

function entriesOf(rule: RuleContent, style: Style): readonly (readonly [string, string])[] {
  const subjects = rule.subjects.map((subject) => subjectText(subject, style));
  const scalar = (text: string): string => scalarText(text, style);
  return [
    [rule.verb, subjects.length === 1 ? (subjects[0] ?? '') : `[${subjects.join(', ')}]`],
    ...portEntries(rule),
    ...optional('methods', rule.methods?.map(scalar)),
    ...optional(
      'paths',
      rule.paths?.map(({ text }) => scalar(text)),
    ),
    ...optional(
      'addresses',
      rule.addresses?.map((range) => scalar(rangeWord(range))),
    ),
    ...(rule.metadata ? [['metadata', 'true'] as const] : []),
    ...(rule.untilMs === undefined ? [] : [['until', scalar(formatInstant(rule.untilMs))] as const]),
    ...(rule.limits === undefined ? [] : [['limits', formatLimits(rule.limits)] as const]),
    ...(rule.report === true ? [['report', 'true'] as const] : []),
    ...(rule.because === null ? [] : [['because', scalar(rule.because)] as const]),
  ];
}

export function subjectWord(subject: Subject): string {
  return subject.kind === 'range' ? rangeWord(subject.range) : formatSubject(subject);
}

/** A range of one address is that address. */
export function rangeWord(range: IpRange): string {
  return soleAddress(range) ?? range;
}

export function subjectText(subject: Subject, style: Style): string {
  return scalarText(subjectWord(subject), style);
}

function portEntries({ verb, ports }: RuleContent): readonly (readonly [string, string])[] {
  const textOf = (value: RuleContent['ports']): string => JSON.stringify(PROTOCOLS.map((one) => value[one]));
  if (verb !== 'allow' || textOf(ports) === textOf(DEFAULT_PORTS)) return [];
  return PROTOCOLS.flatMap((protocol) => {
    const ranges = ports[protocol].map((range) =>
      range.from === range.to ? formatPortRange(range) : `"${formatPortRange(range)}"`,
    );
    return ranges.length === 0 ? [] : [[protocol, `[${ranges.join(', ')}]`] as const];
  });
}

function optional(
  key: string,
  values: readonly string[] | undefined,
): readonly (readonly [string, string])[] {
  return values === undefined ? [] : [[key, `[${values.join(', ')}]`]];
}

/** Whole seconds, UTC: the form that `until` is read in. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
