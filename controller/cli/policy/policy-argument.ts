/**
 * One policy of a command line: a file, a preset, a group, what stands on standard input, or a file of a git
 * revision. What is said of it is for the commands.
 */
import type { PolicyReader, PolicyRequest } from '../../../policies/compile.ts';
import { POLICY_LIMITS } from '../../../policies/limits.ts';
import type { CompiledPolicy } from '../../../policies/model.ts';
import { SandError } from '../../errors.ts';
import { runTool } from '../../process/runner.ts';
import { usage } from '../../run/options.ts';
import { compileOrRefuse } from '../../run/policy-choice.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';

export interface ArgumentSurroundings {
  readonly cwd: string;
  /** All of standard input, and no more than a policy may have. */
  readonly readInput: () => Promise<string>;
}

/** Reading a file from a repository takes milliseconds, from a cold one seconds. */
const GIT_TIMEOUT_MS = 30_000;

/** Raises `policy-invalid`, `policy-missing`, `usage`, and `tool-missing` where there is no git. */
export async function readPolicyArgument(
  text: string,
  surroundings: ArgumentSurroundings,
): Promise<CompiledPolicy> {
  const { cwd } = surroundings;
  const reader = createPolicyReader(cwd);
  if (text === '-') {
    const input = await surroundings.readInput();
    return compileOrRefuse([{ kind: 'text', text: input, file: 'stdin', directory: cwd }], reader);
  }
  const revision = revisionOf(text);
  if (revision === null) return compileOrRefuse([{ kind: 'named', name: text }], reader);
  const request: PolicyRequest = {
    kind: 'text',
    text: await showFile(text, cwd),
    file: text,
    directory: cwd,
  };
  return compileOrRefuse([request], ofOneRevision(reader, revision));
}

/** `REVISION` of `REVISION:PATH`; null for files, presets and groups. */
export function revisionOf(text: string): string | null {
  const [, revision = ''] = /^([^:]+):./.exec(text) ?? [];
  const isOther = revision === '' || /^[./-]/.test(revision) || revision === 'group' || revision === 'preset';
  return isOther ? null : revision;
}

async function showFile(text: string, cwd: string): Promise<string> {
  const args = ['-C', cwd, 'show', '--no-textconv', '--end-of-options', text];
  const { exitCode, stdout, stderr } = await runTool('git', args, { timeoutMs: GIT_TIMEOUT_MS });
  if (exitCode === 0) return stdout;
  const [because = ''] = stderr.trim().split('\n');
  throw new SandError(
    'policy-missing',
    `git does not show ${text}: ${because}`,
    'write REVISION:PATH with the path from the root of the repository, for example HEAD~1:sand.policy.yaml',
  );
}

/** Fail closed: the files beside it are those of another revision, and would say what was never in force with it. */
function ofOneRevision(reader: PolicyReader, revision: string): PolicyReader {
  const detail = `it is not read from the revision ${revision}; check that revision out, and name the file there`;
  return { ...reader, readFile: () => ({ kind: 'unreadable', detail }) };
}

/** Raises `usage` for more than a policy may have. */
export async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > POLICY_LIMITS.fileBytes) {
      throw usage('standard input is larger than any policy', 'write a policy file to it');
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}
