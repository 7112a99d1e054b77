/**
 * One command of a job in a guest: stages the command files, runs `sand ci`, hands over what may pass, and shows what was
 * denied. The same for `mode: run` and for a step whose `shell:` is `sand-shell`.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { annotateDenied } from './annotation.ts';
import type { Entry } from './command-file.ts';
import { type Handover, planHandover } from './handover.ts';
import {
  COMMAND_FILES,
  type CommandFile,
  cleanEnvironment,
  planInvocation,
  type StepInputs,
  type StepPlace,
} from './invocation.ts';
import { LIMITS } from './limits.ts';
import { proposePatch } from './patch.ts';
import { relay } from './process.ts';
import { type CiReport, list, objectOf, parseCiReport, parseObject } from './report.ts';
import {
  appendEntries,
  appendLines,
  appendText,
  type Environment,
  freshToken,
  readBounded,
} from './runner-files.ts';
import { type StepResult, summarizeRun } from './summary.ts';
import { formatAnnotation, formatLine, resumeCommands, stopCommands } from './workflow-command.ts';

export interface StepConfig {
  /** The words that start sand. */
  readonly sand: readonly string[];
  readonly inputs: StepInputs;
  readonly workspace: string;
  /** The action's own, where no guest can write. */
  readonly folder: string;
}

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
  const result = report === null ? null : await show(request, report, handover);
  appendText(environment.GITHUB_STEP_SUMMARY, handover.summary);
  return { exitCode: exitCodeOf(ended, report, handover), result, reports: place.reports };
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

async function show(request: StepRequest, report: CiReport, handover: Handover): Promise<StepResult> {
  const { config, environment, out, title } = request;
  const { policyFile, patch } = await proposePatch(config, report, environment);
  const places = { workspace: config.workspace, folder: config.workspace, policyFile };
  for (const annotation of annotateDenied(report, config.inputs.failOn, places)) {
    out.write(formatAnnotation(annotation));
  }
  const result = { title, report, patch, heldBack: handover.heldBack };
  const isTelling = report.denied.length + report.drift.length + handover.heldBack.length > 0;
  // Before the guest's own summary, which could leave a fold or a comment open.
  if (isTelling || title === null) appendText(environment.GITHUB_STEP_SUMMARY, `${summarizeRun(result)}\n`);
  if (isTelling) out.write(formatLine(`sand: the log of this step is ${report.auditLog ?? report.run}`));
  return result;
}

/** What guests of this job wrote for those after them. */
interface Kept {
  readonly guestEnv: readonly Entry[];
  readonly guestPath: readonly string[];
}

const KEPT_FILE = 'guests.json';

function readKept(folder: string): Kept {
  const value = parseObject(readBounded(join(folder, KEPT_FILE), LIMITS.reportBytes) ?? '');
  const guestEnv = list(value?.guestEnv).flatMap((entry) => {
    const { name, value: text } = objectOf(entry) ?? {};
    return typeof name === 'string' && typeof text === 'string' ? [{ name, value: text }] : [];
  });
  return { guestEnv, guestPath: list(value?.guestPath).filter((path) => typeof path === 'string') };
}

/** The last value of a name counts, and a path that comes again comes first. Together they stay what one guest may write. */
function keep(folder: string, before: Kept, { guestEnv, guestPath }: Handover): void {
  const entries = new Map([...before.guestEnv, ...guestEnv].map((entry) => [entry.name, entry]));
  let bytes = 0;
  const bounded = [...entries.values()].filter(({ value }) => {
    bytes += Buffer.byteLength(value);
    return bytes <= LIMITS.guestVariablesBytes;
  });
  const paths = [...new Set([...before.guestPath, ...guestPath].reverse())].reverse().slice(-100);
  const temporary = join(folder, `${KEPT_FILE}.new`);
  writeFileSync(temporary, JSON.stringify({ guestEnv: bounded, guestPath: paths }), { mode: 0o600 });
  renameSync(temporary, join(folder, KEPT_FILE));
}

const STEPS_FOLDER = 'steps';

/** For the comment when the job ends. */
export function recordStep(folder: string, result: StepResult): void {
  mkdirSync(join(folder, STEPS_FOLDER), { recursive: true });
  writeFileSync(join(folder, STEPS_FOLDER, `${Date.now()}-${freshToken()}.json`), JSON.stringify(result), {
    mode: 0o600,
  });
}

/** In their order. What is no such file is left out. */
export function readSteps(folder: string): readonly StepResult[] {
  const place = join(folder, STEPS_FOLDER);
  if (!existsSync(place)) return [];
  return readdirSync(place)
    .sort()
    .slice(0, LIMITS.steps)
    .flatMap((name) => {
      const text = readBounded(join(place, name), LIMITS.reportBytes);
      // Written by `recordStep` alone, where no guest can write.
      return text === null ? [] : [JSON.parse(text) as StepResult];
    });
}

export function readConfig(path: string): StepConfig {
  return JSON.parse(readFileSync(path, 'utf8')) as StepConfig;
}
