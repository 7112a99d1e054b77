/**
 * The outcome of `sand ci` as Markdown for a job summary or a comment: denied first, with the line to paste and what it
 * would allow, then drift; what was allowed is folded. Bounded, so that no guest makes it too long to be shown. Pure.
 */
import { markdownCode as code, markdownText as prose } from '../../../audit/markdown.ts';
import { formatBytes } from '../../../audit/table.ts';
import type { Use } from '../../../audit/usage.ts';
import { REASONS } from '../../../policies/reasons.ts';
import { type CiDenial, isPasteLine, type Widening } from '../../ci/denials.ts';
import type { Drift, DriftKind } from '../../ci/drift.ts';
import { authorityOf } from '../../ci/drift-text.ts';
import { CI_LIMITS } from '../../ci/limits.ts';
import { magnitudeOf } from '../../ci/magnitude.ts';
import type { CiOutcome } from '../../ci/outcome.ts';
import type { CeilingCut } from '../../run/ceiling-cuts.ts';
import { FOUND_NAME } from '../../run/policy-choice.ts';

/** Characters of each table; with the lines to paste and the head they stay below `CI_LIMITS.markdownCharacters`. */
const MOST = {
  denied: 16_000,
  widening: 8_000,
  hints: 3_000,
  drift: 10_000,
  cuts: 5_000,
  allowed: 6_000,
} as const;

export function formatMarkdownReport(outcome: CiOutcome): string {
  const sections = [
    headOf(outcome),
    ...deniedSection(outcome),
    ...driftSection(outcome),
    ...cutSection(outcome.ceiling.cuts),
    ...allowedSection(outcome),
    `<sub>run ${code(outcome.run)}, see all: ${code(`sand audit ${outcome.run}`)}</sub>`,
  ];
  return `${sections.join('\n\n')}\n`;
}

function headOf(outcome: CiOutcome): string {
  const { denied, drift, ceiling, ended, policy } = outcome;
  const counts = [
    count(denied.length, 'destination denied', 'destinations denied'),
    ...(outcome.baseline.state === 'none' ? [] : [count(drift.length, 'drift', 'drifts')]),
    ...(ceiling.cuts.length === 0 ? [] : [count(ceiling.cuts.length, 'rule cut', 'rules cut')]),
  ];
  const seconds = (ended.durationMs / 1000).toFixed(1);
  const command = code(outcome.command.join(' '), 100);
  const told = [
    `### sand: ${counts.join(', ')}`,
    `${command} ended with ${ended.exitCode} after ${seconds} s, under the policy ${code(policy.name)} (${code(policy.digest.slice(0, 19))}). Exit code of ${code('sand ci')}: **${outcome.exitCode}**${meaningOf(outcome)}.`,
    ...outcome.errors.map(({ code: id, message }) => `**sand failed**: ${code(message)} (${code(id)})`),
  ];
  return told.join('\n\n');
}

