/** What the runner tells of the job, read once from the environment: places, event, and where words to people go. */
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type CommentOutcome, runComment } from './comment.ts';
import { parseEvent, type WorkflowEvent } from './event.ts';
import { type Inputs, parseInputs } from './inputs.ts';
import { LIMITS } from './limits.ts';
import { maskSecrets } from './masking.ts';
import { appendEntries, type Environment } from './runner-files.ts';
import { formatAnnotation, formatLine } from './workflow-command.ts';

export interface Job {
  readonly environment: Environment;
  readonly workspace: string;
  readonly temp: string;
  readonly event: WorkflowEvent;
  readonly say: (text: string) => void;
  readonly notice: (title: string, message: string) => void;
}

export function readJob(environment: Environment, out: NodeJS.WritableStream): Job {
  const event = environment.GITHUB_EVENT_PATH ?? '';
  return {
    environment,
    workspace: resolve(environment.GITHUB_WORKSPACE ?? process.cwd()),
    temp: resolve(environment.RUNNER_TEMP ?? tmpdir()),
    event: parseEvent(event === '' ? '' : textOr(event)),
    say: (text) => void out.write(formatLine(text)),
    notice: (title, message) => void out.write(formatAnnotation({ level: 'notice', title, message })),
  };
}

function textOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Of the action's own, in the runner's folder for the job, which no guest gets. */
export function createFolder({ temp }: Job): string {
  mkdirSync(temp, { recursive: true });
  return mkdtempSync(join(temp, 'sand-egress-'));
}

export function setOutputs({ environment }: Job, outputs: Readonly<Record<string, string>>): void {
  appendEntries(
    environment.GITHUB_OUTPUT,
    Object.entries(outputs).map(([name, value]) => ({ name, value })),
  );
}

/** By `readState` of the same use of the action, when the job ends. */
export function saveState({ environment }: Job, name: string, value: string): void {
  appendEntries(environment.GITHUB_STATE, [{ name, value }]);
}

export function readState({ environment }: Job, name: string): string {
  return environment[`STATE_${name}`] ?? '';
}

/** `body` null: there is nothing to say, and a comment that said something goes. */
export async function comment(job: Job, inputs: Inputs, body: string | null): Promise<void> {
  const { environment, event } = job;
  if (!inputs.comment || event.pullRequest === null) return;
  const { GITHUB_API_URL: apiUrl, GITHUB_REPOSITORY: repository } = environment;
  if (apiUrl === undefined || repository === undefined || inputs.token === '') return;
  const key = [environment.GITHUB_WORKFLOW, environment.GITHUB_JOB, inputs.mode, inputs.name].join('\n');
  const outcome = await runComment({
    pull: { apiUrl, repository, number: event.pullRequest },
    token: inputs.token,
    key,
    body: body === null ? null : masked(job, inputs, body),
    fetch,
  });
  tell(job, outcome);
}

function tell({ say, notice }: Job, outcome: CommentOutcome): void {
  if (outcome.kind === 'failed') {
    const hint =
      'The token wants pull-requests: write, which pull requests from forks never get. The summary has it all.';
    notice('sand: no comment on the pull request', `${outcome.why}. ${hint}`);
  } else if (outcome.kind !== 'unneeded') {
    say(`the comment on the pull request was ${outcome.kind}`);
  }
}

function masked({ environment }: Job, inputs: Inputs, body: string): string {
  const text = maskSecrets(body, [inputs.token, ...inputs.env.map((name) => environment[name] ?? '')]);
  return text.length <= LIMITS.commentCharacters
    ? text
    : 'There is too much for a comment: see the summary of the job.';
}

/** Raises nothing: an issue of an input is said here, and null is given. */
export function readInputs(
  { environment }: Job,
  out: NodeJS.WritableStream,
  defaultSand: string,
): Inputs | null {
  const parsed = parseInputs(environment, defaultSand);
  if (parsed.ok) return parsed.inputs;
  for (const message of parsed.issues) {
    out.write(formatAnnotation({ level: 'error', title: 'sand (usage)', message }));
  }
  return null;
}
