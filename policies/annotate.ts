/**
 * A compiled policy as a policy file that says of each line where it comes from. The text reads as a policy that means
 * the same; what is in force, and who is shown it, is the caller's.
 */
import { formatRule, quote } from './format.ts';
import { formatLimits, LIMIT_KEYS, type LimitField } from './guest-limits.ts';
import type { LayerSet, ShippedName } from './layer.ts';
import type { CompiledPolicy, Mode, Origin, Rule } from './model.ts';
import { type Isolation, REQUIREMENT_KEYS, type RequirementKey } from './requirements.ts';

/** What is settled once for a policy, and by which layer. */
export interface Settings {
  /** An origin of null: no layer says, so the default holds. */
  readonly mode: { readonly value: Mode; readonly origin: Origin | null };
  readonly confinement: { readonly value: 'enforced'; readonly origin: Origin } | null;
  readonly isolation: { readonly value: Isolation; readonly origin: Origin } | null;
  readonly limits: readonly { readonly key: string; readonly text: string; readonly origin: Origin }[];
}

export function settingsOf(policy: CompiledPolicy, { layers }: Pick<LayerSet, 'layers'>): Settings {
  const said = layers.flatMap(({ file, stated }) => (stated === undefined ? [] : [{ file, ...stated }]));
  const mode = said.find((one) => one.mode?.value === policy.mode);
  const modeAt = mode?.mode?.at;
  const requirement = <K extends RequirementKey>(key: K) => {
    const value = policy.requires[key];
    const requiring = said.find(({ requires }) => requires[key] === value);
    if (value === null || requiring === undefined) return null;
    return { value, origin: placed(requiring.file, requiring.places.requires) };
  };
  return {
    mode: {
      value: policy.mode,
      origin: mode === undefined || modeAt === undefined ? null : { file: mode.file, ...modeAt },
    },
    confinement: requirement('confinement'),
    isolation: requirement('isolation'),
    limits: LIMIT_KEYS.flatMap(({ key, field }) => {
      const value = policy.limits[field];
      const stating = said.find(({ limits }) => value !== null && limits[field] === value);
      if (stating === undefined) return [];
      const text = limitText(field, value);
      return [{ key, text, origin: placed(stating.file, stating.places.limits) }];
    }),
  };
}

function placed(file: string, at: { readonly line: number; readonly column: number } | null): Origin {
  return { file, line: at?.line ?? 0, column: at?.column ?? 0 };
}

/** `{connections: 256}` without its key and braces. */
function limitText(field: LimitField, value: number | null): string {
  return (
    formatLimits({ [field]: value })
      .slice(1, -1)
      .split(': ')[1] ?? ''
  );
}

/**
 * Lines without line ends. With `expand` the rules of presets and groups stand here themselves, else the names that
 * bring them. `say` makes a comment's text of an origin, on one line.
 */
export function annotate(
  policy: CompiledPolicy,
  layers: Pick<LayerSet, 'layers' | 'shipped'>,
  { expand, say }: { readonly expand: boolean; readonly say: (origin: Origin | null) => string },
): readonly string[] {
  const { mode, limits, ...settings } = settingsOf(policy, layers);
  // Of a policy with phases, `rules` has the denials of all phases besides.
  const own = new Set(policy.phases?.flatMap((phase) => phase.own));
  const rules = policy.rules.filter((rule) => !own.has(rule) && (expand || !isShipped(rule)));
  const line = (text: string, origin: Origin | null): string => `${text} # ${say(origin)}`;
  const listed = (rule: Rule): readonly string[] => {
    const [first = '', ...rest] = formatRule(rule).split('\n');
    return [line(first, rule.origin), ...rest];
  };
  const extended = expand ? [] : distinctNames(layers.shipped);
  return [
    'version: 1',
    `name: ${quote(policy.name)}`,
    ...(extended.length === 0 ? [] : ['extends:']),
    ...extended.map(({ text, at }) => line(`  - ${quote(text)}`, at)),
    line(`mode: ${mode.value}`, mode.origin),
    ...requirementLines(settings, line),
    ...(limits.length === 0 ? [] : ['limits:']),
    ...limits.map(({ key, text, origin }) => line(`  ${key}: ${text}`, origin)),
    ...(rules.length === 0 ? [] : ['rules:']),
    ...rules.flatMap(listed),
    ...(policy.phases === undefined ? [] : ['phases:']),
    ...(policy.phases ?? []).flatMap((phase) => [
      `  ${quote(phase.name)}:`,
      phase.own.length === 0 ? '    rules: []' : '    rules:',
      ...phase.own.flatMap(listed).map((text) => `    ${text}`),
    ]),
  ];
}

/** Two may have two origins, so each has a line. */
function requirementLines(
  settings: Pick<Settings, RequirementKey>,
  line: (text: string, origin: Origin | null) => string,
): readonly string[] {
  const stated = REQUIREMENT_KEYS.flatMap((key) => {
    const setting = settings[key];
    return setting === null ? [] : [{ text: `${key}: ${setting.value}`, origin: setting.origin }];
  });
  const [first] = stated;
  if (first !== undefined && stated.length === 1) return [line(`requires: {${first.text}}`, first.origin)];
  return [
    ...(stated.length === 0 ? [] : ['requires:']),
    ...stated.map(({ text, origin }) => line(`  ${text}`, origin)),
  ];
}

export function isShipped({ origin }: Rule | { readonly origin: Origin }): boolean {
  return /^(preset|group):/.test(origin.file);
}

function distinctNames(names: readonly ShippedName[]): readonly ShippedName[] {
  return [...new Map(names.toReversed().map((name) => [name.text, name])).values()].reverse();
}