function meaningOf({ exitCode, ended }: CiOutcome): string {
  if (exitCode === ended.exitCode) return '';
  if (exitCode === 120) return ', something was denied';
  return exitCode === 121 ? ', drift from the baseline' : ', sand failed';
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

function deniedSection({ denied, policy }: CiOutcome): readonly string[] {
  if (denied.length === 0) return [];
  const rows = denied.map((denial) => {
    const { reason, rule, file, line, process } = denial;
    const place = file === null ? '' : code(line === null ? file : `${file}:${line}`);
    const because = rule?.because === undefined ? '' : `, because: ${code(rule.because)}`;
    const who = process === undefined ? '' : code(process.command, 80);
    return [
      code(authorityOf(denial)),
      String(denial.count),
      `${prose(REASONS[reason])}${because}`,
      place,
      who,
    ];
  });
  const hasProcess = denied.some(({ process }) => process !== undefined);
  const columns = ['destination', 'requests', 'why', 'where', ...(hasProcess ? ['asked by'] : [])];
  const table = formatTable(columns, rows, MOST.denied);
  return [`#### Denied (${denied.length})`, table, ...pasteSection(denied, policy.file)];
}

function pasteSection(denied: readonly CiDenial[], file: string | null): readonly string[] {
  const lines = [...new Map(denied.flatMap(pasteOf)).entries()].slice(0, CI_LIMITS.compared);
  const meant = denied.filter(({ suggestion }) => suggestion !== null && !isPasteLine(suggestion));
  const hints = meant.map((denial) => [code(authorityOf(denial)), code(denial.suggestion ?? '')]);
  const asked =
    hints.length === 0 ? [] : [formatTable(['destination', 'a rule comes close'], hints, MOST.hints)];
  if (lines.length === 0) return asked;
  const place = file === null ? `a ${code(FOUND_NAME)}` : code(file);
  const table = lines.map(([line, widening]) => [code(line), describeWidening(widening)]);
  const pasted = lines.filter(([, widening]) => widening.length > 0);
  const fence = pasted.map(([line]) => `  ${line}`).join('\n');
  return [
    ...(pasted.length === 0
      ? []
      : [`To allow it, paste into the ${code('rules')} of ${place}:`, `\`\`\`yaml\n${fence}\n\`\`\``]),
    formatTable(['this line', 'would newly allow'], table, MOST.widening),
    ...asked,
  ];
}

/** What has been compiled is a line of policy. Fail closed: in a fence nothing is escaped, so other text gets no place there. */
function pasteOf({ suggestion, widening }: CiDenial): readonly (readonly [string, readonly Widening[]])[] {
  if (suggestion === null || widening === null || !/^- [\x20-\x5f\x61-\x7e]+$/.test(suggestion)) return [];
  return suggestion.includes('##[') ? [] : [[suggestion, widening]];
}

function describeWidening(widening: readonly Widening[]): string {
  if (widening.length === 0) return 'nothing: a deny rule or a ceiling holds';
  return widening
    .slice(0, 4)
    .map(({ text, witness }) => code(witness ?? text))
    .join('<br>');
}

const DRIFT_WORDS: Readonly<Record<DriftKind, string>> = {
  'new-host': 'new host',
  'new-port': 'new port of a known host',
  'new-denial': 'new denial',
  'bytes-out': 'bytes sent',
  'bytes-in': 'bytes received',
  'vanished-host': 'vanished host',
  'unused-rule': 'rule no longer used',
  'too-many-hosts': 'more hosts than can be compared',
};

function driftSection({ drift, baseline }: CiOutcome): readonly string[] {
  if (drift.length === 0) return [];
  const rows = drift.map((one) => [
    DRIFT_WORDS[one.kind],
    one.host === null ? '' : code(authorityOf(one)),
    describeShift(one),
  ]);
  const from = baseline.file === null ? '' : ` from ${code(baseline.file)}`;
  const isWritten = baseline.state === 'written';
  const next = isWritten
    ? 'The new baseline is written.'
    : `If this is meant, record it: ${code('sand ci --update-baseline')}, and have the change reviewed.`;
  return [
    `#### Drift${from} (${drift.length})`,
    formatTable(['what', 'destination', 'detail'], rows, MOST.drift),
    next,
  ];
}

function describeShift({ recorded, bytes, rules, reason }: Drift): string {
  if (recorded !== null) return `${code(recorded)} recorded, now ${code(magnitudeOf(bytes ?? 0))}`;
  if (reason !== null) return code(reason);
  return rules.map((rule) => code(rule)).join('<br>');
}

function cutSection(cuts: readonly CeilingCut[]): readonly string[] {
  if (cuts.length === 0) return [];
  const rows = cuts.map(({ ceiling, witness, rules }) => {
    const places = rules.map(({ id, origin: { file, line } }) => code(line === 0 ? id : `${file}:${line}`));
    return [
      places.length === 0 ? 'the mode' : places.join('<br>'),
      witness === null ? '' : code(witness),
      code(ceiling),
    ];
  });
  return [
    `#### Cut by the ceiling (${cuts.length})`,
    formatTable(['rule', 'asks for', 'ceiling'], rows, MOST.cuts),
  ];
}

function allowedSection({ used, totals }: CiOutcome): readonly string[] {
  if (used.length === 0) return [];
  const rows = used.map((use) => [
    code(authorityOf(use)),
    rulesOf(use),
    formatBytes(use.bytesOut),
    formatBytes(use.bytesIn),
  ]);
  const table = formatTable(['destination', 'rules', 'out', 'in'], rows, MOST.allowed);
  const moved = `${formatBytes(totals.bytesOut)} out, ${formatBytes(totals.bytesIn)} in`;
  return [
    `<details><summary>Allowed: ${count(used.length, 'destination', 'destinations')}, ${moved}</summary>\n\n${table}\n\n</details>`,
  ];
}

function rulesOf({ rules, verdict }: Use): string {
  const told = rules.slice(0, 3).map((rule) => code(rule, 100));
  return verdict === 'would-be-denied' ? [...told, 'would be denied'].join('<br>') : told.join('<br>');
}

/** As many rows as fit, and how many more there are. */
function formatTable(columns: readonly string[], rows: readonly (readonly string[])[], most: number): string {
  const head = [`| ${columns.join(' | ')} |`, `|${columns.map(() => '---').join('|')}|`];
  const lines: string[] = [];
  let size = 0;
  for (const cells of rows.slice(0, CI_LIMITS.markdownRows)) {
    const line = `| ${columns.map((_, at) => cells[at] ?? '').join(' | ')} |`;
    size += line.length + 1;
    if (size > most) break;
    lines.push(line);
  }
  const more = rows.length - lines.length;
  return [...head, ...lines].join('\n') + (more === 0 ? '' : `\n\nand ${more} more`);
}
