/** `sand policy show`: the policy that a run in this folder would use, with the origin of every line. */
import { relative } from 'node:path';
import { escapeJson, escapeTerminal } from '../../../audit/escape.ts';
import { annotate, isShipped, type Settings, settingsOf } from '../../../policies/annotate.ts';
import type { PolicyReader, PolicyRequest } from '../../../policies/compile.ts';
import type { LayerSet } from '../../../policies/layer.ts';
import { resolveLayers } from '../../../policies/layers.ts';
import type { CompiledPolicy, Origin, Rule } from '../../../policies/model.ts';
import { formatPortRange, PROTOCOLS } from '../../../policies/port-range.ts';
import { formatSubject } from '../../../policies/subject.ts';
import { widerThanStrict } from '../../../policies/widening.ts';
import { foundPolicies } from '../../project-file/read.ts';
import { isApproved } from '../../run/approval.ts';
import { ceilingPaths, compileOrRefuse, configFolder, findPolicy } from '../../run/policy-choice.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';
import type { Surroundings } from './surroundings.ts';

export interface ShowFlags {
  readonly policies: readonly string[];
  readonly allow: readonly string[];
  readonly resolved: boolean;
  readonly json: boolean;
}

interface Shown {
  readonly policy: CompiledPolicy;
  readonly layers: LayerSet;
  readonly ceilings: readonly ShownCeiling[];
  /** What it consists of, in the words of the user. */
  readonly from: readonly string[];
  /** Why a run would ask or refuse; empty where it would not. */
  readonly unapproved: readonly string[];
}

interface ShownCeiling {
  readonly policy: CompiledPolicy;
  readonly layers: Pick<LayerSet, 'layers' | 'shipped'>;
}

/** 0; raises `policy-invalid`, `policy-missing`. */
export function showPolicy(flags: ShowFlags, surroundings: Surroundings): number {
  const shown = readShown(flags, surroundings);
  surroundings.write(flags.json ? formatJson(shown, flags.resolved) : formatText(shown, flags.resolved));
  return 0;
}

function readShown({ policies, allow }: ShowFlags, surroundings: Surroundings): Shown {
  const { cwd, environ, home } = surroundings;
  const project = policies.length > 0 ? null : foundPolicies(cwd);
  if (project !== null) return readProjectShown(project, allow, surroundings);
  const found = policies.length > 0 ? null : findPolicy({ cwd });
  const reader = createPolicyReader(cwd, found?.repository ?? null);
  const names = found !== null ? [found.path] : policies.length > 0 ? policies : ['strict'];
  const base = names.map((name): PolicyRequest => ({ kind: 'named', name }));
  const requests = [...base, ...allow.map((host): PolicyRequest => ({ kind: 'allow', host }))];
  const policy = compileOrRefuse(requests, reader);
  const foundAs = found === null ? [] : [`${relative(cwd, found.path)} (found)`];
  const namedAs = policies.length > 0 ? policies : ['strict (nothing else is named or found)'];
  return {
    policy,
    layers: resolveLayers(requests, reader),
    ceilings: readShownCeilings(surroundings),
    from: [...(found === null ? namedAs : foundAs), ...allow.map((host) => `--allow ${host}`)],
    unapproved: found === null ? [] : reasonsToAsk(base, reader, configFolder(environ, home)),
  };
}

/** The policies of a project file that is found: consent is to that file, and a run says what else it asks for. */
function readProjectShown(
  { path, names, reader }: NonNullable<ReturnType<typeof foundPolicies>>,
  allow: readonly string[],
  surroundings: Surroundings,
): Shown {
  const base = names.map((name): PolicyRequest => ({ kind: 'named', name }));
  const requests = [...base, ...allow.map((host): PolicyRequest => ({ kind: 'allow', host }))];
  const { cwd, environ, home } = surroundings;
  return {
    policy: compileOrRefuse(requests, reader),
    layers: resolveLayers(requests, reader),
    ceilings: readShownCeilings(surroundings),
    from: [`${relative(cwd, path)} (found)`, ...allow.map((host) => `--allow ${host}`)],
    unapproved: reasonsToAsk(base, reader, configFolder(environ, home)),
  };
}

