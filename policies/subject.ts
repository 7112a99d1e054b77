/** What a rule is about, read from text: a range of addresses, the host's own loopback, or a host pattern. */
import { parseRange, rangeCovers, SYNTHETIC_RANGE } from './address.ts';
import type { Hostname, IpRange, Subject } from './model.ts';
import { parsePattern, type Reading } from './pattern.ts';

/** The name under which a guest reaches services on the host's own loopback, port by port. */
export const HOST_LOOPBACK_NAME = 'host.sand' as Hostname;

/** Names below `sand` are the gateway's own and are never looked up anywhere. */
export function isReservedName(name: string): boolean {
  return name === 'sand' || name.endsWith('.sand');
}

export function parseSubject(text: string): Reading<Subject> {
  if (readsAsAddress(text)) {
    const range = parseRangeText(text);
    return range.ok ? { ok: true, value: { kind: 'range', range: range.value } } : range;
  }
  const pattern = parsePattern(text);
  if (!pattern.ok) return pattern;
  if (pattern.value.text === HOST_LOOPBACK_NAME) return { ok: true, value: { kind: 'host-loopback' } };
  if (isReservedName(pattern.value.text)) {
    return {
      ok: false,
      message: `"${text}" is under sand, where only ${HOST_LOOPBACK_NAME} exists`,
      hint: `Write ${HOST_LOOPBACK_NAME}, or a name outside .sand.`,
    };
  }
  return { ok: true, value: { kind: 'names', pattern: pattern.value } };
}

/** A range or a literal that a rule may list; sand's own synthetic addresses are refused. */
export function parseRangeText(text: string): Reading<IpRange> {
  const range = parseRange(text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text);
  if (!range.ok) {
    return {
      ok: false,
      message: `"${text}" is no range of addresses: ${range.reason}`,
      hint: 'Write a literal such as 198.51.100.7 or a range such as 198.51.100.0/24.',
    };
  }
  if (rangeCovers(SYNTHETIC_RANGE, range.value)) {
    return {
      ok: false,
      message: `"${text}" is inside ${SYNTHETIC_RANGE}, whose addresses stand for names inside a guest`,
      hint: 'Write the name that is meant.',
    };
  }
  return range;
}

/** Canonical text of a subject: what `parseSubject` reads back. */
export function formatSubject(subject: Subject): string {
  if (subject.kind === 'names') return subject.pattern.text;
  return subject.kind === 'range' ? subject.range : HOST_LOOPBACK_NAME;
}

function readsAsAddress(text: string): boolean {
  const colons = text.split(':').length - 1;
  return /^[0-9.]*\d[0-9.]*(\/|$)/.test(text) || (colons > 1 && !text.includes('://'));
}
