/** `sand policy test FILE…`: tables of requests with expected verdicts, judged and told. */
import { basename, dirname, join, resolve } from 'node:path';
import { compilePolicy } from '../../../policies/compile.ts';
import { isFileName } from '../../../policies/layer.ts';
import type { CompiledPolicy, PolicyIssue } from '../../../policies/model.ts';
import { parseTable } from '../../../policies/table/document.ts';
import { type CaseOutcome, judgeCase } from '../../../policies/table/judge.ts';
import { usage } from '../../run/options.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';
import { oneOf, type Surroundings } from './surroundings.ts';
import { formatJson, formatJunit, formatText } from './test-report.ts';

export interface TestFlags {
  readonly files: readonly string[];
  readonly format: string;
}

/** What came of one table. */
export interface TableResult {
  readonly file: string;
  /** Names of the policies that were asked. */
  readonly policies: readonly string[];
  /** What is wrong with the table or its policy; then there are no outcomes. */
  readonly issues: readonly PolicyIssue[];
  readonly outcomes: readonly CaseOutcome[];
}

const FORMATS = ['text', 'json', 'junit'] as const;
const ENDING = '.policy-test.yaml';

/** 0: all came as expected; 1: something did not; 2: a table, or a policy that one names, is wrong. */
export function testPolicies({ files, format }: TestFlags, surroundings: Surroundings): number {
  const known = oneOf('--format', format, FORMATS);
  if (files.length === 0) {
    throw usage('no table to test', `write sand policy test FILE, for example ./web${ENDING}`);
  }
  const results = files.map((file) => runTable(file, surroundings));
  const { write } = surroundings;
  if (known === 'json') write(formatJson(results));
  else if (known === 'junit') write(formatJunit(results));
  else write(formatText(results));
  if (results.some(({ issues }) => issues.length > 0)) return 2;
  return results.every(({ outcomes }) => outcomes.every(({ passed }) => passed)) ? 0 : 1;
}

function runTable(file: string, { cwd, nowMs }: Surroundings): TableResult {
  const path = resolve(cwd, file);
  const reading = createPolicyReader(cwd).readFile(path);
  const failed = (issues: readonly PolicyIssue[], policies: readonly string[] = []): TableResult => ({
    file,
    policies,
    issues,
    outcomes: [],
  });
  if (reading.kind !== 'file') {
    const message =
      reading.kind === 'missing' ? 'there is no such file' : `it cannot be read: ${reading.detail}`;
    return failed([wholeFile(file, message, 'Name a table.')]);
  }
  const table = parseTable(reading.bytes, file);
  if (!table.ok) return failed(table.issues);
  const policies = table.value.policies.length > 0 ? table.value.policies : policyBeside(path);
  if (policies.length === 0) {
    const hint = `Write policy: FILE, or call the file POLICY${ENDING} beside POLICY.yaml.`;
    return failed([wholeFile(file, 'the table names no policy', hint)]);
  }
  const policy = compileBeside(policies, path, cwd);
  if (!policy.ok) return failed(policy.issues, policies);
  const outcomes = table.value.cases.map((one) => judgeCase(policy.value, one, nowMs));
  return { file, policies, issues: [], outcomes };
}

function wholeFile(file: string, message: string, hint: string): PolicyIssue {
  return { severity: 'error', message, hint, at: { file, line: 0, column: 0 } };
}

/** Relative names are relative to the table; issues name files as seen from the working directory. */
function compileBeside(
  policies: readonly string[],
  table: string,
  cwd: string,
):
  | { readonly ok: true; readonly value: CompiledPolicy }
  | { readonly ok: false; readonly issues: readonly PolicyIssue[] } {
  const named = policies.map((name) => (isFileName(name) ? resolve(dirname(table), name) : name));
  return compilePolicy(
    named.map((name) => ({ kind: 'named', name })),
    createPolicyReader(cwd),
  );
}

/** `web.policy-test.yaml` is about `web.policy.yaml`, or else `web.yaml`, in the same folder. */
function policyBeside(table: string): readonly string[] {
  const name = basename(table);
  if (!name.endsWith(ENDING)) return [];
  const stem = name.slice(0, -ENDING.length);
  const reader = createPolicyReader(dirname(table));
  const found = [`${stem}.policy.yaml`, `${stem}.yaml`].find(
    (one) => reader.readFile(join(dirname(table), one)).kind === 'file',
  );
  return found === undefined ? [] : [`./${found}`];
}
