/**
 * One entry of `rules` → draft rules, each with subjects of one kind. Holds what a key may stand beside; a key
 * that cannot be enforced where it stands is an error.
 */
import { isMetadataAddress, rangeCovers, soleAddress } from './address.ts';
import type { MapEntry, PolicyNode } from './document-tree.ts';
import type { IssueList, Position } from './issue.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { IpRange, PortRange, Protocol, Rule, Subject } from './model.ts';
import {
  describe,
  type KeyTable,
  readList,
  readMap,
  readText,
  shorten,
  wholeNumber,
} from './node-reading.ts';
import { DEFAULT_PORTS, joinRanges, NO_PORTS, PROTOCOLS, parsePortRange } from './port-range.ts';
import { wildcardScope } from './public-suffix.ts';
import { formatSubject, parseRangeText, parseSubject } from './subject.ts';

/** A rule before it has an id and a file. */
export type DraftRule = Omit<Rule, 'id' | 'origin'> & { readonly at: Position };

type Verb = Rule['verb'];
type Entries = ReadonlyMap<string, MapEntry>;

interface Placed<T> {
  readonly value: T;
  readonly at: Position;
}

const VERBS: readonly Verb[] = ['allow', 'deny', 'mute'];

const RULE_KEYS: KeyTable = {
  place: 'a rule',
  known: ['allow', 'deny', 'mute', 'http', 'https', 'tcp', 'addresses', 'metadata', 'until', 'because'],
  later: ['methods', 'paths', 'limits', 'report', 'phases'],
};
const ONLY_WITH_ALLOW = ['http', 'https', 'tcp', 'addresses', 'metadata', 'until'];
/** Loopback of the host, where a range opens what `host.sand` opens port by port. */
const LOOPBACK_RANGES: readonly IpRange[] = ['127.0.0.0/8' as IpRange, '::1/128' as IpRange];

/** `shipped`: the text is sand's own data, whose wildcards a test holds to the public suffix list. */
export function decodeRule(node: PolicyNode, issues: IssueList, shipped: boolean): readonly DraftRule[] {
  const entries = readMap(node, RULE_KEYS, issues);
  if (entries === null) return [];
  const verb = readVerb(node, entries, issues);
  if (verb === null) return [];
  const subjects = readSubjects(verb.entry, issues);
  if (!shipped) for (const subject of subjects) judgeWildcard(subject, issues);
  const because = readBecause(entries.get('because'), issues);
  const common = { because, at: node.at };
  if (verb.verb !== 'allow') {
    refuseAllowKeys(verb.verb, entries, issues);
    const plain = { verb: verb.verb, ports: NO_PORTS, addresses: null, metadata: false, ...common };
    return byKind(subjects).map((some) => ({ ...plain, subjects: some }));
  }
  const ports = readPorts(entries, issues);
  const addresses = readAddresses(entries.get('addresses'), issues);
  const metadata = readMetadata(entries.get('metadata'), issues);
  const untilMs = readUntil(entries.get('until'), issues);
  holdTogether(entries, subjects, ports, metadata, issues);
  const grant = { verb: verb.verb, ports: ports ?? DEFAULT_PORTS, addresses, metadata, ...common };
  const full = untilMs === null ? grant : { ...grant, untilMs };
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
export function judgeWildcard({ value, at }: Placed<Subject>, issues: IssueList): void {
  if (value.kind !== 'names') return;
  const scope = wildcardScope(value.pattern);
  if (scope.kind === 'icann') {
    issues.error(
      at,
      `"${value.pattern.text}" covers names of every owner, since anybody can register under ${scope.suffix}`,
      `Name the domain, for example "**.example.${scope.suffix}".`,
    );
  } else if (scope.kind === 'private') {
    issues.warning(
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

function readPorts(entries: Entries, issues: IssueList): Record<Protocol, readonly PortRange[]> | null {
  const ports: Record<Protocol, readonly PortRange[]> = { ...NO_PORTS };
  let named = false;
  for (const protocol of PROTOCOLS) {
    const entry = entries.get(protocol);
    if (entry === undefined) continue;
    named = true;
    ports[protocol] = joinRanges(
      (readList(entry, issues) ?? []).flatMap((node) => readPortRange(protocol, node, issues) ?? []),
    );
  }
  return named ? ports : null;
}

function readPortRange(protocol: Protocol, node: PolicyNode, issues: IssueList): PortRange | null {
  const number = wholeNumber(node);
  const text = node.kind === 'scalar' && typeof node.value === 'string' ? node.value : null;
  const range = parsePortRange(number === null ? (text ?? '') : String(number));
  if (range === null) {
    issues.error(
      node.at,
      `"${protocol}" takes ports from 1 to 65535, and here stands ${describe(node)}`,
      `Write ${protocol}: [8443], or a range in quotes: ["6000-6010"].`,
    );
  }
  return range;
}

function readAddresses(entry: MapEntry | undefined, issues: IssueList): readonly IpRange[] | null {
  if (entry === undefined) return null;
  const ranges = new Set<IpRange>();
  for (const node of readList(entry, issues) ?? []) {
    const text = readText('addresses', node, issues);
    if (text === null) continue;
    const range = parseRangeText(text);
    if (!range.ok) {
      issues.error(node.at, range.message, range.hint);
      continue;
    }
    const sole = soleAddress(range.value);
    if (sole !== null && isMetadataAddress(sole)) {
      issues.error(
        node.at,
        `${sole} is a cloud metadata address, and no name may lead to it`,
        `Write an address rule: "- allow: ${sole}" with "metadata: true".`,
      );
    }
    ranges.add(range.value);
  }
  return [...ranges].sort();
}

function readMetadata(entry: MapEntry | undefined, issues: IssueList): boolean {
  if (entry === undefined) return false;
  const { value } = entry;
  if (value.kind === 'scalar' && value.value === true) return true;
  issues.error(value.at, '"metadata" can only be true', 'Write metadata: true, or leave the key out.');
  return false;
}

const INSTANT = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(Z|[+-]\d{2}:\d{2})$/;

function readUntil(entry: MapEntry | undefined, issues: IssueList): number | null {
  if (entry === undefined) return null;
  const text = readText('until', entry.value, issues);
  if (text === null) return null;
  const ms = parseInstant(text);
  if (ms === null) {
    issues.error(
      entry.value.at,
      `"${shorten(text)}" is no point in time`,
      'Write it as 2027-01-31T18:00:00Z, with a time zone.',
    );
  }
  return ms;
}

/** RFC 3339 with whole seconds; a day that the month does not have is refused. */
function parseInstant(text: string): number | null {
  const match = INSTANT.exec(text);
  const ms = Date.parse(text);
  if (match === null || Number.isNaN(ms)) return null;
  const [, year, month, day] = match.map(Number);
  const calendar = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day ?? 0));
  return calendar.getUTCDate() === day && calendar.getUTCMonth() + 1 === month ? ms : null;
}

function readBecause(entry: MapEntry | undefined, issues: IssueList): string | null {
  if (entry === undefined) return null;
  const text = readText('because', entry.value, issues);
  if (text === null) return null;
  const most = POLICY_LIMITS.becauseCharacters;
  if (
    text === '' ||
    text.length > most ||
    /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(text)
  ) {
    issues.error(
      entry.value.at,
      `"because" is one line of 1 to ${most} visible characters`,
      'Write a short reason on one line.',
    );
    return null;
  }
  return text;
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
      at,
      `${range} opens the loopback of the host, since a guest's own loopback never comes to sand`,
      'Write host.sand with the ports that are meant.',
    );
  }
}
