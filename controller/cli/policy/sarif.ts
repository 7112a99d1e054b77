/** Findings of `sand policy check` as SARIF 2.1.0 (OASIS), which code scanning reads. Pure. */
import { escapeJson } from '../../../audit/escape.ts';
import type { PolicyFinding } from '../../../policies/check/finding.ts';
import { WARNINGS } from '../../../policies/warnings.ts';
import { VERSION } from '../../version.ts';

const RULES = {
  'policy-invalid': 'the policy is wrong, and no run uses it',
  'policy-missing': 'the policy names what does not exist',
  ...WARNINGS,
} as const;

type RuleId = keyof typeof RULES;

export function formatSarif(findings: readonly PolicyFinding[]): string {
  const ids = Object.keys(RULES) as RuleId[];
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'sand policy check',
            version: VERSION,
            rules: ids.map((id) => ({ id, shortDescription: { text: RULES[id] } })),
          },
        },
        results: findings.map((finding) => resultOf(finding, ids)),
      },
    ],
  };
  return `${escapeJson(JSON.stringify(log))}\n`;
}

function resultOf({ severity, code, message, hint, at }: PolicyFinding, ids: readonly RuleId[]) {
  return {
    ruleId: code,
    ruleIndex: ids.indexOf(code),
    level: severity,
    message: { text: `${message}. ${hint}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(at.file) },
          // A region begins at line 1; what has no place in a file is shown at its head.
          region: { startLine: Math.max(1, at.line), startColumn: Math.max(1, at.column) },
        },
      },
    ],
  };
}

/** Relative for what lies in the folder of the check, else a file's own address. */
function uriOf(file: string): string {
  const path = file.replace(/^\.\//, '').split('/').map(encodeURIComponent).join('/');
  return file.startsWith('/') ? `file://${path}` : path;
}
