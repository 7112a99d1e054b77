/**
 * Shows what a changed policy file would mean, asks, and writes it. Whoever has no terminal, and every CI, gets the
 * patch and writes with `--yes` alone.
 */
import { createInterface } from 'node:readline/promises';
import { escapeJson, escapeTerminal } from '../../../audit/escape.ts';
import { auditRoot } from '../../../audit/runs.ts';
import { formatDifference } from '../../../policies/compare/format-difference.ts';
import type { ChangePlan } from '../../policy-file/change-plan.ts';
import { isHeld } from '../../policy-file/held-file.ts';
import { writePolicyFile } from '../../policy-file/policy-file.ts';
import { formatIssue } from '../../run/policy-choice.ts';
import type { Surroundings } from './surroundings.ts';

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
  plan: ChangePlan,
  options: ProposalOptions,
  surroundings: Surroundings,
): Promise<number> {
  const { file, path, before, text, patch } = plan;
  const { yes, json, ask, more = {}, notes = [] } = options;
  const { write, tell } = surroundings;
  if (!plan.changed) {
    if (json) write(jsonLine({ file, changed: false, written: false, ...more }));
    else write(`${escapeTerminal(file)} says so already.\n`);
    return 0;
  }
  const warnings = plan.warnings.flatMap((warning) => formatIssue(warning).split('\n'));
  const shown = [...notes, ...warnings].map((line) => `${escapeTerminal(line)}\n`);
  if (!json) write(`${shown.join('')}${formatDifference(plan.difference, { style: 'text' })}`);
  const mayAsk = !yes && !json && ask !== null;
  if (!json && !yes) write(`\n${patch}`);
  const wanted = yes || (mayAsk && (await ask(`Write ${file}? [y/N] `)));
  if (wanted) writePolicyFile(path, before, text, { held: isHeld(auditRoot(surroundings.environ), path) });
  if (json) {
    const { changes } = plan.difference;
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

export function jsonLine(value: object): string {
  return `${escapeJson(JSON.stringify(value))}\n`;
}
