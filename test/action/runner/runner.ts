/**
 * A stand-in for GitHub's runner, as far as an action can tell: it reads action.yml, gives inputs as variables, a file for each kind
 * of command, state for the post step, and runs `run:` steps with a `shell:` line. Written from the runner's sources.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { type Command, mask, readLog, readVariables } from './commands.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
/** Longer than a step takes on a loaded machine. */
const STEP_DEADLINE_MS = 90_000;
const ORDINARY_UID = 54_321;

const BUILT_IN: Readonly<Record<string, string>> = {
  bash: 'bash --noprofile --norc -e -o pipefail {0}',
  sh: 'sh -e {0}',
  python: 'python {0}',
};

export interface ActionDefinition {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default?: string }>>;
  readonly outputs: Readonly<Record<string, { readonly description: string }>>;
  readonly runs: { readonly using: string; readonly main: string; readonly post: string };
}

export function readAction(): ActionDefinition {
  return parse(readFileSync(join(ROOT, 'action.yml'), 'utf8')) as ActionDefinition;
}

export interface RunnerOptions {
  readonly node: string;
  /** The event's content. */
  readonly event?: unknown;
  readonly eventName?: string;
  readonly apiUrl?: string;
  /** Variables of the job, `env:`. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  /** Programs that stand first in PATH. */
  readonly fakes?: Readonly<Record<string, string>>;
  readonly shell?: string;
}

export interface Step {
  readonly id?: string;
  readonly run?: string;
  /** Names the action under test. */
  readonly uses?: string;
  readonly with?: Readonly<Record<string, string>>;
  readonly shell?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly 'working-directory'?: string;
}

export interface StepOutcome {
  readonly code: number | null;
  readonly log: string;
  readonly commands: readonly Command[];
  readonly outputs: ReadonlyMap<string, string>;
  readonly summary: string;
  /** Everything, not masked. */
  readonly raw: string;
}

export interface Runner {
  readonly root: string;
  readonly workspace: string;
  readonly temp: string;
  /** What the job's steps have got by GITHUB_ENV. */
  readonly globalEnvironment: ReadonlyMap<string, string>;
  readonly globalPath: readonly string[];
  file(name: string, content: string): string;
  /** What the event's file says from now on. */
  event(content: unknown): void;
  /** On the host, as the runner's user. */
  host(argv: readonly string[]): Promise<string>;
  step(step: Step): Promise<StepOutcome>;
  /** Post steps, in reverse. */
  end(): Promise<readonly StepOutcome[]>;
  remove(): void;
}

