/**
 * The two policies taken apart: what each says of each subject, whatever rule says it, and of which subjects they
 * say different things. A rule that is split, joined, moved or explained otherwise is the same here.
 */
import { formatRule } from '../format.ts';
import type { CompiledPolicy, PolicyInForce, Rule, Subject } from '../model.ts';
import { formatPortRange, joinRanges, PROTOCOLS } from '../port-range.ts';
import { buildRuleIndex } from '../rule-index.ts';
import { formatSubject } from '../subject.ts';

/** What one rule says of one subject. */
export interface Statement {
  readonly rule: Rule;
  /** Equal for statements that say the same of their subjects. */
  readonly key: number;
}

export type Statements = Readonly<Record<'allow' | 'deny', readonly Statement[]>>;

/** By the text of the subject. */
export type Layer = ReadonlyMap<string, Statements>;

export interface Side {
  readonly inForce: PolicyInForce;
  readonly policy: Layer;
  readonly ceilings: readonly Layer[];
  readonly keys: ReadonlyMap<Rule, number>;
}

/** A subject of which one verb says something else before than after. */
export interface SubjectChange {
  readonly verb: 'allow' | 'deny';
  readonly subject: Subject;
  readonly text: string;
  readonly before: readonly Statement[];
  readonly after: readonly Statement[];
  readonly removed: readonly Statement[];
  readonly added: readonly Statement[];
}

export interface Sides {
  readonly before: Side;
  readonly after: Side;
  readonly nowMs: number;
  /** Of every layer. */
  readonly subjects: ReadonlyMap<string, Subject>;
  /** Of the two policies; ceilings are compared as a whole. */
  readonly changes: readonly SubjectChange[];
  readonly modesDiffer: boolean;
  readonly ceilingsDiffer: boolean;
}

export function takeApart(before: PolicyInForce, after: PolicyInForce, nowMs: number): Sides {
  const known = new Map<string, number>();
  const subjects = new Map<string, Subject>();
  const sideOf = (inForce: PolicyInForce): Side => {
    const keys = new Map<Rule, number>();
    const layerOf = (policy: CompiledPolicy): Layer => takeLayer(policy, nowMs, { known, subjects, keys });
    return {
      inForce: { policy: indexed(inForce.policy), ceilings: inForce.ceilings.map(indexed) },
      policy: layerOf(inForce.policy),
      ceilings: inForce.ceilings.map(layerOf),
      keys,
    };
  };
  const sides = { before: sideOf(before), after: sideOf(after), nowMs, subjects };
  return {
    ...sides,
    changes: changedSubjects(sides.before.policy, sides.after.policy, subjects),
    modesDiffer: before.policy.mode !== after.policy.mode,
    ceilingsDiffer: ceilingsText(before, nowMs) !== ceilingsText(after, nowMs),
  };
}

/** A policy that was put together by hand is indexed once, not for each question. */
function indexed(policy: CompiledPolicy): CompiledPolicy {
  return policy.index?.rules === policy.rules ? policy : { ...policy, index: buildRuleIndex(policy.rules) };
}

/** Whether a rule says anything from then on. */
function speaks(rule: Rule, nowMs: number): boolean {
  return rule.verb !== 'mute' && (rule.untilMs === undefined || nowMs < rule.untilMs);
}

interface Known {
  readonly known: Map<string, number>;
  readonly subjects: Map<string, Subject>;
  readonly keys: Map<Rule, number>;
}

function takeLayer({ rules }: CompiledPolicy, nowMs: number, { known, subjects, keys }: Known): Layer {
  const layer = new Map<string, { readonly allow: Statement[]; readonly deny: Statement[] }>();
  for (const rule of rules) {
    if (rule.verb === 'mute' || !speaks(rule, nowMs)) continue;
    const text = meaningOf(rule);
    const key = known.get(text) ?? known.size;
    known.set(text, key);
    keys.set(rule, key);
    for (const subject of rule.subjects) {
      const name = formatSubject(subject);
      if (!subjects.has(name)) subjects.set(name, subject);
      const statements = layer.get(name) ?? { allow: [], deny: [] };
      layer.set(name, statements);
      statements[rule.verb].push({ rule, key });
    }
  }
  return layer;
}

/** Everything that a rule says of a subject. A limit is shared by its subjects, so they are part of it. */
function meaningOf(rule: Rule): string {
  if (rule.verb === 'deny') return rule.report === true ? 'report' : 'deny';
  const { methods, paths, addresses, metadata, untilMs, limits } = rule;
  return JSON.stringify([
    PROTOCOLS.map((protocol) => joinRanges(rule.ports[protocol]).map(formatPortRange)),
    methods?.toSorted() ?? null,
    paths?.map(({ text }) => text).sort() ?? null,
    addresses?.toSorted() ?? null,
    metadata,
    untilMs ?? null,
    limits === undefined ? null : [limits, rule.subjects.map(formatSubject).sort()],
  ]);
}

function changedSubjects(
  before: Layer,
  after: Layer,
  subjects: ReadonlyMap<string, Subject>,
): readonly SubjectChange[] {
  return [...subjects].flatMap(([text, subject]) =>
    (['allow', 'deny'] as const).flatMap((verb): readonly SubjectChange[] => {
      const was = before.get(text)?.[verb] ?? [];
      const is = after.get(text)?.[verb] ?? [];
      const removed = was.filter(({ key }) => !is.some((one) => one.key === key));
      const added = is.filter(({ key }) => !was.some((one) => one.key === key));
      if (removed.length === 0 && added.length === 0) return [];
      return [{ verb, subject, text, before: was, after: is, removed, added }];
    }),
  );
}

/** Two lists of ceilings that read the same decide the same, in whatever order they stand. */
function ceilingsText({ ceilings }: PolicyInForce, nowMs: number): string {
  const texts = ceilings.map(({ rules }) =>
    rules
      .filter((rule) => speaks(rule, nowMs))
      .map((rule) => formatRule({ ...rule, because: null }))
      .sort(),
  );
  return JSON.stringify(texts.map((rules) => rules.join('\n')).sort());
}
