/** `sand policy groups [NAME]`: what a preset or a group allows or mutes, where that comes from, and what speaks against it. */
import { escapeJson, escapeTerminal } from '../../../audit/escape.ts';
import { compilePolicy } from '../../../policies/compile.ts';
import { quietNames, splitGroupName } from '../../../policies/group-name.ts';
import {
  type DomainGroup,
  GROUP_DATA,
  type GroupEntry,
  PRESET_NAMES,
  readGroups,
} from '../../../policies/presets.ts';
import { closestWord } from '../../../policies/spelling.ts';
import { formatSubject } from '../../../policies/subject.ts';
import { SandError } from '../../errors.ts';
import { usage } from '../../run/options.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';
import type { Surroundings } from './surroundings.ts';

export interface GroupFlags {
  readonly name: string | undefined;
  readonly json: boolean;
}

interface Preset {
  readonly name: string;
  readonly mode: string;
  readonly confinement: string | null;
  readonly isolation: string | null;
  readonly rules: readonly { readonly hosts: readonly string[]; readonly because: string | null }[];
}

/** 0; raises `usage` for a name that is none. */
export function showGroups({ name, json }: GroupFlags, { cwd, write }: Surroundings): number {
  const reader = createPolicyReader(cwd);
  const groups = readGroups(reader.readData);
  const sources = readSources(reader.readData(GROUP_DATA));
  if (groups === null) {
    throw new SandError(
      'internal',
      'the data that comes with sand is missing or damaged',
      'install sand anew',
    );
  }
  const print = (value: unknown, lines: () => readonly string[]): number => {
    if (json) write(`${escapeJson(JSON.stringify(value))}\n`);
    else
      write(
        lines()
          .map((line) => `${escapeTerminal(line)}\n`)
          .join(''),
      );
    return 0;
  };
  if (name === undefined) {
    const listed = [...groups].map(([group, data]) => summaryOf(group, data));
    return print({ presets: PRESET_NAMES, groups: listed }, () => formatList(listed));
  }
  const { name: bare, part } = splitGroupName(name.replace(/^(group|preset):/, ''));
  const group = groups.get(bare);
  if (part === 'quiet' && group?.muted === undefined) throw unknown(`${bare}/quiet`, quietNames(groups));
  if (group !== undefined) {
    const described = describeGroup(bare, group, sources);
    return print(described, () => formatGroup(described));
  }
  if (!PRESET_NAMES.includes(bare)) throw unknown(bare, [...PRESET_NAMES, ...groups.keys()]);
  const preset = readPreset(bare, reader);
  return print(preset, () => formatPreset(preset));
}

function unknown(name: string, known: readonly string[]): SandError {
  const close = closestWord(name, known);
  const hint = close === null ? 'list them with `sand policy groups`' : `write sand policy groups ${close}`;
  return usage(`there is no preset or group ${name}`, hint);
}

function readSources(bytes: Uint8Array | null): Readonly<Record<string, string>> {
  if (bytes === null) return {};
  const data = JSON.parse(new TextDecoder().decode(bytes)) as {
    readonly sources?: Readonly<Record<string, string>>;
  };
  return data.sources ?? {};
}

function readPreset(name: string, reader: ReturnType<typeof createPolicyReader>): Preset {
  const compiled = compilePolicy([{ kind: 'named', name }], reader);
  if (!compiled.ok) {
    throw new SandError('internal', `the preset ${name} does not compile`, 'install sand anew');
  }
  const { mode, requires, rules } = compiled.value;
  return {
    name,
    mode,
    confinement: requires.confinement,
    isolation: requires.isolation,
    rules: rules.map(({ subjects, because }) => ({ hosts: subjects.map(formatSubject), because })),
  };
}

function summaryOf(name: string, { usual, hosts, risk, muted }: DomainGroup) {
  const notes = Object.values(risk);
  const level = ['high', 'medium', 'low'].find((word) => notes.some((note) => note.startsWith(word)));
  const mutes = muted === undefined ? {} : { muted: muted.length };
  return { name, usual: usual.length, all: hosts.length, risk: level ?? null, ...mutes };
}

