/** `mode: diff`: what the policy of this checkout allows that the one of the base commit does not. Runs nothing in a guest. */
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { annotateDiff } from './annotation.ts';
import { createBaseFolder } from './base-policy.ts';
import { ActionFailure } from './failure.ts';
import type { Inputs } from './inputs.ts';
import { cleanEnvironment } from './invocation.ts';
import { comment, type Job, setOutputs } from './job.ts';
import { LIMITS } from './limits.ts';
import { ask } from './process.ts';
import { parsePolicyDiff } from './report.ts';
import { appendText } from './runner-files.ts';
import { type DiffResult, summarizeDiff } from './summary.ts';
import { formatAnnotation } from './workflow-command.ts';

const FOUND = 'sand.policy.yaml';
/** What holds where there is no such file. */
const WITHOUT_FILE = 'strict';

export interface DiffRequest {
  readonly job: Job;
  readonly inputs: Inputs;
  readonly sand: readonly string[];
  readonly folder: string;
  readonly out: NodeJS.WritableStream;
}

/** 1 where `fail-on` says so. Raises `usage`, `policy-missing`, and `policy-invalid` where sand cannot compare. */
export async function runDiff({ job, inputs, sand, folder, out }: DiffRequest): Promise<number> {
  const { base } = job.event;
  if (base === null) {
    job.notice(
      'sand: no policy to compare with',
      'The event names no commit before this one, so nothing was compared.',
    );
    setOutputs(job, { widens: '0', narrows: '0' });
    return 0;
  }
  const environment = cleanEnvironment(job.environment, []);
  const baseFolder = join(folder, 'base');
  await createBaseFolder({ workspace: job.workspace, environment, sha: base, folder: baseFolder });
  const files = inputs.policy.length === 0 ? [FOUND] : inputs.policy.map(plainPath);
  const results: DiffResult[] = [];
  for (const file of files) results.push(await compare({ job, sand, environment, baseFolder, file }));
  const sum = (of: 'widens' | 'narrows') => results.reduce((total, { diff }) => total + diff[of], 0);
  const places = { workspace: job.workspace, folder: job.workspace, policyFile: files[0] ?? null };
  for (const annotation of results.flatMap(({ diff }) => annotateDiff(diff, inputs.failOn, places))) {
    out.write(formatAnnotation(annotation));
  }
  const summary = summarizeDiff(results);
  appendText(job.environment.GITHUB_STEP_SUMMARY, summary);
  const isChanged = results.some(({ diff }) => diff.changes.length > 0);
  await comment(job, inputs, isChanged ? summary : null);
  setOutputs(job, { widens: String(sum('widens')), narrows: String(sum('narrows')) });
  job.say(
    `sand: ${sum('widens')} widening and ${sum('narrows')} narrowing changes since ${base.slice(0, 12)}`,
  );
  const isWider = sum('widens') > 0;
  const fails = inputs.failOn.includes('any') ? isWider || sum('narrows') > 0 : isWider;
  return fails && !inputs.failOn.includes('none') ? 1 : 0;
}

function plainPath(name: string): string {
  const path = posix.normalize(name);
  if (/^(\/|\.\.(\/|$))/.test(path) || !/[./]/.test(path))
    throw new ActionFailure(
      'usage',
      `\`policy: ${name}\` is no file of the repository`,
      'name a policy file by its path',
    );
  return path;
}

async function compare(request: {
  readonly job: Job;
  readonly sand: readonly string[];
  readonly environment: Job['environment'];
  readonly baseFolder: string;
  readonly file: string;
}): Promise<DiffResult> {
  const { job, sand, environment, baseFolder, file } = request;
  const place = (folder: string) => (existsSync(join(folder, file)) ? join(folder, file) : WITHOUT_FILE);
  const before = place(baseFolder);
  const after = place(job.workspace);
  const argv = [...sand, 'policy', 'diff', '--format', 'json', before, after];
  const { code, stdout, stderr } = await ask({ argv, cwd: job.workspace, environment }, LIMITS.toolMs);
  const diff = code === 0 ? parsePolicyDiff(stdout.toString()) : null;
  // Fail closed: what cannot be compared may open anything.
  if (diff === null)
    throw new ActionFailure(
      'policy-invalid',
      `${file} cannot be compared with its earlier version: ${stderr.trim().slice(0, 2000)}`,
      'mend the policy; `sand policy check` tells what is wrong',
    );
  const name = (path: string, label: string) => (path === WITHOUT_FILE ? `${WITHOUT_FILE} (no file)` : label);
  return { before: name(before, `${file} before`), after: name(after, file), diff };
}
