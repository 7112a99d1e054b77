/** When the job ends: undoes what the action changed on the runner, and writes the one comment about all steps that were in guests. */

import { comment, readInputs, readJob, readState } from './job.ts';
import { readSteps } from './job-folder.ts';
import { LIMITS } from './limits.ts';
import { type ApparmorChange, restoreSetup } from './setup.ts';
import { isTelling, summarizeSteps } from './summary.ts';
import { readVersion } from './version.ts';

const CHANGES: readonly ApparmorChange[] = ['sysctl', 'profile'];

const out = process.stdout;
const job = readJob(process.env, out);
for (const change of CHANGES) {
  if (readState(job, `apparmor_${change}`) !== 'true') continue;
  const isUndone = await restoreSetup(change, { cwd: job.temp, environment: job.environment, say: job.say });
  // What a machine keeps for the next job is worth a failure.
  if (!isUndone) process.exitCode = 1;
}
const folder = readState(job, 'folder');
const inputs = folder === '' ? null : readInputs(job, out, `sand-egress@${readVersion()}`);
if (inputs !== null) {
  const steps = readSteps(folder);
  await comment(job, inputs, steps.some(isTelling) ? summarizeSteps(steps, LIMITS.commentCharacters) : null);
}
