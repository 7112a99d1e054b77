/**
 * The canonical text of a resolved policy: one file without `extends`, in one order, that means the same. It is
 * what the digest is taken of and what is kept beside an audit log.
 */
import { formatLimits } from './guest-limits.ts';
import type { CompiledPolicy, PolicyPhase, Rule } from './model.ts';
import { DEFAULT_PORTS, formatPortRange, PROTOCOLS } from './port-range.ts';
import { formatRequirements } from './requirements.ts';
import { formatSubject } from './subject.ts';

export type FormattedPolicy = Pick<
  CompiledPolicy,
  'name' | 'mode' | 'rules' | 'phases' | 'limits' | 'requires'
>;

/** Reading the text and formatting it again gives the same text. Ids and places of rules are not in it. */
export function formatPolicy({ name, mode, rules, phases, limits, requires }: FormattedPolicy): string {
  const lines = ['version: 1', `name: ${quote(name)}`, `mode: ${mode}`];
  const demands = formatRequirements(requires);
  if (demands !== '{}') lines.push(`requires: ${demands}`);
  const bounds = formatLimits(limits);
  if (bounds !== '{}') lines.push(`limits: ${bounds}`);
  const own = new Set(phases?.flatMap((phase) => phase.own));
  const texts = formatRules(rules.filter((rule) => !own.has(rule)));
  if (texts.length > 0) lines.push('rules:', ...texts);
  if (phases !== undefined) lines.push('phases:', ...phases.map(formatPhase));
  return `${lines.join('\n')}\n`;
}

function formatRules(rules: readonly Rule[]): readonly string[] {
  return [...new Set(rules.map(formatRule))].sort();
}

function formatPhase({ name, own }: PolicyPhase): string {
  if (own.length === 0) return `  ${quote(name)}: {rules: []}`;
  const texts = formatRules(own).map((text) => text.replaceAll(/^/gm, '    '));
  return [`  ${quote(name)}:`, '    rules:', ...texts].join('\n');
}

/** One rule as an item of `rules`, without a newline at its end. */
export function formatRule(rule: Rule | Omit<Rule, 'id' | 'origin'>): string {
  const subjects = rule.subjects.map((subject) => quote(formatSubject(subject))).sort();
  const lines = [`  - ${rule.verb}: ${subjects.length === 1 ? subjects[0] : `[${subjects.join(', ')}]`}`];
  if (rule.verb === 'allow' && !hasDefaultPorts(rule.ports)) {
    for (const protocol of PROTOCOLS) {
      const ranges = rule.ports[protocol].map((range) =>
        range.from === range.to ? formatPortRange(range) : quote(formatPortRange(range)),
      );
      if (ranges.length > 0) lines.push(`    ${protocol}: [${ranges.join(', ')}]`);
    }
  }
  if (rule.methods !== undefined) lines.push(`    methods: [${rule.methods.join(', ')}]`);
  if (rule.paths !== undefined) {
    lines.push(`    paths: [${rule.paths.map(({ text }) => quote(text)).join(', ')}]`);
  }
  if (rule.addresses !== null) lines.push(`    addresses: [${rule.addresses.map(quote).sort().join(', ')}]`);
  if (rule.metadata) lines.push('    metadata: true');
  if (rule.untilMs !== undefined) lines.push(`    until: ${formatInstant(rule.untilMs)}`);
  if (rule.limits !== undefined) lines.push(`    limits: ${formatLimits(rule.limits)}`);
  if (rule.report === true) lines.push('    report: true');
  if (rule.because !== null) lines.push(`    because: ${quote(rule.because)}`);
  return lines.join('\n');
}

function hasDefaultPorts(ports: Rule['ports']): boolean {
  const text = (value: Rule['ports']): string =>
    PROTOCOLS.map((protocol) => value[protocol].map(formatPortRange).join(',')).join(';');
  return text(ports) === text(DEFAULT_PORTS);
}

/** Whole seconds, UTC: the form that `until` is read in. */
function formatInstant(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** A double-quoted YAML scalar; what a screen cannot show is escaped. */
export function quote(text: string): string {
  return JSON.stringify(text).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    return hex.length > 4 ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`;
  });
}
