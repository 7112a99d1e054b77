/**
 * The command line of `sand ci` for one step: what the guest gets of the job's folders, variables and command files. An allowlist:
 * a variable that is neither listed here nor by the workflow stays outside, tokens above all. Pure.
 */
import type { Entry } from './command-file.ts';
import type { Inputs } from './inputs.ts';
import type { Environment } from './runner-files.ts';

/** Of the runner's variables these pass. None is a credential; `env` of the workflow lists the others. */
export const PASSED_VARIABLES: readonly string[] = [
  ...[
    'GITHUB_ACTION',
    'GITHUB_ACTIONS',
    'GITHUB_ACTOR',
    'GITHUB_ACTOR_ID',
    'GITHUB_API_URL',
    'GITHUB_BASE_REF',
  ],
  ...[
    'GITHUB_EVENT_NAME',
    'GITHUB_EVENT_PATH',
    'GITHUB_GRAPHQL_URL',
    'GITHUB_HEAD_REF',
    'GITHUB_JOB',
    'GITHUB_REF',
  ],
  ...[
    'GITHUB_REF_NAME',
    'GITHUB_REF_PROTECTED',
    'GITHUB_REF_TYPE',
    'GITHUB_REPOSITORY',
    'GITHUB_REPOSITORY_ID',
  ],
  ...['GITHUB_REPOSITORY_OWNER', 'GITHUB_REPOSITORY_OWNER_ID', 'GITHUB_RETENTION_DAYS', 'GITHUB_RUN_ATTEMPT'],
  ...['GITHUB_RUN_ID', 'GITHUB_RUN_NUMBER', 'GITHUB_SERVER_URL', 'GITHUB_SHA', 'GITHUB_TRIGGERING_ACTOR'],
  ...['GITHUB_WORKFLOW', 'GITHUB_WORKFLOW_REF', 'GITHUB_WORKFLOW_SHA', 'GITHUB_WORKSPACE', 'RUNNER_ARCH'],
  ...['RUNNER_DEBUG', 'RUNNER_ENVIRONMENT', 'RUNNER_NAME', 'RUNNER_OS', 'RUNNER_TOOL_CACHE'],
];

/** Of the command files these are the guest's, each at a file of its own that is looked through afterwards. */
export const COMMAND_FILES = ['env', 'path', 'output', 'summary', 'state'] as const;
export type CommandFile = (typeof COMMAND_FILES)[number];

export const COMMAND_VARIABLES: Readonly<Record<CommandFile, string>> = {
  env: 'GITHUB_ENV',
  path: 'GITHUB_PATH',
  output: 'GITHUB_OUTPUT',
  summary: 'GITHUB_STEP_SUMMARY',
  state: 'GITHUB_STATE',
};

export type StepInputs = Omit<Inputs, 'token'>;

export interface StepPlace {
  readonly workspace: string;
  /** The step's own. */
  readonly workdir: string;
  readonly script: string;
  readonly commandFiles: Readonly<Record<CommandFile, string>>;
  readonly reports: Readonly<Record<'json' | 'sarif' | 'markdown', string>>;
  readonly guestEnv: readonly Entry[];
  readonly guestPath: readonly string[];
}

/** Arguments behind `sand`. */
export function planInvocation(
  inputs: StepInputs,
  place: StepPlace,
  environment: Environment,
): readonly string[] {
  const each = (flag: string, values: readonly string[]) => values.flatMap((value) => [flag, value]);
  return [
    'ci',
    ...each('--policy', inputs.policy),
    ...each('--allow', inputs.allow),
    ...planBaseline(inputs),
    ...['--fail-on', inputs.failOn.join(',')],
    ...Object.entries(place.reports).flatMap(([format, path]) => ['--report', `${format}=${path}`]),
    ...each('--mount', planMounts(place, environment)),
    ...['--workdir', place.workdir],
    ...each('--env', planVariables(inputs, place, environment)),
    ...inputs.flags,
    '--',
    ...inputs.shell
      .split(/\s+/)
      .filter((word) => word !== '')
      .map((word) => (word === '{0}' ? place.script : word)),
  ];
}

/** A baseline is of one command, not of each step of a job. */
function planBaseline({ mode, baseline }: StepInputs): readonly string[] {
  if (mode !== 'run') return ['--no-baseline'];
  return baseline === null ? [] : ['--baseline', baseline];
}

/** Each command file is a mount of its own: the guest can write to it, and neither replace it nor put a link there. */
function planMounts(place: StepPlace, environment: Environment): readonly string[] {
  const event = environment.GITHUB_EVENT_PATH;
  return [
    place.workspace,
    ...COMMAND_FILES.map((name) => place.commandFiles[name]),
    `${place.script}:${place.script}:ro`,
    ...(event === undefined || event === '' ? [] : [`${event}:${event}:ro`]),
  ];
}

function planVariables(inputs: StepInputs, place: StepPlace, environment: Environment): readonly string[] {
  const path = [...place.guestPath].reverse();
  const own = environment.PATH === undefined ? [] : [environment.PATH];
  return [
    ...PASSED_VARIABLES.filter((name) => environment[name] !== undefined),
    ...inputs.env.filter((name) => environment[name] !== undefined),
    ...place.guestEnv.map(({ name, value }) => `${name}=${value}`),
    ...(path.length === 0 ? [] : [`PATH=${[...path, ...own].join(':')}`]),
    ...COMMAND_FILES.map((name) => `${COMMAND_VARIABLES[name]}=${place.commandFiles[name]}`),
    'RUNNER_TEMP=/tmp',
  ];
}

/** Credentials that a job's steps may have in their environment, which sand itself has no use for. */
const CREDENTIALS = /^(INPUT_|STATE_|ACTIONS_.*(TOKEN|URL)$|GITHUB_TOKEN$|GH_TOKEN$)/i;

/** The environment of sand itself. What the workflow names passes, for `--env` takes it from there. */
export function cleanEnvironment(environment: Environment, named: readonly string[]): Environment {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => named.includes(name) || !CREDENTIALS.test(name)),
  );
}
