/**
 * Compiles what the user asked for into one policy: the union of rules, and of mode, limits and requirements
 * the strictest. What is an error in any layer leaves no policy at all.
 */
import { createHash } from 'node:crypto';
import type { DraftRule } from './decode-rule.ts';
import { type FormattedPolicy, formatPolicy, formatRule } from './format.ts';
import { strictestLimits } from './guest-limits.ts';
import { type Layer, type LayerSet, type PhaseNames, strictestMode } from './layer.ts';
import { resolveLayers } from './layers.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { CompiledPolicy, Parsed, PolicyIssue, Rule } from './model.ts';
import type { PolicyReader, PolicyRequest } from './policy-source.ts';
import { countPorts, PROTOCOLS } from './port-range.ts';
import { strictestRequirements } from './requirements.ts';
import { buildRuleIndex } from './rule-index.ts';
import { formatSubject } from './subject.ts';

export type { FileReading, PolicyReader, PolicyRequest } from './policy-source.ts';

export interface CompileOptions {
  /** A ceiling is only asked, nothing is planted for it, so it may name any number of ports. */
  readonly role?: 'policy' | 'ceiling';
  /** False: locks beside the files are not read. */
  readonly locks?: boolean;
  /** Is given what the policy was put together of, for who tells more about it than the policy does. */
  readonly inspect?: (layers: LayerSet) => void;
}

/**
 * Union of the requests. No request at all is a policy that allows nothing. Issues of all layers are reported
 * together, errors first; with a policy come the warnings.
 */
export function compilePolicy(
  requests: readonly PolicyRequest[],
  reader: PolicyReader,
  options: CompileOptions = {},
): Parsed<CompiledPolicy> {
  const set = resolveLayers(requests, reader, options);
  options.inspect?.(set);
  const { layers, phases, resolved, files, issues } = set;
  const placed = nameRules(layers);
  const role = options.role ?? 'policy';
  const named = placed.map(({ rule }) => rule);
  const all = [...issues, ...phaseIssues(phases, role), ...boundIssues(named, role)];
  const errors = all.filter((issue) => issue.severity === 'error');
  const warnings = all.filter((issue) => issue.severity === 'warning');
  // Fail closed: a policy with an error is no policy, whatever else in it could be used.
  if (errors.length > 0) return { ok: false, issues: [...errors, ...warnings] };
  const shared = {
    name: joinNames(resolved.map(({ name }) => name)),
    mode: strictestMode(resolved.map(({ mode }) => mode)) ?? 'enforce',
    limits: strictestLimits(resolved.flatMap(({ limits }) => limits)),
    requires: strictestRequirements(resolved.flatMap(({ requires }) => requires)),
  } as const;
  const finish = (rules: readonly Rule[]): CompiledPolicy => {
    const policy = { ...shared, rules, files };
    return { ...policy, digest: digestOf(policy), index: buildRuleIndex(rules) };
  };
  if (phases === null) return { ok: true, value: finish(named), warnings };
  return { ok: true, value: withPhases(phases, placed, finish), warnings };
}

/** The same policy with more rules, indexed and under a digest of its own. One with phases is not extended. */
export function extendPolicy(
  { index, phases, ...policy }: CompiledPolicy,
  more: readonly Rule[],
): CompiledPolicy {
  if (phases !== undefined) throw new RangeError('choose a phase first');
  const rules = [...policy.rules, ...more];
  const extended = { ...policy, rules };
  return { ...extended, digest: digestOf(extended), index: buildRuleIndex(rules) };
}

/** Of what the policy says, whatever file it came from. */
export function digestOf(policy: FormattedPolicy): string {
  return `sha256:${createHash('sha256').update(formatPolicy(policy)).digest('hex')}`;
}

