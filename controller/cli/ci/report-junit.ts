/**
 * The outcome of `sand ci` as JUnit's XML: a case for each destination, which fails where the run fails for it, and one
 * for the run itself. Pure.
 */
import { REASONS } from '../../../policies/reasons.ts';
import type { CiDenial } from '../../ci/denials.ts';
import { authorityOf, describeDrift } from '../../ci/drift-text.ts';
import type { FailOn } from '../../ci/fail-on.ts';
import { CI_LIMITS } from '../../ci/limits.ts';
import type { CiOutcome } from '../../ci/outcome.ts';
import { describeCut } from '../../run/ceiling-cuts.ts';
import { xml } from '../policy/test-report.ts';

interface Case {
  readonly kind: FailOn | 'used' | 'run';
  readonly name: string;
  /** Of what is a finding; null: nothing is wrong. */
  readonly finding: string | null;
  readonly text: string;
  readonly at: { readonly file: string; readonly line: number } | null;
}

export function formatJunitReport(outcome: CiOutcome): string {
  const cases = casesOf(outcome);
  const isFailure = ({ kind, finding }: Case): boolean =>
    finding !== null && outcome.failOn.some((one) => one === kind);
  const failures = cases.filter(isFailure).length;
  const errors = cases.filter(({ kind, finding }) => kind === 'run' && finding !== null).length;
  const counts = `tests="${cases.length}" failures="${failures}" errors="${errors}"`;
  const body = cases.map((one) => formatCase(one, isFailure(one))).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sand ci" ${counts}>\n  <testsuite name="sand ci" ${counts}>\n${body}  </testsuite>\n</testsuites>\n`;
}

function casesOf(outcome: CiOutcome): readonly Case[] {
  const { denied, drift, used, ceiling, ended, errors } = outcome;
  const ok = { finding: null, text: '', at: null };
  const ran: Case =
    errors.length === 0
      ? { ...ok, kind: 'run', name: `the run ended with ${ended.exitCode}` }
      : { ...ok, kind: 'run', name: 'the run', finding: errors.map(({ message }) => message).join('; ') };
  return [
    ran,
    ...denied.map(deniedCase),
    ...drift.map(
      (one): Case => ({ ...ok, kind: 'drift', name: describeDrift(one), finding: describeDrift(one) }),
    ),
    ...ceiling.cuts.map(
      (cut): Case => ({ ...ok, kind: 'ceiling', name: describeCut(cut), finding: describeCut(cut) }),
    ),
    ...used.map((use): Case => ({ ...ok, kind: 'used', name: authorityOf(use) })),
  ].slice(0, CI_LIMITS.results);
}

function deniedCase(denial: CiDenial): Case {
  const { reason, detail, suggestion, file, line } = denial;
  const text = [
    ...(detail === null ? [] : [detail]),
    ...(suggestion === null ? [] : [`to allow it: ${suggestion}`]),
  ];
  return {
    kind: 'denied',
    name: authorityOf(denial),
    finding: `${reason}: ${REASONS[reason]}`,
    text: text.join('\n'),
    at: file === null ? null : { file, line: line ?? 1 },
  };
}

/** A finding that fails nothing is told as output of a case that passes. */
function formatCase({ kind, name, finding, text, at }: Case, isFailure: boolean): string {
  const place = at === null ? '' : ` file="${xml(at.file)}" line="${at.line}"`;
  const head = `    <testcase classname="sand.${kind}" name="${xml(name)}"${place}`;
  if (finding === null) return `${head}/>\n`;
  if (kind === 'run') return `${head}><error message="${xml(finding)}"/></testcase>\n`;
  if (!isFailure)
    return `${head}><system-out>${xml([finding, text].join('\n').trim())}</system-out></testcase>\n`;
  return `${head}><failure message="${xml(finding)}">${xml(text)}</failure></testcase>\n`;
}
