/** One sentence for each difference, whose subject is the newer policy: "allows api.example.com (https 443)". */
import { LIMIT_KEYS } from '../guest-limits.ts';
import type { PortRange, Rule, RuleLimits } from '../model.ts';
import { formatPortRange, joinRanges, PROTOCOLS } from '../port-range.ts';
import { formatSubject } from '../subject.ts';
import type { Direction } from './difference.ts';
import type { Finding } from './rule-findings.ts';
import type { Statement, SubjectChange } from './sides.ts';

export function wordFinding({ cause, direction, aspect, point }: Finding): string {
  const isWider = direction === 'widens';
  if (cause === 'mode')
    return isWider ? 'only reports, and refuses nothing' : 'refuses what was only reported';
  if (cause === 'ceiling') return `stands under ceilings that allow ${isWider ? 'more' : 'less'}`;
  if (aspect === 'limit') {
    const { field } = point.limit ?? { field: 'bytesOut' as const };
    return wordLimit(cause, field, isWider);
  }
  if (cause.verb === 'deny') return wordDenial(cause, isWider);
  const [mine, other] = isWider ? [cause.added, cause.before] : [cause.removed, cause.after];
  // In report mode a rule that comes can refuse, by the addresses that it lists, what passed without any rule.
  if (mine.length === 0)
    return `${isWider ? 'no longer holds' : 'holds'} ${cause.text} to what a rule says of it`;
  const [gained, kept] = [rulesOf(mine), rulesOf(other)];
  if (isWider) return wordGrant(aspect, cause, gained, kept);
  // Other rules may still allow a part of what a wildcard or a range covers.
  const isPart = other.length === 0 && (aspect === 'wildcard' || aspect === 'address');
  if (isPart) return `no longer allows what only ${cause.text} covered${details(gained)}`;
  return `no longer ${wordGrant(aspect, cause, gained, kept)}`;
}

/** A change of what rules say without any change of what is allowed. */
export function wordNeutral({ verb, text, added, removed }: SubjectChange): string {
  const what = `what it says of ${text} (${verb})`;
  if (removed.length === 0) return `adds ${what}, and other rules decided it so already`;
  if (added.length === 0) return `drops ${what}, and other rules decide it so still`;
  return `changes ${what}, to the same effect`;
}

function wordDenial({ text, added }: SubjectChange, isWider: boolean): string {
  if (!isWider) return `denies ${text}`;
  const reports = added.some(({ rule }) => rule.report === true);
  return reports ? `only reports what it denies of ${text}` : `no longer denies ${text}`;
}

function wordLimit(
  { text, before, after }: SubjectChange,
  field: keyof RuleLimits,
  isWider: boolean,
): string {
  const key = LIMIT_KEYS.find((one) => one.field === field)?.key ?? field;
  const [was, is] = [leastOf(before, field), leastOf(after, field)];
  const verb = isWider ? 'raises' : 'lowers';
  return `${verb} the limit on ${key} of ${text} from ${was ?? 'none'} to ${is ?? 'none'}`;
}

function leastOf(statements: readonly Statement[], field: keyof RuleLimits): number | null {
  const stated = statements.flatMap(({ rule }) => rule.limits?.[field] ?? []);
  return stated.length === 0 ? null : Math.min(...stated);
}

function wordGrant(
  aspect: Finding['aspect'],
  { text, subject }: SubjectChange,
  gained: readonly Rule[],
  kept: readonly Rule[],
): string {
  switch (aspect) {
    case 'port':
    case 'scheme':
      return `allows ${portsBeyond(gained, kept, aspect)} for ${text}`;
    case 'method':
      return `allows ${listed('method', gained, kept, ({ methods }) => methods)} for ${text}`;
    case 'path':
      return `allows ${listed('path', gained, kept, ({ paths }) => paths?.map((path) => path.text))} for ${text}`;
    case 'until':
      return `allows ${text} ${lastEnd(gained)}`;
    case 'address':
      if (kept.length === 0 || subject.kind === 'range')
        return `allows the addresses ${text}${details(gained)}`;
      return `opens ${addressesBeyond(gained, kept)} for ${text}`;
    case 'metadata':
      return `allows the cloud metadata address ${text}${details(gained)}`;
    default:
      if (subject.kind === 'host-loopback')
        return `allows services on the loopback of this computer (${text}: ${portsBeyond(gained, [])})`;
      return `allows ${text}${details(gained)}`;
  }
}

