/**
 * Checks one policy as a whole: the compiler's issues, and for what compiles the advice of its neighbours in this
 * folder. Advice is given on what the user wrote, never on what a preset or group of sand says.
 */
import { type CompileOptions, compilePolicy } from '../compile.ts';
import { formatRule } from '../format.ts';
import type { Layer, LayerSet } from '../layer.ts';
import type { CompiledPolicy, Origin } from '../model.ts';
import type { PolicyReader } from '../policy-source.ts';
import { type HostRisk, readRisks } from '../risks.ts';
import { indexOf } from '../rule-judgement.ts';
import { findingOf, type PolicyFinding, warn } from './finding.ts';
import { riskyGroups, riskyHosts } from './hosts.ts';
import { idleRules } from './reach.ts';
import { adviseOnRule } from './rules.ts';

export interface CheckRequest {
  /** As for `--policy`: a file, a preset or a group. */
  readonly name: string;
  readonly reader: PolicyReader;
  readonly nowMs: number;
  /** Of this machine; advice tells what they never let through. */
  readonly ceilings: readonly CompiledPolicy[];
  readonly options?: CompileOptions;
}

export interface CheckedPolicy {
  /** Null where an error leaves no policy. */
  readonly policy: CompiledPolicy | null;
  /** By place: file, line and column. */
  readonly findings: readonly PolicyFinding[];
}

export function checkPolicy({ name, reader, nowMs, ceilings, options }: CheckRequest): CheckedPolicy {
  let layers: readonly Layer[] = [];
  const inspect = (set: LayerSet): void => {
    layers = set.layers;
  };
  const compiled = compilePolicy([{ kind: 'named', name }], reader, { ...options, inspect });
  if (!compiled.ok) return { policy: null, findings: sortFindings(compiled.issues.map(findingOf)) };
  const policy = compiled.value;
  const risks = readRisks(reader.readData) ?? [];
  const own = policy.rules.concat(policy.phases?.flatMap((phase) => phase.own) ?? []).filter(isUsers);
  const findings = [
    ...(compiled.warnings ?? []).map(findingOf),
    ...[...new Set(own)].flatMap((rule) => [
      ...adviseOnRule(rule, nowMs),
      ...riskyHosts(rule, indexOf(policy), risks),
    ]),
    ...idleInEveryPhase(policy, ceilings),
    ...adviseOnLayers(policy, layers, reader, risks),
  ];
  return { policy, findings: sortFindings(findings) };
}

/** What sand ships is judged by its own tests. */
function isUsers({ origin }: { readonly origin: Pick<Origin, 'file'> }): boolean {
  return !/^(preset|group):/.test(origin.file);
}

/** A rule that another phase needs is not idle, so what is told holds in every phase that has the rule. */
function idleInEveryPhase(
  policy: CompiledPolicy,
  ceilings: readonly CompiledPolicy[],
): readonly PolicyFinding[] {
  const policies = policy.phases?.map((phase) => phase.policy) ?? [policy];
  const looked = policies.map((one) => ({
    ...idleRules(one, ceilings, isUsers),
    ids: new Set(one.rules.map(({ id }) => id)),
  }));
  const found = new Map(looked.flatMap(({ findings }) => [...findings]));
  const findings = [...found].flatMap(([key, finding]) => {
    const [id = ''] = key.split(' ', 1);
    const isIdle = looked.every((one) => !one.ids.has(id) || one.findings.has(key));
    return isIdle ? [finding] : [];
  });
  if (looked.every(({ isWhole }) => isWhole)) return findings;
  const [first] = policy.rules;
  const at = { file: first?.origin.file ?? policy.name, line: 1, column: 1 };
  const message = 'not all rules were compared with each other, since there are very many';
  return [...findings, warn('check-bounded', at, message, 'Join rules with wildcards.')];
}

/** What a document says besides rules, and rules that it has twice, have their places in its layers alone. */
function adviseOnLayers(
  policy: CompiledPolicy,
  layers: readonly Layer[],
  reader: PolicyReader,
  risks: readonly HostRisk[],
): readonly PolicyFinding[] {
  const own = layers.filter(({ file }) => isUsers({ origin: { file } }));
  const findings = own.flatMap((layer) => [
    ...repeatedRules(layer),
    ...riskyGroups(layer.stated?.extends ?? [], layer.file, indexOf(policy), risks, reader.readData),
  ]);
  if (policy.mode !== 'report') return findings;
  // The file that was asked for is resolved last.
  const stating = own.find(({ stated }) => stated?.mode?.value === 'report') ?? own.at(-1);
  if (stating === undefined) return findings;
  const { file, stated } = stating;
  const at: Origin = { file, ...(stated?.mode?.at ?? stated?.extends[0]?.at ?? { line: 1, column: 1 }) };
  const message = 'in report mode the guest reaches whatever no rule denies';
  const hint = 'Write mode: enforce once the record shows what is needed.';
  return [warn('report-mode', at, message, hint), ...findings];
}

/** Of two equal rules of one list the compiler keeps the first. */
function repeatedRules({ file, rules }: Layer): readonly PolicyFinding[] {
  const seen = new Map<string, number>();
  return rules.flatMap((rule): PolicyFinding[] => {
    const text = formatRule(rule);
    const before = seen.get(text);
    if (before === undefined) seen.set(text, rule.at.line);
    if (before === undefined || before === rule.at.line) return [];
    const said = `this rule stands in line ${before} already`;
    return [warn('redundant-rule', { file, ...rule.at }, said, 'Remove this rule.')];
  });
}

/** Errors first of one place; of several files each by itself. */
function sortFindings(findings: readonly PolicyFinding[]): readonly PolicyFinding[] {
  return findings.toSorted(
    (a, b) =>
      (a.at.file < b.at.file ? -1 : a.at.file > b.at.file ? 1 : 0) ||
      a.at.line - b.at.line ||
      a.at.column - b.at.column ||
      (a.code < b.code ? -1 : a.code > b.code ? 1 : 0),
  );
}