function describeGroup(name: string, group: DomainGroup, sources: Readonly<Record<string, string>>) {
  const evidence = (pattern: string) => {
    const entry = group.entries?.[pattern];
    return entry === undefined ? {} : { ...entry, measured: (entry.seen ?? []).length > 0 };
  };
  const host = (pattern: string) => ({
    host: pattern,
    usual: group.usual.includes(pattern),
    risk: group.risk[pattern] ?? null,
    ...evidence(pattern),
  });
  return {
    name,
    date: group.date,
    hosts: [...new Set([...group.usual, ...group.hosts])].map(host),
    ...(group.muted === undefined
      ? {}
      : { muted: group.muted.map((pattern) => ({ host: pattern, ...evidence(pattern) })) }),
    sources: group.source.map((source) => ({ name: source, is: sources[source] ?? null })),
  };
}

type Described = ReturnType<typeof describeGroup>;
type DescribedHost = Partial<GroupEntry> & { readonly host: string; readonly risk?: string | null };

function formatList(groups: readonly ReturnType<typeof summaryOf>[]): readonly string[] {
  const width = Math.max(...groups.map(({ name }) => name.length));
  return [
    `presets: ${PRESET_NAMES.join(', ')}`,
    'groups, with the hosts of group:NAME and of group:NAME/all, and the highest risk among them:',
    ...groups.map((group) => {
      const counts = [group.usual, group.all].map((count) => String(count).padStart(2)).join('  ');
      const quiet = 'muted' in group ? `  group:${group.name}/quiet mutes ${group.muted}` : '';
      return `  ${group.name.padEnd(width)}  ${counts}  ${group.risk ?? ''}${quiet}`.trimEnd();
    }),
  ];
}

function formatGroup({ name, date, hosts, muted, sources }: Described): readonly string[] {
  const usual = hosts.filter((host) => host.usual);
  const further = hosts.filter((host) => !host.usual);
  return [
    `group:${name} allows:`,
    ...usual.flatMap(formatHost),
    ...(further.length === 0 ? [] : [`group:${name}/all allows besides:`, ...further.flatMap(formatHost)]),
    ...(muted === undefined
      ? []
      : [`group:${name}/quiet allows nothing, and keeps out of reports:`, ...muted.flatMap(formatHost)]),
    `from lists that were read on ${date}:`,
    ...sources.map((source) => `  ${source.name}: ${source.is ?? ''}`.trimEnd()),
  ];
}

function formatHost({ host, risk, ...entry }: DescribedHost): readonly string[] {
  return [
    `  ${host}`,
    ...(risk === null || risk === undefined ? [] : [`      ${risk}`]),
    ...(entry.for === undefined ? [] : [`      ${formatEvidence(entry)}`]),
  ];
}

function formatEvidence({ for: purpose, source = [], seen = [], inferred }: Partial<GroupEntry>): string {
  const parts = [
    ...(source.length === 0 ? [] : [source.join(', ')]),
    ...(inferred === undefined ? [] : [`inferred: ${inferred}`]),
    seen.length === 0 ? 'unmeasured' : `seen: ${seen.join(', ')}`,
  ];
  return `${purpose} (${parts.join('; ')})`;
}

function formatPreset({ name, mode, confinement, isolation, rules }: Preset): readonly string[] {
  const requires = [
    ...(confinement === null ? [] : [`, requires ${confinement} confinement`]),
    ...(isolation === null ? [] : [`, requires isolation ${isolation}`]),
  ].join('');
  return [
    `${name}: mode ${mode}${requires}, ${rules.length === 0 ? 'no rules' : 'allows:'}`,
    ...rules.map(({ hosts, because }) => `  ${hosts.join(', ')}${because === null ? '' : ` (${because})`}`),
  ];
}