export function createRunner(options: RunnerOptions): Runner {
  const root = mkdtempSync(join(tmpdir(), 'sand-runner-'));
  chmodSync(root, 0o755);
  const isRoot = process.getuid?.() === 0;
  const own = (path: string): string => {
    if (isRoot) chownSync(path, ORDINARY_UID, ORDINARY_UID);
    return path;
  };
  const folder = (...names: string[]): string => {
    const path = join(root, ...names);
    mkdirSync(path, { recursive: true });
    return own(path);
  };
  const home = folder('home');
  folder('work');
  folder('work/project');
  const workspace = folder('work/project/project');
  const temp = folder('work/_temp');
  const commandFolder = folder('work/_temp/_runner_file_commands');
  const action = folder('work/_actions');
  for (const name of ['action.yml', 'package.json', 'action/dist']) {
    cpSync(join(ROOT, name), join(action, name), { recursive: true });
  }
  const bin = folder('bin');
  for (const [name, text] of Object.entries(options.fakes ?? {})) {
    writeFileSync(join(bin, name), text, { mode: 0o755 });
  }
  const eventPath = join(folder('work/_temp/_github_workflow'), 'event.json');
  writeFileSync(eventPath, JSON.stringify(options.event ?? {}));
  own(eventPath);
  const definition = readAction();
  const globalEnvironment = new Map<string, string>();
  const globalPath: string[] = [];
  const masks = Object.values(options.secrets ?? {});
  const results = new Map<string, ReadonlyMap<string, string>>();
  const posts: (() => Promise<StepOutcome>)[] = [];
  let count = 0;

  const contexts = (text: string): string =>
    text.replaceAll(/\$\{\{\s*([^}]+?)\s*\}\}/g, (_, expression: string) => {
      const [context = '', name = '', , output = ''] = expression.split('.');
      if (expression === 'github.token') return options.secrets?.GITHUB_TOKEN ?? '';
      if (context === 'secrets') return options.secrets?.[name] ?? '';
      if (context === 'env') return globalEnvironment.get(name) ?? options.environment?.[name] ?? '';
      if (context === 'steps') return results.get(name)?.get(output) ?? '';
      throw new Error(`the stand-in does not know ${expression}`);
    });
  const all = (values: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, contexts(String(value))]));

  const baseEnvironment = (step: Step, id: string): Record<string, string> => ({
    PATH:
      [...[...globalPath].reverse(), bin, dirname(options.node), '/usr/local/sbin:/usr/local/bin'].join(':') +
      ':/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: home,
    LANG: 'C.UTF-8',
    CI: 'true',
    ...all(options.environment),
    ...Object.fromEntries(globalEnvironment),
    ...all(step.env),
    GITHUB_ACTIONS: 'true',
    GITHUB_ACTION: id,
    GITHUB_API_URL: options.apiUrl ?? 'http://127.0.0.1:9',
    GITHUB_EVENT_NAME: options.eventName ?? 'push',
    GITHUB_EVENT_PATH: eventPath,
    GITHUB_JOB: 'build',
    GITHUB_REPOSITORY: 'octo/project',
    GITHUB_RUN_ID: '1658821493',
    GITHUB_SHA: 'ffac537e6cbbf934b08745a378932722df287a53',
    GITHUB_WORKFLOW: 'CI',
    GITHUB_WORKSPACE: workspace,
    RUNNER_OS: 'Linux',
    RUNNER_ARCH: 'X64',
    RUNNER_TEMP: temp,
    ACTIONS_RUNTIME_TOKEN: 'runtime-token-of-the-job',
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'id-token-of-the-job',
  });

  const execute = async (
    argv: readonly string[],
    cwd: string,
    environment: Readonly<Record<string, string>>,
    state: Map<string, string>,
  ): Promise<StepOutcome> => {
    const suffix = randomUUID();
    const commandFile = (prefix: string) => {
      const path = join(commandFolder, `${prefix}_${suffix}`);
      writeFileSync(path, '');
      return own(path);
    };
    const files = {
      GITHUB_PATH: commandFile('add_path'),
      GITHUB_ENV: commandFile('set_env'),
      GITHUB_OUTPUT: commandFile('set_output'),
      GITHUB_STATE: commandFile('save_state'),
      GITHUB_STEP_SUMMARY: commandFile('step_summary'),
    };
    const { code, text } = await spawnAs(argv, cwd, { ...environment, ...files }, isRoot);
    const log = readLog(text, masks);
    const read = (name: keyof typeof files) => readFileSync(files[name], 'utf8');
    let failed = code;
    const outputs = new Map<string, string>();
    try {
      for (const [name, value] of readVariables(read('GITHUB_ENV'))) globalEnvironment.set(name, value);
      for (const [name, value] of readVariables(read('GITHUB_OUTPUT'))) outputs.set(name, value);
      for (const [name, value] of readVariables(read('GITHUB_STATE'))) state.set(name, value);
    } catch {
      failed = code === 0 ? 1 : code;
    }
    for (const line of read('GITHUB_PATH').split('\n').filter(Boolean)) globalPath.push(line);
    for (const { name, properties, data } of log.commands) {
      if (name === 'set-output') outputs.set(properties.name ?? '', data);
      if (name === 'save-state') state.set(properties.name ?? '', data);
    }
    const summary = mask(read('GITHUB_STEP_SUMMARY'), masks);
    return { code: failed, log: log.lines.join('\n'), commands: log.commands, outputs, summary, raw: text };
  };

  const useAction = async (step: Step, id: string): Promise<StepOutcome> => {
    const given = all(step.with);
    const unknown = Object.keys(given).filter((name) => !(name in definition.inputs));
    if (unknown.length > 0) throw new Error(`Unexpected input(s) ${unknown.join(', ')}`);
    const values = Object.entries(definition.inputs).map(([name, { default: preset = '' }]) => [
      `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`,
      given[name] ?? contexts(String(preset)),
    ]);
    const inputs = Object.fromEntries(values) as Record<string, string>;
    const state = new Map<string, string>();
    const program = (name: string) => [options.node, join(action, name)];
    posts.unshift(() => {
      const states = Object.fromEntries([...state].map(([name, value]) => [`STATE_${name}`, value]));
      const environment = { ...baseEnvironment(step, id), ...inputs, ...states };
      return execute(program(definition.runs.post), workspace, environment, new Map());
    });
    const environment = { ...baseEnvironment(step, id), ...inputs };
    return execute(program(definition.runs.main), workspace, environment, state);
  };

  const runScript = (step: Step, id: string): Promise<StepOutcome> => {
    const environment = baseEnvironment(step, id);
    const named = step.shell ?? options.shell ?? 'bash';
    const shell = BUILT_IN[named] ?? named;
    const [command = '', ...format] = shell.split(' ');
    if (!format.includes('{0}')) throw new Error("a format string containing '{0}'");
    const script = join(temp, `${randomUUID()}.sh`);
    writeFileSync(script, contexts(step.run ?? ''));
    own(script);
    const argv = [
      which(command, environment.PATH ?? ''),
      ...format.map((word) => word.replace('{0}', script)),
    ];
    const cwd = join(workspace, step['working-directory'] ?? '');
    return execute(argv, cwd, environment, new Map());
  };

  return {
    root,
    workspace,
    temp,
    globalEnvironment,
    globalPath,
    file(name, content) {
      const path = join(workspace, name);
      for (let at = dirname(path); at.startsWith(`${workspace}/`); at = dirname(at)) {
        mkdirSync(at, { recursive: true });
        own(at);
      }
      writeFileSync(path, content);
      return own(path);
    },
    event(content) {
      writeFileSync(eventPath, JSON.stringify(content));
    },
    async host(argv) {
      const { code, text } = await spawnAs(argv, workspace, { ...baseEnvironment({}, 'host') }, isRoot);
      if (code !== 0) throw new Error(`${argv.join(' ')}: ${text}`);
      return text;
    },
    async step(step) {
      count += 1;
      const id = step.id ?? (step.uses === undefined ? `__run_${count}` : `__sand_${count}`);
      const outcome = step.uses === undefined ? await runScript(step, id) : await useAction(step, id);
      results.set(id, outcome.outputs);
      return outcome;
    },
    async end() {
      const outcomes: StepOutcome[] = [];
      for (const post of posts.splice(0)) outcomes.push(await post());
      return outcomes;
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** As the runner looks for a shell: it has to be there. */
function which(name: string, path: string): string {
  if (name.startsWith('/')) return name;
  const found = path
    .split(':')
    .map((place) => join(place, name))
    .find((candidate) => {
      try {
        accessSync(candidate, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  if (found === undefined) throw new Error(`Unable to locate executable file: ${name}`);
  return found;
}

/** GitHub's runners are ordinary users: root becomes one. */
function spawnAs(
  argv: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>>,
  isRoot: boolean,
): Promise<{ readonly code: number | null; readonly text: string }> {
  const as = isRoot
    ? ['setpriv', `--reuid=${ORDINARY_UID}`, `--regid=${ORDINARY_UID}`, '--clear-groups', '--']
    : [];
  const [file = '', ...rest] = [...as, ...argv];
  const child = spawn(file, rest, { cwd, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  const deadline = setTimeout(() => child.kill('SIGKILL'), STEP_DEADLINE_MS);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(deadline);
      resolve({ code, text });
    });
  });
}

export function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
