/** What came of policy tests: as text for people, as JSON, and as JUnit's XML for CI. Pure. */
import { escapeJson, escapeTerminal } from '../../../audit/escape.ts';
import { formatIssue } from '../../../policies/issue.ts';
import type { RuleRef } from '../../../policies/model.ts';
import { REASONS } from '../../../policies/reasons.ts';
import type { CaseOutcome } from '../../../policies/table/judge.ts';
import type { TableResult } from './test.ts';

export function formatText(results: readonly TableResult[]): string {
  const lines = results.flatMap((result) => {
    const { file, issues, outcomes } = result;
    const failed = outcomes.filter(({ passed }) => !passed);
    const failures = failed.flatMap((outcome) => [headline(file, outcome), ...explain(outcome)]);
    const told = issues.map(formatIssue);
    const end =
      issues.length > 0
        ? `${file}: not tested`
        : `${file}: ${outcomes.length - failed.length} of ${outcomes.length} as expected`;
    return [...told, ...failures, end];
  });
  return lines.map((line) => `${escapeTerminal(line)}\n`).join('');
}

function headline(file: string, { case: one, differences }: CaseOutcome): string {
  return `${file}:${one.at.line}:${one.at.column}: ${one.asked}: ${differences.join('; ')}`;
}

function explain({ reason, rule, nearest, suggestion }: CaseOutcome): readonly string[] {
  if (reason === null) return [];
  return [
    `    reason: ${reason}, ${REASONS[reason]}`,
    ...(rule === null ? ['    decided by: no rule'] : [`    decided by: ${name(rule)}`]),
    ...(nearest === null ? [] : [`    nearest rule: ${name(nearest)}`]),
    ...(suggestion === null ? [] : [`    to allow it: ${suggestion}`]),
  ];
}

function name({ id, origin, because }: RuleRef): string {
  const place = origin.line === 0 ? origin.file : `${origin.file}:${origin.line}`;
  return `${id} (${place})${because === null ? '' : `, because: ${because}`}`;
}

export function formatJson(results: readonly TableResult[]): string {
  const tables = results.map(({ file, policies, issues, outcomes }) => ({
    file,
    policies,
    issues,
    passed: outcomes.filter(({ passed }) => passed).length,
    failed: outcomes.filter(({ passed }) => !passed).length,
    cases: outcomes.map((outcome) => ({
      line: outcome.case.at.line,
      asked: outcome.case.asked,
      expected: { decision: outcome.case.expected, reason: outcome.case.reason, rule: outcome.case.rule },
      passed: outcome.passed,
      differences: outcome.differences,
      decision: outcome.decision,
      reason: outcome.reason,
      rule: outcome.rule,
      nearest: outcome.nearest,
      suggestion: outcome.suggestion,
    })),
  }));
  return `${escapeJson(JSON.stringify({ version: 1, tables }))}\n`;
}

/** The dialect that CI systems agree on: suites, cases, `failure` for what came otherwise, `error` for what is wrong. */
export function formatJunit(results: readonly TableResult[]): string {
  const all = results.flatMap(({ outcomes }) => outcomes);
  const failures = all.filter(({ passed }) => !passed).length;
  const errors = results.filter(({ issues }) => issues.length > 0).length;
  const counts = `tests="${all.length + errors}" failures="${failures}" errors="${errors}"`;
  const suites = results.map(formatSuite).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sand policy test" ${counts}>\n${suites}</testsuites>\n`;
}

function formatSuite({ file, issues, outcomes }: TableResult): string {
  const failures = outcomes.filter(({ passed }) => !passed).length;
  const errors = issues.length > 0 ? 1 : 0;
  const head = `tests="${outcomes.length + errors}" failures="${failures}" errors="${errors}"`;
  const broken =
    errors === 0
      ? ''
      : `    <testcase classname="${xml(file)}" name="the table"><error message="${xml(issues.map(formatIssue).join('; '))}"/></testcase>\n`;
  const cases = outcomes.map((outcome) => formatCase(file, outcome)).join('');
  return `  <testsuite name="${xml(file)}" ${head}>\n${broken}${cases}  </testsuite>\n`;
}

function formatCase(file: string, outcome: CaseOutcome): string {
  const { case: one, passed, differences } = outcome;
  const named = `classname="${xml(file)}" name="${xml(`${one.expected} ${one.asked}`)}" file="${xml(file)}" line="${one.at.line}"`;
  if (passed) return `    <testcase ${named}/>\n`;
  const text = explain(outcome).map((line) => line.trim());
  return `    <testcase ${named}><failure message="${xml(differences.join('; '))}">${xml(text.join('\n'))}</failure></testcase>\n`;
}

/** Text and attribute values. XML 1.0 has no place for most control characters, so they are shown as escapes. */
export function xml(text: string): string {
  const safe = text.split('\n').map(escapeTerminal).join('\n');
  return safe
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
