/**
 * One entry of `rules` → draft rules, each with subjects of one kind. Holds what a key may stand beside; a key
 * that cannot be enforced where it stands is an error.
 */
import { isMetadataAddress, rangeCovers, soleAddress } from './address.ts';
import { RULE_LIMIT_TABLE, readLimits } from './decode-limits.ts';
import type { MapEntry, PolicyNode } from './document-tree.ts';
import { holdPlainHttp, readMethods, readPaths } from './http-values.ts';
import type { IssueList, Position } from './issue.ts';
import type { IpRange, PortRange, Protocol, Rule, RuleLimits, Subject } from './model.ts';
import { type KeyTable, readList, readMap, readText } from './node-reading.ts';
import { DEFAULT_PORTS, NO_PORTS, PROTOCOLS } from './port-range.ts';
import { wildcardScope } from './public-suffix.ts';
import { readAddresses, readBecause, readMetadata, readPorts, readUntil } from './rule-values.ts';
import { formatSubject, parseSubject } from './subject.ts';

/** A rule before it has an id and a file. */
export type DraftRule = Omit<Rule, 'id' | 'origin'> & { readonly at: Position };

type Verb = Rule['verb'];
type Entries = ReadonlyMap<string, MapEntry>;

interface Placed<T> {
  readonly value: T;
  readonly at: Position;
}

const VERBS: readonly Verb[] = ['allow', 'deny', 'mute'];

export const ONLY_WITH_ALLOW: readonly string[] = [
  ...PROTOCOLS,
  'methods',
  'paths',
  'addresses',
  'metadata',
  'until',
  'limits',
];
export const RULE_KEYS: KeyTable = {
  place: 'a rule',
  known: [...VERBS, ...ONLY_WITH_ALLOW, 'report', 'because'],
  later: [],
};
/** Loopback of the host, where a range opens what `host.sand` opens port by port. */
const LOOPBACK_RANGES: readonly IpRange[] = ['127.0.0.0/8' as IpRange, '::1/128' as IpRange];

/** `shipped`: the text is sand's own data, whose wildcards a test holds to the public suffix list. */
export function decodeRule(node: PolicyNode, issues: IssueList, shipped: boolean): readonly DraftRule[] {
  const entries = readMap(node, RULE_KEYS, issues);
  if (entries === null) return [];
  const verb = readVerb(node, entries, issues);
  if (verb === null) return [];
  const subjects = readSubjects(verb.entry, issues);
  if (!shipped) for (const subject of subjects) judgeWildcard(subject, issues, verb.verb);
  const because = readBecause(entries.get('because'), issues);
  const common = { because, at: node.at };
  if (verb.verb !== 'allow') {
    refuseAllowKeys(verb.verb, entries, issues);
    const report = readReport(verb.verb, entries.get('report'), issues);
    const denies = { verb: verb.verb, ports: NO_PORTS, addresses: null, metadata: false, ...common };
    const plain = report ? { ...denies, report } : denies;
    return byKind(subjects).map((some) => ({ ...plain, subjects: some }));
  }
  const ports = readPorts(entries, issues);
  const addresses = readAddresses(entries.get('addresses'), issues);
  const metadata = readMetadata(entries.get('metadata'), issues);
  const untilMs = readUntil(entries.get('until'), issues);
  const methods = readMethods(entries.get('methods'), issues);
  const paths = readPaths(entries.get('paths'), issues);
  holdPlainHttp(entries, ports, issues);
  const limits = readRuleLimits(entries.get('limits'), subjects, issues);
  readReport(verb.verb, entries.get('report'), issues);
  holdTogether(entries, subjects, ports, metadata, issues);
  const grant = { verb: verb.verb, ports: ports ?? DEFAULT_PORTS, addresses, metadata, ...common };
  const full = {
    ...grant,
    ...(untilMs === null ? {} : { untilMs }),
    ...(methods === null ? {} : { methods }),
    ...(paths === null ? {} : { paths }),
    ...(limits === null ? {} : { limits }),
  };
  return byKind(subjects).map((some) => ({ ...full, subjects: some }));
}

function readVerb(
  node: PolicyNode,
  entries: Entries,
  issues: IssueList,
): { verb: Verb; entry: MapEntry } | null {
  const found = VERBS.flatMap((verb) => {
    const entry = entries.get(verb);
    return entry === undefined ? [] : [{ verb, entry }];
  });
  const [first, second] = found;
  if (first === undefined) {
    if (!issues.failed)
      issues.error(node.at, 'a rule says what it does', 'Begin it with allow:, deny: or mute:.');
    return null;
  }
  if (second === undefined) return first;
  issues.error(
    second.entry.at,
    `a rule has one verb, and this one has ${first.verb} too`,
    'Write two rules.',
  );
  return null;
}

function readSubjects(entry: MapEntry, issues: IssueList): readonly Placed<Subject>[] {
  const subjects: Placed<Subject>[] = [];
  for (const node of readList(entry, issues) ?? []) {
    const text = readText(entry.key, node, issues);
    if (text === null) continue;
    const subject = parseSubject(text);
    if (subject.ok) subjects.push({ value: subject.value, at: node.at });
    else issues.error(node.at, subject.message, subject.hint);
  }
  return subjects;
}