/** `(http 80, https 443)`, and what else the rules hold it to. */
function details(rules: readonly Rule[]): string {
  const methods = rules.flatMap((rule) => rule.methods ?? []);
  const paths = rules.flatMap((rule) => rule.paths ?? []).map(({ text }) => text);
  const addresses = rules.flatMap((rule) => rule.addresses ?? []);
  const ends = rules.every(({ untilMs }) => untilMs !== undefined) ? ` ${lastEnd(rules)}` : '';
  const parts = [portsBeyond(rules, []), some(methods), some(paths)].filter((part) => part !== '');
  const opened = addresses.length === 0 ? '' : `, and opens the addresses ${some(addresses)} for it`;
  return ` (${parts.join('; ')})${ends}${opened}`;
}

/** Lists are for reading; a machine has the rules. */
const MOST_LISTED = 8;

function some(values: readonly string[]): string {
  const distinct = [...new Set(values)];
  const rest = distinct.length - MOST_LISTED;
  return [...distinct.slice(0, MOST_LISTED), ...(rest > 0 ? [`${rest} more`] : [])].join(', ');
}

/** What is gained; of a `scheme`, on ports that were open for another one, and of a `port` on others. */
function portsBeyond(
  gained: readonly Rule[],
  kept: readonly Rule[],
  aspect: 'port' | 'scheme' | null = null,
): string {
  const isWithin = (ranges: readonly PortRange[], { from, to }: PortRange): boolean =>
    ranges.some((held) => held.from <= from && to <= held.to);
  const all = kept.flatMap(({ ports }) => PROTOCOLS.flatMap((protocol) => ports[protocol]));
  const beyond = PROTOCOLS.flatMap((protocol) => {
    const held = kept.flatMap(({ ports }) => ports[protocol]);
    return joinRanges(gained.flatMap(({ ports }) => ports[protocol]))
      .filter((range) => !isWithin(held, range))
      .map((range) => ({ text: `${protocol} ${formatPortRange(range)}`, isOpen: isWithin(all, range) }));
  });
  const own = beyond.filter(({ isOpen }) => aspect === null || isOpen === (aspect === 'scheme'));
  return some((own.length > 0 ? own : beyond).map(({ text }) => text));
}

function listed(
  what: string,
  gained: readonly Rule[],
  kept: readonly Rule[],
  valuesOf: (rule: Rule) => readonly string[] | undefined,
): string {
  if (gained.some((rule) => valuesOf(rule) === undefined)) return `every ${what}`;
  const held = new Set(kept.flatMap((rule) => valuesOf(rule) ?? []));
  const values = gained.flatMap((rule) => valuesOf(rule) ?? []).filter((value) => !held.has(value));
  return `the ${what}${new Set(values).size === 1 ? '' : 's'} ${some(values)}`;
}

function addressesBeyond(gained: readonly Rule[], kept: readonly Rule[]): string {
  if (gained.some(({ addresses }) => addresses === null)) return 'all public addresses';
  const held = new Set(kept.flatMap(({ addresses }) => addresses ?? []));
  return `the addresses ${some(gained.flatMap(({ addresses }) => addresses ?? []).filter((one) => !held.has(one)))}`;
}

function lastEnd(rules: readonly Rule[]): string {
  if (rules.some(({ untilMs }) => untilMs === undefined)) return 'without an end';
  return `until ${formatTime(Math.max(...rules.flatMap(({ untilMs }) => untilMs ?? [])))}`;
}

/** Whole seconds, UTC. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

function rulesOf(statements: readonly Statement[]): readonly Rule[] {
  return statements.map(({ rule }) => rule);
}

export function wordSharing(
  text: string,
  others: readonly string[],
  limit: string,
  direction: Direction,
): string {
  const together = `${text} and ${some(others)} to one limit on ${limit} together`;
  return direction === 'widens' ? `no longer holds ${together}` : `holds ${together}`;
}

export function textsOfRule({ subjects }: Rule): readonly string[] {
  return subjects.map(formatSubject);
}
