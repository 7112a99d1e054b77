/**
 * Which rules say at least what another says: found through the index, so that the rules of a large policy are not all
 * compared with each other. What follows from it is for `reach.ts`.
 */
import { rangeBits, rangeCovers } from '../address.ts';
import type { Rule, Subject } from '../model.ts';
import { literalTail, subsumes } from '../pattern.ts';
import { PROTOCOLS } from '../port-range.ts';
import type { VerbIndex } from '../rule-index.ts';

/** Rules one of whose subjects may cover this one: few, and never one too few. */
export function candidates(index: VerbIndex, subject: Subject): readonly Rule[] {
  if (subject.kind === 'host-loopback') return index.loopback;
  if (subject.kind === 'range') {
    const { family, length } = rangeBits(subject.range);
    const wider = index.ranges.filter((table) => table.family === family && table.length <= length);
    return wider.flatMap((table) => [...(table.rules.get(maskedBits(subject.range, table.length)) ?? [])]);
  }
  const tail = literalTail(subject.pattern);
  const found = [...(index.exact.get(subject.pattern.text) ?? [])];
  for (const suffix of suffixesOf(tail)) {
    found.push(...(index.child.get(suffix) ?? []), ...(index.deep.get(suffix) ?? []));
    for (const { rule } of index.globs.get(suffix) ?? []) found.push(rule);
  }
  return [...new Set(found)];
}

function maskedBits(range: Extract<Subject, { readonly kind: 'range' }>['range'], length: number): bigint {
  const { family, bits } = rangeBits(range);
  const shift = BigInt((family === 4 ? 32 : 128) - length);
  return (bits >> shift) << shift;
}

/** A name has at most 127 labels. */
function suffixesOf(name: string): readonly string[] {
  const labels = name.split('.');
  return labels.map((_, at) => labels.slice(at).join('.'));
}

/** Conservative: false where it cannot tell. */
export function coversSubject(outer: Subject, inner: Subject): boolean {
  if (outer.kind === 'names' && inner.kind === 'names') return subsumes(outer.pattern, inner.pattern);
  if (outer.kind === 'range' && inner.kind === 'range') return rangeCovers(outer.range, inner.range);
  return outer.kind === 'host-loopback' && inner.kind === 'host-loopback';
}

/** Whether an allow rule grants, on the names that both cover, all that another grants. Conservative. */
export function grantsAsMuch(outer: Rule, inner: Rule): boolean {
  // What a rule limits, it also counts, whatever others grant.
  if (inner.limits !== undefined) return false;
  if (inner.metadata && !outer.metadata) return false;
  if (outer.untilMs !== undefined && (inner.untilMs === undefined || inner.untilMs > outer.untilMs))
    return false;
  return portsWithin(outer, inner) && requestsWithin(outer, inner) && addressesWithin(outer, inner);
}

function portsWithin(outer: Rule, inner: Rule): boolean {
  return PROTOCOLS.every((protocol) =>
    inner.ports[protocol].every((wanted) =>
      outer.ports[protocol].some(({ from, to }) => from <= wanted.from && wanted.to <= to),
    ),
  );
}

function requestsWithin(outer: Rule, inner: Rule): boolean {
  const methods =
    outer.methods === undefined || (inner.methods?.every((one) => outer.methods?.includes(one)) ?? false);
  const known = outer.paths?.map(({ text }) => text);
  const paths = known === undefined || (inner.paths?.every(({ text }) => known.includes(text)) ?? false);
  return methods && paths;
}

/** Without `addresses` a rule opens public addresses; with them it opens those, private ones too. */
function addressesWithin(outer: Rule, inner: Rule): boolean {
  if (outer.addresses === null || inner.addresses === null) return outer.addresses === inner.addresses;
  const { addresses } = outer;
  return inner.addresses.every((range) => addresses.some((wide) => rangeCovers(wide, range)));
}
