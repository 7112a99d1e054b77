/** The action itself, as the runner starts it: reads the inputs, gets sand, makes the runner ready, and does what `mode` says. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runDiff } from './diff.ts';
import { describeFailure, EXITS } from './failure.ts';
import type { Inputs } from './inputs.ts';
import { cleanEnvironment } from './invocation.ts';
import { comment, createFolder, type Job, readInputs, readJob, saveState, setOutputs } from './job.ts';
import type { StepConfig } from './job-folder.ts';
import { OUTPUTS } from './outputs.ts';
import { appendLines } from './runner-files.ts';
import { createSandProgram } from './sand-program.ts';
import { runSetup } from './setup.ts';
import { runStep } from './step.ts';
import { isTelling, summarizeRun } from './summary.ts';
import { readVersion } from './version.ts';
import { formatAnnotation } from './workflow-command.ts';

/** The line that puts a `run:` step into a guest: a name in PATH, since `defaults` know nothing of a job's steps. */
const SHELL_NAME = 'sand-shell';
const SHELL_LINE = `${SHELL_NAME} {0}`;

const out = process.stdout;

async function act(job: Job, inputs: Inputs): Promise<number> {
  const folder = createFolder(job);
  const environment = cleanEnvironment(job.environment, []);
  const { workspace } = job;
  const sand = await createSandProgram({ spec: inputs.sand, workspace, folder, environment });
  if (inputs.mode === 'diff') return runDiff({ job, inputs, sand, folder, out });
  await runSetup({
    sand,
    cwd: workspace,
    environment,
    allowed: inputs.setup,
    say: job.say,
    remember: (change, isMade) => saveState(job, `apparmor_${change}`, String(isMade)),
  });
  const { token: _, ...rest } = inputs;
  const config: StepConfig = { sand, inputs: rest, workspace, folder };
  return inputs.mode === 'shell' ? offerShell(job, config) : runCommand(job, inputs, config);
}

function offerShell(job: Job, config: StepConfig): number {
  const { folder } = config;
  const place = join(folder, 'config.json');
  writeFileSync(place, JSON.stringify(config), { mode: 0o600 });
  const program = join(dirname(fileURLToPath(import.meta.url)), 'shell.js');
  const words = [process.execPath, program, place].map(quote).join(' ');
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, SHELL_NAME), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o700 });
  appendLines(job.environment.GITHUB_PATH, [bin]);
  saveState(job, 'folder', folder);
  setOutputs(job, { shell: SHELL_LINE });
  job.say(`every run: step with this line is in a guest: shell: ${SHELL_LINE}`);
  job.say('for all of a job: defaults: {run: {shell: "sand-shell {0}"}}; steps with uses: stay outside');
  return 0;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

async function runCommand(job: Job, inputs: Inputs, config: StepConfig): Promise<number> {
  const { workspace, environment } = job;
  const script = join(config.folder, 'script');
  writeFileSync(script, `${inputs.run}\n`, { mode: 0o600 });
  const workdir = resolve(workspace, inputs.workingDirectory);
  const title = inputs.name === '' ? null : inputs.name;
  const request = { config, script, workdir, environment, out, title, reservedOutputs: OUTPUTS };
  const { exitCode, result, reports } = await runStep(request);
  const report = result?.report ?? null;
  setOutputs(job, {
    'exit-code': String(exitCode),
    denied: String(report?.denied.length ?? 0),
    drift: String(report?.drift.length ?? 0),
    run: report?.run ?? '',
    'audit-log': report?.auditLog ?? '',
    'report-json': reports.json,
    'report-sarif': reports.sarif,
    'report-markdown': reports.markdown,
  });
  await comment(job, inputs, result !== null && isTelling(result) ? summarizeRun(result) : null);
  return exitCode;
}

const job = readJob(process.env, out);
const inputs = readInputs(job, out, `sand-egress@${readVersion()}`);
try {
  process.exitCode = inputs === null ? EXITS.usage : await act(job, inputs);
} catch (error) {
  const { exit, title, message } = describeFailure(error);
  out.write(formatAnnotation({ level: 'error', title, message }));
  process.exitCode = exit;
}
