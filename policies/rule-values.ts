/**
 * The values of a rule's keys, each read by itself: ports, addresses, an end in time, a reason. What the keys
 * demand of each other is for `decode-rule.ts`.
 */
import { isMetadataAddress, soleAddress } from './address.ts';
import type { MapEntry, PolicyNode } from './document-tree.ts';
import type { IssueList } from './issue.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { IpRange, PortRange, Protocol } from './model.ts';
import { describe, readList, readText, shorten, wholeNumber } from './node-reading.ts';
import { joinRanges, NO_PORTS, PROTOCOLS, parsePortRange } from './port-range.ts';
import { parseRangeText } from './subject.ts';

export function readPorts(
  entries: ReadonlyMap<string, MapEntry>,
  issues: IssueList,
): Record<Protocol, readonly PortRange[]> | null {
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

export function readAddresses(entry: MapEntry | undefined, issues: IssueList): readonly IpRange[] | null {
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

export function readMetadata(entry: MapEntry | undefined, issues: IssueList): boolean {
  if (entry === undefined) return false;
  const { value } = entry;
  if (value.kind === 'scalar' && value.value === true) return true;
  issues.error(value.at, '"metadata" can only be true', 'Write metadata: true, or leave the key out.');
  return false;
}

const INSTANT = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(Z|[+-]\d{2}:\d{2})$/;

export function readUntil(entry: MapEntry | undefined, issues: IssueList): number | null {
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
export function parseInstant(text: string): number | null {
  const match = INSTANT.exec(text);
  const ms = Date.parse(text);
  if (match === null || Number.isNaN(ms)) return null;
  const [, year, month, day] = match.map(Number);
  const calendar = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day ?? 0));
  return calendar.getUTCDate() === day && calendar.getUTCMonth() + 1 === month ? ms : null;
}

export function readBecause(entry: MapEntry | undefined, issues: IssueList): string | null {
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
