/**
 * One command of a job in a guest: stages the command files, runs `sand ci`, hands over what may pass, and shows what was
 * denied. The same for `mode: run` and for a step whose `shell:` is `sand-shell`.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { annotateDenied } from './annotation.ts';
import { ActionFailure } from './failure.ts';
import { findCredential } from './git-credentials.ts';
import { type Handover, planHandover } from './handover.ts';
import {
  COMMAND_FILES,
  type CommandFile,
  cleanEnvironment,
  planInvocation,
  type StepPlace,
} from './invocation.ts';
import { type Kept, keep, readKept, type StepConfig } from './job-folder.ts';
import { LIMITS } from './limits.ts';
import { relay } from './process.ts';
import { type CiReport, parseCiReport } from './report.ts';
import {
  appendEntries,
  appendLines,
  appendText,
  type Environment,
  freshToken,
  readBounded,
} from './runner-files.ts';
import { isTelling, type StepResult, summarizeRun } from './summary.ts';
import { formatAnnotation, formatLine, resumeCommands, stopCommands } from './workflow-command.ts';

export interface StepRequest {
  readonly config: StepConfig;
  readonly script: string;
  readonly workdir: string;
  readonly environment: Environment;
  readonly out: NodeJS.WritableStream;
  readonly title: string | null;
  readonly reservedOutputs: readonly string[];
}

export interface StepEnd {
  readonly exitCode: number;
  /** Null where sand did not come so far as to write it. */
  readonly result: StepResult | null;
  readonly reports: StepPlace['reports'];
}

export async function runStep(request: StepRequest): Promise<StepEnd> {
  const { config, environment, out } = request;
  refuseCredential(config);
  const kept = readKept(config.folder);
  const place = createPlace(request, kept);
  const program = {
    argv: [...config.sand, ...planInvocation(config.inputs, place, environment)],
    cwd: config.workspace,
    environment: cleanEnvironment(environment, config.inputs.env),
  };
  const ended = await runGuest(program, out, config.inputs.workflowCommands);
  const handover = takeOver(request, place, kept);
  const report = parseCiReport(readBounded(place.reports.json, LIMITS.reportBytes) ?? '');
  for (const { file, what, why, isFault } of handover.heldBack) {
    const message = `${file}: ${what} ${isFault ? 'was not taken: it' : 'stays in the guest: it'} ${why}`;
    out.write(
      formatAnnotation({ level: isFault ? 'error' : 'notice', title: 'held back from later steps', message }),
    );
  }
  const result = report === null ? null : show(request, report, place, handover);
  appendText(environment.GITHUB_STEP_SUMMARY, handover.summary);
  return { exitCode: exitCodeOf(ended, report, handover), result, reports: place.reports };
}

/** Fail closed: a token in the workspace would be in every guest, and none asked for it. */
function refuseCredential({ workspace, inputs }: StepConfig): void {
  const file = inputs.env.includes('GITHUB_TOKEN') ? null : findCredential(workspace);
  if (file === null) return;
  throw new ActionFailure(
    'usage',
    `${file} holds a credential, which every guest could read`,
    'give actions/checkout `persist-credentials: false`; or list GITHUB_TOKEN in `env`, where guests are meant to have it',
  );
}

/** Fail closed: what says nothing of itself did not run under a policy, and a spoilt command file fails a step as with the runner. */
function exitCodeOf(code: number, report: CiReport | null, { heldBack }: Handover): number {
  if (code !== 0) return code;
  if (report === null) return 125;
  return heldBack.some(({ isFault }) => isFault) ? 1 : 0;
}

async function runGuest(
  program: Parameters<typeof relay>[0],
  out: NodeJS.WritableStream,
  workflowCommands: boolean,
): Promise<number> {
  const token = freshToken();
  if (!workflowCommands) out.write(stopCommands(token));
  try {
    const { code, endsLine } = await relay(program, out);
    if (!endsLine) out.write('\n');
    return code;
  } finally {
    if (!workflowCommands) out.write(resumeCommands(token));
  }
}

function createPlace({ config, script, workdir }: StepRequest, kept: Kept): StepPlace {
  const folder = mkdtempSync(join(config.folder, 'step-'));
  const commandFiles = Object.fromEntries(
    COMMAND_FILES.map((name) => {
      const path = join(folder, name);
      writeFileSync(path, '', { flag: 'wx', mode: 0o600 });
      return [name, path];
    }),
  ) as Record<CommandFile, string>;
  const report = (name: string) => join(folder, `report.${name}`);
  const reports = { json: report('json'), sarif: report('sarif'), markdown: report('md') };
  return { workspace: config.workspace, workdir, script, commandFiles, reports, ...kept };
}

/** The host's files get what may pass; the rest waits for later guests of this job. */
function takeOver(
  { config, environment, reservedOutputs }: StepRequest,
  place: StepPlace,
  kept: Kept,
): Handover {
  const read = (name: CommandFile) => readBounded(place.commandFiles[name], LIMITS.commandFileBytes);
  const { hostEnv, hostPath } = config.inputs;
  const handover = planHandover(
    { env: read('env'), path: read('path'), output: read('output'), summary: read('summary') },
    { hostEnv, hostPath, reservedOutputs },
  );
  appendEntries(environment.GITHUB_ENV, handover.hostEnv);
  appendLines(environment.GITHUB_PATH, handover.hostPath);
  appendEntries(environment.GITHUB_OUTPUT, handover.outputs);
  keep(config.folder, kept, handover);
  return handover;
}

function show(request: StepRequest, report: CiReport, place: StepPlace, { heldBack }: Handover): StepResult {
  const { config, environment, out, title } = request;
  const { workspace, inputs } = config;
  const places = { workspace, folder: workspace, policyFile: report.policyFile };
  for (const annotation of annotateDenied(report, inputs.failOn, places)) {
    out.write(formatAnnotation(annotation));
  }
  const markdown = readBounded(place.reports.markdown, LIMITS.reportBytes) ?? '';
  const result = { title, report, markdown, heldBack };
  const isShown = isTelling(result) || heldBack.length > 0;
  // Before the guest's own summary, which could leave a fold or a comment open.
  if (isShown || inputs.mode === 'run') {
    appendText(environment.GITHUB_STEP_SUMMARY, `${summarizeRun(result)}\n`);
  }
  if (isShown) out.write(formatLine(`sand: the log of this step is ${report.auditLog ?? report.run}`));
  return result;
}