/** A policy for each phase, and over them one that allows no more than all of them do. */
function withPhases(
  { names }: PhaseNames,
  placed: readonly PlacedRule[],
  finish: (rules: readonly Rule[]) => CompiledPolicy,
): CompiledPolicy {
  const of = (phase: string | null): readonly Rule[] =>
    placed.filter((one) => one.phase === phase).map(({ rule }) => rule);
  const base = of(null);
  const phases = names.map((name) => {
    const own = of(name);
    return { name, own, policy: finish([...base, ...own]) };
  });
  // Fail closed: whoever asks without choosing a phase meets every denial and none of the phases' grants.
  const denials = phases.flatMap(({ own }) => own.filter(({ verb }) => verb === 'deny'));
  const policy = { ...finish([...base, ...denials]), phases };
  return { ...policy, digest: digestOf(policy) };
}

interface PlacedRule {
  readonly rule: Rule;
  readonly phase: string | null;
}

interface NamedDraft {
  readonly layer: Layer;
  readonly draft: DraftRule;
  readonly base: string;
  readonly text: string;
}

/**
 * Ids that stay what they are when other rules come and go: layer, verb and first subject. Where several rules
 * would share one, each carries a mark of its own content. A rule that stands twice in a layer is one rule.
 */
function nameRules(layers: readonly Layer[]): readonly PlacedRule[] {
  const drafts = new Map<string, NamedDraft>();
  for (const layer of layers) {
    for (const draft of layer.rules) {
      const base = `${layer.name}/${draft.verb}:${firstSubject(draft)}`;
      const text = formatRule(draft);
      const key = `${layer.file}\n${layer.name}\n${text}`;
      if (!drafts.has(key)) drafts.set(key, { layer, draft, base, text });
    }
  }
  const named = [...drafts.values()];
  const uses = new Map<string, number>();
  for (const { base } of named) uses.set(base, (uses.get(base) ?? 0) + 1);
  return named.map(({ layer, draft: { at, ...rule }, base, text }) => {
    const mark = createMark(`${layer.file}\n${text}`);
    const id = uses.get(base) === 1 ? base : `${base}~${mark}`;
    const origin = { file: layer.file, line: at.line, column: at.column };
    return { rule: { id, ...rule, origin }, phase: layer.phase ?? null };
  });
}

function firstSubject({ subjects }: DraftRule): string {
  const [first] = subjects;
  return first === undefined ? '' : formatSubject(first);
}

function createMark(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** A ceiling holds whatever phase a guest is in. */
function phaseIssues(phases: PhaseNames | null, role: 'policy' | 'ceiling'): readonly PolicyIssue[] {
  if (phases === null || role === 'policy') return [];
  const message = '"phases" has no place in a ceiling, which holds in every phase';
  return [{ severity: 'error', message, hint: 'Move the rules to "rules".', at: phases.at }];
}

function boundIssues(rules: readonly Rule[], role: 'policy' | 'ceiling'): readonly PolicyIssue[] {
  const issues: PolicyIssue[] = [];
  const excess = rules[POLICY_LIMITS.rules];
  if (excess !== undefined) {
    issues.push({
      severity: 'error',
      message: `the policy has more than ${POLICY_LIMITS.rules} rules with all that it extends`,
      hint: 'Use wildcards.',
      at: excess.origin,
    });
  }
  const reporting = role === 'ceiling' ? rules.find(({ report }) => report === true) : undefined;
  if (reporting !== undefined) {
    issues.push({
      severity: 'error',
      message: '"report" has no place in a ceiling, which refuses and reports nothing',
      hint: 'Remove report; the rule then denies.',
      at: reporting.origin,
    });
  }
  if (role === 'policy') {
    const ports = (rule: Rule) => PROTOCOLS.flatMap((protocol) => rule.ports[protocol]);
    const total = countPorts(rules.flatMap(ports));
    if (total > POLICY_LIMITS.ports) {
      const widest = rules.toSorted((a, b) => countPorts(ports(b)) - countPorts(ports(a)))[0];
      issues.push({
        severity: 'error',
        message: `the rules name ${total} ports, and sand listens on at most ${POLICY_LIMITS.ports} for a guest`,
        hint: 'Narrow the port ranges.',
        at: widest?.origin ?? { file: 'policy', line: 0, column: 0 },
      });
    }
  }
  return issues;
}

function joinNames(names: readonly string[]): string {
  const joined = [...new Set(names)].join('+').slice(0, POLICY_LIMITS.nameCharacters);
  return joined === '' ? 'empty' : joined;
}