/** Whole: what a ceiling requires and limits holds as its rules do, and nothing in it is shown by a name alone. */
function readShownCeilings({ cwd, environ }: Surroundings): readonly ShownCeiling[] {
  const reader = createPolicyReader(cwd);
  return ceilingPaths(environ).map((path) => {
    const requests = [{ kind: 'named', name: path }] as const;
    const policy = compileOrRefuse(requests, reader, 'ceiling');
    return { policy, layers: resolveLayers(requests, reader) };
  });
}

/** What is merely found is used when it is no wider than `strict`, or was approved. */
function reasonsToAsk(
  base: readonly PolicyRequest[],
  reader: PolicyReader,
  folder: string,
): readonly string[] {
  const found = compileOrRefuse(base, reader);
  const widening = widerThanStrict(found, compileOrRefuse([{ kind: 'named', name: 'strict' }], reader));
  return !widening.wider || isApproved(folder, found.digest) ? [] : widening.because;
}

function formatText({ policy, layers, ceilings, from, unapproved }: Shown, isResolved: boolean): string {
  const lines = [
    `# from ${from.join(' + ')}`,
    `# digest ${policy.digest}`,
    ...(unapproved.length === 0
      ? []
      : ['# a run uses it only when it is named or approved, since it is wider than strict:']),
    ...unapproved.map((reason) => `#   ${reason}`),
    ...annotate(policy, layers, { expand: isResolved, say }),
    ...ceilings.flatMap((ceiling) => [
      `# the ceiling ${ceiling.policy.files[0] ?? ceiling.policy.name} must allow as well:`,
      ...annotate(ceiling.policy, ceiling.layers, { expand: true, say }).map((line) => `#   ${line}`),
    ]),
  ];
  // Fail closed: a line end in a file's name would end a comment, and begin a line of policy.
  return lines.map((line) => `${escapeTerminal(line)}\n`).join('');
}

function say(origin: Origin | null): string {
  return origin === null ? 'default' : place(origin);
}

function place({ file, line }: Origin): string {
  return line === 0 ? file : `${file}:${line}`;
}

function formatJson({ policy, layers, ceilings, from, unapproved }: Shown, isResolved: boolean): string {
  const shipped = isResolved ? [] : layers.shipped;
  const described = {
    version: 1,
    from,
    unapproved,
    ...describePolicy(policy, settingsOf(policy, layers), isResolved),
    extends: shipped.map(({ text, at }) => ({ name: text, origin: at })),
    files: policy.files,
    ceilings: ceilings.map((ceiling) => ({
      file: ceiling.policy.files[0] ?? null,
      ...describePolicy(ceiling.policy, settingsOf(ceiling.policy, ceiling.layers), true),
    })),
  };
  return `${escapeJson(JSON.stringify(described))}\n`;
}

function describePolicy(policy: CompiledPolicy, settings: Settings, isResolved: boolean) {
  const phased = new Set(policy.phases?.flatMap(({ own }) => own));
  const shown = (rules: readonly Rule[]) =>
    rules.filter((rule) => isResolved || !isShipped(rule)).map(describeRule);
  return {
    name: policy.name,
    digest: policy.digest,
    mode: settings.mode,
    requires: { confinement: settings.confinement, isolation: settings.isolation },
    limits: Object.fromEntries(
      settings.limits.map(({ key, text, origin }) => [key, { value: text, origin }]),
    ),
    rules: shown(policy.rules.filter((rule) => !phased.has(rule))),
    phases: (policy.phases ?? []).map(({ name, own }) => ({ name, rules: shown(own) })),
  };
}

function describeRule(rule: Rule) {
  const ports = PROTOCOLS.flatMap((protocol) =>
    rule.ports[protocol].length === 0 ? [] : [[protocol, rule.ports[protocol].map(formatPortRange)]],
  );
  return {
    id: rule.id,
    verb: rule.verb,
    subjects: rule.subjects.map(formatSubject),
    ports: Object.fromEntries(ports),
    addresses: rule.addresses,
    methods: rule.methods ?? null,
    paths: rule.paths?.map(({ text }) => text) ?? null,
    metadata: rule.metadata,
    until: rule.untilMs === undefined ? null : new Date(rule.untilMs).toISOString(),
    limits: rule.limits ?? null,
    report: rule.report ?? false,
    because: rule.because,
    origin: rule.origin,
  };
}
