/**
 * Found policies and project files that the user has approved, by the digest of what they resolve to: a change of one
 * host asks again. Kept in the user's configuration folder, which no guest sees.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { escapeTerminal } from '../../audit/escape.ts';
import { SandError } from '../errors.ts';

interface Approval {
  readonly digest: string;
  readonly path: string;
  readonly time: string;
}

export function isApproved(folder: string, digest: string): boolean {
  return readApprovals(folder).some((approval) => approval.digest === digest);
}

/** Every digest that was approved of what lies at `path`. */
export function approvedAt(folder: string, path: string): readonly string[] {
  return readApprovals(folder)
    .filter((approval) => approval.path === path)
    .map(({ digest }) => digest);
}

export function rememberApproval(folder: string, path: string, digest: string): void {
  const others = readApprovals(folder).filter((approval) => approval.digest !== digest);
  const approvals = [...others, { digest, path, time: new Date().toISOString() }];
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = approvalsPath(folder);
  writeFileSync(`${file}.new`, `${JSON.stringify({ approvals }, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** `what` is asked about. False without a person at both ends of a terminal, and in CI: silence is no consent. */
export async function askOnTerminal(
  path: string,
  because: readonly string[],
  environ: Readonly<Record<string, string | undefined>>,
  what = 'is wider than strict',
): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY || (environ.CI ?? '') !== '') return false;
  const lines = because.map((reason) => `  - ${escapeTerminal(reason)}\n`).join('');
  process.stderr.write(`sand: ${escapeTerminal(path)} was found here and ${what}:\n${lines}`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question('Use it from now on, as long as it does not change? [y/N] ');
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

function approvalsPath(folder: string): string {
  return join(folder, 'approved.json');
}

function readApprovals(folder: string): readonly Approval[] {
  const path = approvalsPath(folder);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  try {
    const document: unknown = JSON.parse(text);
    const listed =
      typeof document === 'object' && document !== null ? Reflect.get(document, 'approvals') : undefined;
    return Array.isArray(listed) ? listed.filter(isApproval) : [];
  } catch {
    throw new SandError('file-invalid', `${path} is not JSON`, 'mend it, or remove it to be asked again');
  }
}

function isApproval(value: unknown): value is Approval {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'digest') === 'string';
}
