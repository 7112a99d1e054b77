/**
 * Shows what a changed policy file would mean, asks, and writes it. Whoever has no terminal, and every CI, gets the
 * patch and writes with `--yes` alone.
 */
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { escapeJson, escapeTerminal } from '../../../audit/escape.ts';
import { comparePolicies } from '../../../policies/compare/compare.ts';
import type { PolicyDifference } from '../../../policies/compare/difference.ts';
import { formatDifference } from '../../../policies/compare/format-difference.ts';
import { compilePolicy } from '../../../policies/compile.ts';
import { formatPatch } from '../../../policies/edit/patch.ts';
import type { CompiledPolicy, PolicyIssue } from '../../../policies/model.ts';
import { SandError } from '../../errors.ts';
import { type PolicyFile, writePolicyFile } from '../../policy-file/policy-file.ts';
import { formatIssue } from '../../run/policy-choice.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';
import { readCeilings, type Surroundings } from './surroundings.ts';

export interface Proposal {
  /** As the user knows it: relative to the working folder. */
  readonly file: string;
  readonly path: string;
  /** Null where there is no file yet. */
  readonly before: PolicyFile | null;
  readonly text: string;
  /** What a file that is not there yet is compared with; absent: a policy that allows nothing. */
  readonly baseline?: string;
}

export interface ProposalOptions {
  readonly yes: boolean;
  readonly json: boolean;
  /** Asks a person; null where there is none to ask. */
  readonly ask: ((question: string) => Promise<boolean>) | null;
  /** What goes into the JSON besides. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Lines that are told before the difference; what they hold is escaped here. */
  readonly notes?: readonly string[];
}

/** 0 where it is written or nothing had to be, 1 where it is not. Raises `policy-invalid`, `policy-unwritable`. */
export async function propose(
  proposal: Proposal,
  options: ProposalOptions,
  surroundings: Surroundings,
): Promise<number> {
  const { file, path, before, text } = proposal;
  const { yes, json, ask, more = {}, notes = [] } = options;
  const { write, tell } = surroundings;
  const old = before === null ? null : before.bytes.toString('utf8');
  if (old === text) {
    if (json) write(jsonLine({ file, changed: false, written: false, ...more }));
    else write(`${escapeTerminal(file)} says so already.\n`);
    return 0;
  }
  const compared = compareTexts(proposal, surroundings);
  const patch = formatPatch(file, old, text);
  const warnings = compared.warnings.flatMap((warning) => formatIssue(warning).split('\n'));
  const shown = [...notes, ...warnings].map((line) => `${escapeTerminal(line)}\n`);
  if (!json) write(`${shown.join('')}${formatDifference(compared.difference, { style: 'text' })}`);
  const mayAsk = !yes && !json && ask !== null;
  if (!json && !yes) write(`\n${patch}`);
  const wanted = yes || (mayAsk && (await ask(`Write ${file}? [y/N] `)));
  if (wanted) writePolicyFile(path, before, text);
  if (json) {
    const { changes } = compared.difference;
    write(jsonLine({ file, changed: true, written: wanted, changes, patch, ...more }));
  } else if (wanted) write(`written: ${escapeTerminal(file)}\n`);
  else if (!mayAsk) tell('sand: nothing is written; write it with --yes, or apply the patch\n');
  return wanted ? 0 : 1;
}

/** Null without a person at both ends of a terminal, and in CI: silence is no consent. */
export function terminalQuestion(
  environ: Surroundings['environ'],
): ((question: string) => Promise<boolean>) | null {
  if (!process.stdin.isTTY || !process.stderr.isTTY || (environ.CI ?? '') !== '') return null;
  return async (question) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return /^y(es)?$/i.test((await terminal.question(escapeTerminal(question))).trim());
    } finally {
      terminal.close();
    }
  };
}

function compareTexts(
  { file, before, text, baseline = 'version: 1\n' }: Proposal,
  surroundings: Surroundings,
): { readonly difference: PolicyDifference; readonly warnings: readonly PolicyIssue[] } {
  const old = compileText(before === null ? baseline : before.bytes, file, surroundings);
  const { policy, warnings } = compileText(text, file, surroundings);
  const ceilings = readCeilings(surroundings);
  const known = new Set(old.warnings.map(({ message }) => message));
  return {
    difference: comparePolicies({ policy: old.policy, ceilings }, { policy, ceilings }),
    warnings: warnings.filter(({ message }) => !known.has(message)),
  };
}

/** What a policy file means that says this. Raises `policy-invalid`. */
export function compileText(
  text: string | Uint8Array,
  file: string,
  { cwd }: Surroundings,
): { readonly policy: CompiledPolicy; readonly warnings: readonly PolicyIssue[] } {
  const reader = createPolicyReader(cwd);
  const directory = dirname(resolve(cwd, file));
  const compiled = compilePolicy([{ kind: 'text', text, file, directory }], reader);
  if (compiled.ok) return { policy: compiled.value, warnings: compiled.warnings ?? [] };
  const errors = compiled.issues.filter(({ severity }) => severity === 'error');
  throw new SandError(
    'policy-invalid',
    errors.slice(0, 20).map(formatIssue).join('\n'),
    errors[0]?.hint ?? 'mend the policy',
    { details: { issues: errors } },
  );
}

export function jsonLine(value: object): string {
  return `${escapeJson(JSON.stringify(value))}\n`;
}
