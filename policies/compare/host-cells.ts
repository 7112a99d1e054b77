/**
 * The names that stand for all others under two policies, and what each side says of a host: its profile. Hosts of
 * one profile are of one mind about every request.
 */
import { embeddedAddresses, rangeContains } from '../address.ts';
import type { Host, Hostname, IpAddress, Rule, Subject } from '../model.ts';
import { rulesForAddress } from '../rule-index.ts';
import { indexOf } from '../rule-judgement.ts';
import { formatSubject, isReservedName } from '../subject.ts';
import { NAMES, nameOfSequence, sequenceOfName } from './languages.ts';
import { sequenceCells } from './sequence-cells.ts';
import type { Layer, Side, Sides, Statement, Statements } from './sides.ts';

export interface HostCell {
  readonly host: Host;
  /** Texts of the subjects that cover it. */
  readonly subjects: readonly string[];
}

/** What no pattern covers reads better than the shortest name. */
const ELSEWHERE = 'elsewhere.example' as Hostname;

/** Names under which a changed subject stands; with `all` every name. Raises `ComparisonBound`. */
export function nameCells({ subjects, changes }: Sides, all: boolean): readonly HostCell[] {
  const named = [...subjects].flatMap(([text, subject]) => {
    const labels = labelsOf(subject);
    return labels === null ? [] : [{ text, labels }];
  });
  const changed = new Set(changes.map(({ text }) => text));
  const ofInterest = named.map(({ text }) => changed.has(text));
  if (!all && !ofInterest.includes(true)) return [];
  const cells = sequenceCells(
    named.map(sequenceOfName),
    all ? null : (pattern) => ofInterest[pattern] === true,
    NAMES,
  );
  const found = cells.map(({ elements, matched }) => {
    const texts = matched.map((at) => named[at]?.text ?? '');
    return { host: { kind: 'name', name: nameOfSequence(elements) } as const, subjects: texts };
  });
  const isFree = ![...subjects.values()].some(
    (one) => one.kind === 'names' && one.pattern.matches(ELSEWHERE),
  );
  const readable = found.map((cell) =>
    cell.subjects.length === 0 && isFree
      ? { ...cell, host: { kind: 'name', name: ELSEWHERE } as const }
      : cell,
  );
  // A name that one change alone is about shows best what that change does.
  const count = (cell: HostCell): number => cell.subjects.filter((text) => changed.has(text)).length;
  return readable.toSorted((a, b) => count(a) - count(b));
}

function labelsOf(subject: Subject): readonly string[] | null {
  if (subject.kind === 'names') return subject.pattern.labels;
  return subject.kind === 'host-loopback' ? formatSubject(subject).split('.') : null;
}

/** Of an address: the subjects that list it, and those that deny it in whatever form. */
export function addressCell({ before, after }: Sides, address: IpAddress): HostCell {
  const forms = [address, ...embeddedAddresses(address)];
  const layers = [before, after].flatMap(({ inForce }) => [inForce.policy, ...inForce.ceilings]);
  const texts = layers.flatMap((policy) => {
    const { allow, deny } = indexOf(policy);
    const rules = [
      ...rulesForAddress(allow, address),
      ...forms.flatMap((form) => rulesForAddress(deny, form)),
    ];
    return rules.flatMap((rule) => textsOf(rule, rule.verb === 'deny' ? forms : [address]));
  });
  return { host: { kind: 'address', address }, subjects: [...new Set(texts)] };
}

function textsOf({ subjects }: Rule, forms: readonly IpAddress[]): readonly string[] {
  return subjects
    .filter((one) => one.kind === 'range' && forms.some((form) => rangeContains(one.range, form)))
    .map(formatSubject);
}

/** Equal texts: equal verdicts on every request, but for which rule is named. */
export function profileOf({ inForce, policy, ceilings }: Side, { host, subjects }: HostCell): string {
  const special = host.kind === 'name' && isReservedName(host.name) ? host.name : '';
  const layers = [policy, ...ceilings].map((layer) => layerProfile(layer, subjects));
  return [inForce.policy.mode, special, ...layers].join('|');
}

function layerProfile(layer: Layer, subjects: readonly string[]): string {
  const marks = (['deny', 'allow'] as const).map((verb) => {
    const keys = new Set(statementsOf(layer, subjects, verb).map(({ key }) => key));
    return [...keys].sort((a, b) => a - b).join(',');
  });
  return marks.join(' ');
}

/** All allow rules of either side that cover a host; of those that say the same, one. */
export function rulesOver({ before, after }: Sides, { subjects }: HostCell): readonly Rule[] {
  const layers = [before, after].flatMap(({ policy, ceilings }) => [policy, ...ceilings]);
  const byKey = new Map<number, Rule>();
  for (const layer of layers) {
    for (const { rule, key } of statementsOf(layer, subjects, 'allow'))
      if (!byKey.has(key)) byKey.set(key, rule);
  }
  return [...byKey.values()];
}

function statementsOf(
  layer: Layer,
  subjects: readonly string[],
  verb: keyof Statements,
): readonly Statement[] {
  return subjects.flatMap((text) => layer.get(text)?.[verb] ?? []);
}