/** Also for subjects that do not come from a file. */
export function judgeWildcard({ value, at }: Placed<Subject>, issues: IssueList, verb: Verb = 'allow'): void {
  if (value.kind !== 'names') return;
  const scope = wildcardScope(value.pattern);
  if (scope.kind === 'icann') {
    issues.error(
      at,
      `"${value.pattern.text}" covers names of every owner, since anybody can register under ${scope.suffix}`,
      `Name the domain, for example "**.example.${scope.suffix}".`,
    );
  } else if (scope.kind === 'private' && verb === 'allow') {
    issues.warning(
      'private-suffix',
      at,
      `"${value.pattern.text}" covers names of every customer of ${scope.suffix}`,
      'Name the one that is meant.',
    );
  }
}

/** Names, ranges and the host's loopback are granted on different terms, so each kind is a rule of its own. */
function byKind(subjects: readonly Placed<Subject>[]): readonly (readonly Subject[])[] {
  const kinds = ['names', 'range', 'host-loopback'] as const;
  return kinds
    .map((kind) => subjects.filter(({ value }) => value.kind === kind).map(({ value }) => value))
    .filter((some) => some.length > 0)
    .map(withoutDuplicates);
}

function withoutDuplicates(subjects: readonly Subject[]): readonly Subject[] {
  return [...new Map(subjects.map((subject) => [formatSubject(subject), subject])).values()];
}

/** What the guest may use of all that the rule covers; the rule is then one rule, and its subjects of one kind. */
function readRuleLimits(
  entry: MapEntry | undefined,
  subjects: readonly Placed<Subject>[],
  issues: IssueList,
): RuleLimits | null {
  const stated = entry === undefined ? null : readLimits(entry, RULE_LIMIT_TABLE, issues);
  if (entry === undefined || stated === null) return null;
  if (Object.keys(stated).length === 0 && !issues.failed) {
    issues.error(entry.at, '"limits" of a rule is empty', 'Write limits: {bytesOut: 50MiB}.');
  }
  if (new Set(subjects.map(({ value }) => value.kind)).size > 1) {
    issues.error(
      entry.at,
      '"limits" counts for names or for addresses, and this rule has both',
      'Write two rules, each with its limits.',
    );
  }
  const { connections = null, bytesOut = null, bytesIn = null } = stated;
  return { connections, bytesOut, bytesIn };
}

/** True for a deny rule that only reports. */
function readReport(verb: Verb, entry: MapEntry | undefined, issues: IssueList): true | null {
  if (entry === undefined) return null;
  if (verb !== 'deny') {
    issues.error(
      entry.at,
      `"report" stands in a deny rule only, and this is ${verb === 'allow' ? 'an allow' : 'a mute'} rule`,
      'Remove report, or write mode: report for a whole policy that only reports.',
    );
    return null;
  }
  const { value } = entry;
  if (value.kind === 'scalar' && value.value === true) return true;
  issues.error(value.at, '"report" can only be true', 'Write report: true, or leave the key out.');
  return null;
}

function refuseAllowKeys(verb: Verb, entries: Entries, issues: IssueList): void {
  for (const key of ONLY_WITH_ALLOW) {
    const entry = entries.get(key);
    if (entry === undefined) continue;
    issues.error(
      entry.at,
      `"${key}" stands in an allow rule only; ${verb} covers every port and address`,
      `Remove ${key}.`,
    );
  }
}

/** What the keys of an allow rule demand of each other. */
function holdTogether(
  entries: Entries,
  subjects: readonly Placed<Subject>[],
  ports: Record<Protocol, readonly PortRange[]> | null,
  metadata: boolean,
  issues: IssueList,
): void {
  for (const { value, at } of subjects) {
    if (value.kind === 'host-loopback' && ports === null) {
      issues.error(at, 'host.sand is opened port by port', 'Name the ports: tcp: [5432].');
    }
    if (value.kind !== 'names' && entries.has('addresses')) {
      issues.error(
        entries.get('addresses')?.at ?? at,
        `"addresses" says what a name may resolve to, and ${formatSubject(value)} is no name`,
        'Remove addresses, or move the name to a rule of its own.',
      );
    }
    if (value.kind === 'range') holdRange(value.range, at, metadata, issues);
    else if (metadata) {
      issues.error(
        entries.get('metadata')?.at ?? at,
        `"metadata" needs the exact address, and ${formatSubject(value)} is none`,
        'Write the address itself: "- allow: 169.254.169.254".',
      );
    }
  }
}

/** What a range demands; also for ranges that do not come from a file. */
export function holdRange(range: IpRange, at: Position, metadata: boolean, issues: IssueList): void {
  const sole = soleAddress(range);
  const isMetadata = sole !== null && isMetadataAddress(sole);
  if (metadata && !isMetadata) {
    issues.error(
      at,
      `"metadata" has no effect here: ${range} is no single cloud metadata address`,
      'Remove metadata, or name the exact address.',
    );
  }
  if (isMetadata && !metadata) {
    issues.error(
      at,
      `${sole} is a cloud metadata address, which hands out credentials`,
      'Add "metadata: true" if the guest shall have them.',
    );
  }
  if (LOOPBACK_RANGES.some((loopback) => rangeCovers(loopback, range) || rangeCovers(range, loopback))) {
    issues.warning(
      'host-loopback',
      at,
      `${range} opens the loopback of the host, since a guest's own loopback never comes to sand`,
      'Write host.sand with the ports that are meant.',
    );
  }
}
