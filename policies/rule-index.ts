/**
 * The rules of a policy arranged so that finding those that cover a host takes no longer for a hundred thousand
 * rules than for ten: exact names and suffixes by map, ranges by prefix length. What follows from the rules
 * found is for `evaluate.ts`.
 */
import { type AddressBits, addressBits, maskBits, rangeBits } from './address.ts';
import type { Host, Hostname, HostPattern, IpAddress, Rule, Subject } from './model.ts';
import { literalTail, patternShape } from './pattern.ts';
import { HOST_LOOPBACK_NAME } from './subject.ts';

export interface RuleIndex {
  /** What the index was built from; it says nothing about any other list of rules. */
  readonly rules: readonly Rule[];
  readonly allow: VerbIndex;
  readonly deny: VerbIndex;
  readonly mute: VerbIndex;
}

export interface VerbIndex {
  readonly exact: ReadonlyMap<string, readonly Rule[]>;
  /** `*.suffix` by suffix. */
  readonly child: ReadonlyMap<string, readonly Rule[]>;
  /** `**.suffix` by suffix. */
  readonly deep: ReadonlyMap<string, readonly Rule[]>;
  /** All other patterns, by the literal labels at their end. */
  readonly globs: ReadonlyMap<string, readonly GlobRule[]>;
  readonly ranges: readonly RangeTable[];
  readonly loopback: readonly Rule[];
}

interface GlobRule {
  readonly pattern: HostPattern;
  readonly rule: Rule;
}

/** The ranges of one family and prefix length, by their first bits. */
interface RangeTable {
  readonly family: 4 | 6;
  readonly length: number;
  readonly rules: ReadonlyMap<bigint, readonly Rule[]>;
}

export function buildRuleIndex(rules: readonly Rule[]): RuleIndex {
  const of = (verb: Rule['verb']): VerbIndex => buildVerbIndex(rules.filter((rule) => rule.verb === verb));
  return { rules, allow: of('allow'), deny: of('deny'), mute: of('mute') };
}

/** The rules whose subject covers a host, each once. For a literal address: by the address as it is written. */
export function rulesForHost(index: VerbIndex, host: Host): readonly Rule[] {
  if (host.kind === 'address') return rulesForAddress(index, host.address);
  const found = rulesForName(index, host.name);
  return host.name === HOST_LOOPBACK_NAME ? distinct([...index.loopback, ...found]) : found;
}

export function rulesForAddress(index: VerbIndex, address: IpAddress): readonly Rule[] {
  if (index.ranges.length === 0) return [];
  const bits: AddressBits = addressBits(address);
  const found: Rule[] = [];
  for (const table of index.ranges) {
    if (table.family === bits.family) found.push(...(table.rules.get(maskBits(bits, table.length)) ?? []));
  }
  return distinct(found);
}

/** Patterns that would have matched with `**` in place of their `*`, for "did you mean". */
export function nearPattern(index: VerbIndex, name: Hostname): string | null {
  for (const suffix of suffixes(name)) {
    if (index.child.has(suffix)) return `**.${suffix}`;
  }
  return null;
}

function rulesForName(index: VerbIndex, name: Hostname): readonly Rule[] {
  const found: Rule[] = [...(index.exact.get(name) ?? [])];
  const dot = name.indexOf('.');
  if (dot !== -1) found.push(...(index.child.get(name.slice(dot + 1)) ?? []));
  // A name has at most 127 labels, so this loop is bounded by the name and not by the rules.
  for (const suffix of suffixes(name)) {
    found.push(...(index.deep.get(suffix) ?? []));
    for (const { pattern, rule } of index.globs.get(suffix) ?? [])
      if (pattern.matches(name)) found.push(rule);
  }
  return distinct(found);
}

/** The name itself, and what follows each of its dots. */
function* suffixes(name: string): Generator<string> {
  yield name;
  for (let at = name.indexOf('.'); at !== -1; at = name.indexOf('.', at + 1)) yield name.slice(at + 1);
}

function distinct(rules: readonly Rule[]): readonly Rule[] {
  return rules.length < 2 ? rules : [...new Set(rules)];
}

function buildVerbIndex(rules: readonly Rule[]): VerbIndex {
  const exact = new Map<string, Rule[]>();
  const child = new Map<string, Rule[]>();
  const deep = new Map<string, Rule[]>();
  const globs = new Map<string, GlobRule[]>();
  const ranges = new Map<string, { family: 4 | 6; length: number; rules: Map<bigint, Rule[]> }>();
  const loopback: Rule[] = [];
  const addPattern = (pattern: HostPattern, rule: Rule): void => {
    const shape = patternShape(pattern);
    if (shape === 'exact') append(exact, pattern.text, rule);
    else if (shape === 'child') append(child, literalTail(pattern), rule);
    else if (shape === 'deep') append(deep, literalTail(pattern), rule);
    else append(globs, literalTail(pattern), { pattern, rule });
  };
  const addSubject = (subject: Subject, rule: Rule): void => {
    if (subject.kind === 'names') addPattern(subject.pattern, rule);
    else if (subject.kind === 'host-loopback') loopback.push(rule);
    else {
      const { family, length, bits } = rangeBits(subject.range);
      const key = `${family}/${length}`;
      const table = ranges.get(key) ?? { family, length, rules: new Map() };
      ranges.set(key, table);
      append(table.rules, bits, rule);
    }
  };
  for (const rule of rules) for (const subject of rule.subjects) addSubject(subject, rule);
  return { exact, child, deep, globs, ranges: [...ranges.values()], loopback };
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
