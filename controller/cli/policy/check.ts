/** `sand policy check`: every issue and every warning of policies, for people, for programs and for code scanning. */
import { escapeJson, escapeTerminal } from '../../../audit/escape.ts';
import { checkPolicy } from '../../../policies/check/check.ts';
import type { PolicyFinding, Severity } from '../../../policies/check/finding.ts';
import { formatSarif } from './sarif.ts';
import { filesOrFound, oneOf, readCeilings, type Surroundings } from './surroundings.ts';

export interface CheckFlags {
  readonly files: readonly string[];
  readonly strict: boolean;
  readonly format: string;
}

/** What the check found of one named policy. */
export interface FileCheck {
  readonly file: string;
  /** False where there is nothing to check. */
  readonly isReadable: boolean;
  readonly findings: readonly PolicyFinding[];
}

const FORMATS = ['text', 'json', 'sarif'] as const;

/** 0: nothing is wrong; 1: an error, or with `strict` a warning; 2: a file cannot be read. */
export function checkPolicies(flags: CheckFlags, surroundings: Surroundings): number {
  const format = oneOf('--format', flags.format, FORMATS);
  const { names, reader } = filesOrFound(flags.files, surroundings);
  const ceilings = readCeilings(surroundings);
  const checks = names.map((name): FileCheck => {
    const { policy, findings } = checkPolicy({ name, reader, nowMs: surroundings.nowMs, ceilings });
    // What was named on the command line is the only thing without a place in a file.
    const isReadable = policy !== null || findings.every(({ at }) => at.line > 0);
    return { file: name, isReadable, findings: findings.map((one) => placed(one, name)) };
  });
  const { write } = surroundings;
  if (format === 'json') write(formatJson(checks));
  else if (format === 'sarif') write(formatSarif(distinct(checks)));
  else write(formatText(checks));
  return exitCode(checks, flags.strict);
}

/** What is wrong with the argument itself has no place but its name. */
function placed(finding: PolicyFinding, name: string): PolicyFinding {
  return finding.at.line > 0 ? finding : { ...finding, at: { file: name, line: 0, column: 0 } };
}

function exitCode(checks: readonly FileCheck[], isStrict: boolean): number {
  if (checks.some(({ isReadable }) => !isReadable)) return 2;
  const failing: readonly Severity[] = isStrict ? ['error', 'warning'] : ['error'];
  return checks.some(({ findings }) => findings.some(({ severity }) => failing.includes(severity))) ? 1 : 0;
}

/** A file that several policies extend is told of once. */
function distinct(checks: readonly FileCheck[]): readonly PolicyFinding[] {
  const all = checks.flatMap(({ findings }) => findings);
  return [...new Map(all.map((finding) => [JSON.stringify(finding), finding])).values()];
}

export function countOf(findings: readonly PolicyFinding[], severity: Severity): number {
  return findings.filter((finding) => finding.severity === severity).length;
}

function formatText(checks: readonly FileCheck[]): string {
  const findings = distinct(checks);
  const lines = findings.flatMap(formatFinding);
  const errors = countOf(findings, 'error');
  const warnings = countOf(findings, 'warning');
  const notes = countOf(findings, 'note');
  const subject = checks.length === 1 ? (checks[0]?.file ?? '') : `${checks.length} policies`;
  const counts = [counted(errors, 'error'), counted(warnings, 'warning'), counted(notes, 'note')];
  const told = counts.filter((count) => count !== null);
  const end = `${subject}: ${told.length === 0 ? 'nothing to tell' : told.join(', ')}`;
  return [...lines, end].map((line) => `${escapeTerminal(line)}\n`).join('');
}

function counted(count: number, word: string): string | null {
  return count === 0 ? null : `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** Two lines: what is so, where, with its code; and what to write. */
export function formatFinding({ severity, code, message, hint, at }: PolicyFinding): readonly string[] {
  const place = at.line === 0 ? at.file : `${at.file}:${at.line}:${at.column}`;
  return [`${place}: ${severity}: ${message} [${code}]`, `    ${hint}`];
}

function formatJson(checks: readonly FileCheck[]): string {
  const policies = checks.map(({ file, isReadable, findings }) => ({
    file,
    readable: isReadable,
    errors: countOf(findings, 'error'),
    warnings: countOf(findings, 'warning'),
    notes: countOf(findings, 'note'),
    findings,
  }));
  return `${escapeJson(JSON.stringify({ version: 1, policies }))}\n`;
}
