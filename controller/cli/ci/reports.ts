/** The values of `--report`: which formats go where. Writing them is `ci.ts`. */
import { CI_LIMITS } from '../../ci/limits.ts';
import type { CiOutcome } from '../../ci/outcome.ts';
import { type OutputPlace, planOutput } from '../../ci/output-file.ts';
import { usage } from '../../run/options.ts';
import { formatJsonReport } from './report-json.ts';
import { formatJunitReport } from './report-junit.ts';
import { formatMarkdownReport } from './report-markdown.ts';
import { formatSarifReport } from './report-sarif.ts';

export const FORMATS = ['json', 'markdown', 'sarif', 'junit'] as const;
export type Format = (typeof FORMATS)[number];

export interface PlannedReport {
  readonly format: Format;
  /** Null: standard output. */
  readonly place: OutputPlace | null;
}

/** Raises `usage`. */
export function planReports(texts: readonly string[], cwd: string): readonly PlannedReport[] {
  if (texts.length > CI_LIMITS.reports)
    throw usage(`--report is given ${texts.length} times`, `give it at most ${CI_LIMITS.reports} times`);
  const reports = texts.map((text) => planReport(text, cwd));
  if (reports.filter(({ place }) => place === null).length > 1)
    throw usage('several reports go to standard output', 'write all but one to files');
  return reports;
}

function planReport(text: string, cwd: string): PlannedReport {
  const equals = text.indexOf('=');
  const format = FORMATS.find((known) => known === text.slice(0, Math.max(0, equals)));
  const file = text.slice(equals + 1);
  if (format === undefined || file === '')
    throw usage(
      `--report ${text} does not read as FORMAT=FILE`,
      `write for example --report markdown=summary.md; formats are ${FORMATS.join(', ')}`,
    );
  return { format, place: file === '-' ? null : planOutput('--report', file, cwd) };
}

export function reportText(format: Format, outcome: CiOutcome): string {
  switch (format) {
    case 'json':
      return formatJsonReport(outcome);
    case 'markdown':
      return formatMarkdownReport(outcome);
    case 'sarif':
      return formatSarifReport(outcome);
    case 'junit':
      return formatJunitReport(outcome);
  }
}
