/** Findings of a policy as SARIF 2.1.0 (OASIS), which code scanning reads; those of `sand policy check` by their rules. Pure. */
import { escapeJson } from '../../../audit/escape.ts';
import type { PolicyFinding } from '../../../policies/check/finding.ts';
import type { Origin } from '../../../policies/model.ts';
import { WARNINGS } from '../../../policies/warnings.ts';
import { VERSION } from '../../version.ts';

const RULES = {
  'policy-invalid': 'the policy is wrong, and no run uses it',
  'policy-missing': 'the policy names what does not exist',
  ...WARNINGS,
} as const;

type RuleId = keyof typeof RULES;

export function formatSarif(findings: readonly PolicyFinding[]): string {
  return formatSarifLog('sand policy check', RULES, findings.map(resultOf));
}

export interface SarifResult<Id extends string> {
  readonly ruleId: Id;
  readonly level: 'error' | 'warning' | 'note';
  readonly text: string;
  readonly at: Origin;
  /** What stays the same from run to run, so that a finding is one finding; absent: the reader works it out. */
  readonly fingerprint?: string;
}

/** One run of one tool. `rules`: a sentence for each rule id. */
export function formatSarifLog<Id extends string>(
  name: string,
  rules: Readonly<Record<Id, string>>,
  results: readonly SarifResult<Id>[],
): string {
  const ids = Object.keys(rules) as Id[];
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name,
            version: VERSION,
            rules: ids.map((id) => ({ id, shortDescription: { text: rules[id] } })),
          },
        },
        results: results.map((result) => describeResult(result, ids)),
      },
    ],
  };
  return `${escapeJson(JSON.stringify(log))}\n`;
}

function resultOf({ severity, code, message, hint, at }: PolicyFinding): SarifResult<RuleId> {
  return { ruleId: code, level: severity, text: `${message}. ${hint}`, at };
}

function describeResult<Id extends string>(
  { ruleId, level, text, at, fingerprint }: SarifResult<Id>,
  ids: readonly Id[],
) {
  return {
    ruleId,
    ruleIndex: ids.indexOf(ruleId),
    level,
    message: { text },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(at.file) },
          // A region begins at line 1; what has no place in a file is shown at its head.
          region: { startLine: Math.max(1, at.line), startColumn: Math.max(1, at.column) },
        },
      },
    ],
    ...(fingerprint === undefined ? {} : { partialFingerprints: { 'sand/v1': fingerprint } }),
  };
}

/** Relative for what lies in the folder of the check, else a file's own address. */
function uriOf(file: string): string {
  const path = file.replace(/^\.\//, '').split('/').map(encodeURIComponent).join('/');
  return file.startsWith('/') ? `file://${path}` : path;
}
