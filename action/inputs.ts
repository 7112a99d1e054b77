/**
 * What the workflow asks of the action: the inputs of action.yml, parsed once into typed values. Every issue is reported at
 * once, and a word that does not exist is one. Pure.
 */
import { isReserved } from './handover.ts';

export const MODES = ['run', 'shell', 'diff'] as const;
export type Mode = (typeof MODES)[number];

export interface Inputs {
  readonly mode: Mode;
  readonly run: string;
  readonly shell: string;
  readonly policy: readonly string[];
  readonly allow: readonly string[];
  readonly baseline: string | null;
  readonly failOn: readonly string[];
  /** Relative to the workspace. */
  readonly workingDirectory: string;
  readonly env: readonly string[];
  readonly hostEnv: readonly string[];
  readonly hostPath: boolean;
  readonly workflowCommands: boolean;
  /** Further flags of `sand ci`, a line each. */
  readonly flags: readonly string[];
  readonly comment: boolean;
  readonly token: string;
  /** What tells this use of the action from others in the same pull request. */
  readonly name: string;
  /** An executable, or what npm installs. */
  readonly sand: string;
  readonly setup: boolean;
}

export type ParsedInputs =
  | { readonly ok: true; readonly inputs: Inputs }
  | { readonly ok: false; readonly issues: readonly string[] };

const FAIL_ON: Readonly<Record<Mode, readonly string[]>> = {
  run: ['denied', 'drift', 'ceiling', 'none'],
  shell: ['denied', 'ceiling', 'none'],
  diff: ['widen', 'any', 'none'],
};

/** Shells by name, as the runner starts them. */
const SHELLS: Readonly<Record<string, string>> = {
  bash: 'bash --noprofile --norc -eo pipefail {0}',
  sh: 'sh -e {0}',
  python: 'python3 {0}',
  node: 'node {0}',
};

/** As the runner makes it: only blanks change, and letters become large. */
export function inputVariable(name: string): string {
  return `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`;
}

export function parseInputs(
  environment: Readonly<Record<string, string | undefined>>,
  defaultSand: string,
): ParsedInputs {
  const issues: string[] = [];
  const text = (name: string) => (environment[inputVariable(name)] ?? '').trim();
  const flag = (name: string) => parseBoolean(name, text(name), issues);
  const mode = parseMode(text('mode'), issues);
  const run = (environment[inputVariable('run')] ?? '').trimEnd();
  const baseline = text('baseline');
  const inputs: Inputs = {
    mode,
    run,
    shell: parseShell(text('shell'), issues),
    policy: words(text('policy')),
    allow: words(text('allow')),
    baseline: baseline === '' ? null : baseline,
    failOn: parseFailOn(mode, text('fail-on'), issues),
    workingDirectory: text('working-directory'),
    env: parseNames('env', text('env'), issues),
    hostEnv: parseNames('host-env', text('host-env'), issues),
    hostPath: flag('host-path'),
    workflowCommands: flag('workflow-commands'),
    flags: text('flags')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
    comment: flag('comment'),
    token: text('github-token'),
    name: text('name'),
    sand: text('sand') === '' ? defaultSand : text('sand'),
    setup: flag('setup'),
  };
  issues.push(...findContradictions(inputs));
  return issues.length === 0 ? { ok: true, inputs } : { ok: false, issues };
}

function findContradictions(inputs: Inputs): readonly string[] {
  const { mode, run, baseline, flags, name } = inputs;
  return [
    ...(mode === 'run' && run === '' ? ['`run` is empty: write the command, or `mode: shell`'] : []),
    ...(mode !== 'run' && run !== '' ? [`\`run\` has no meaning with \`mode: ${mode}\`: leave it out`] : []),
    ...(mode !== 'run' && baseline !== null ? ['`baseline` is of one command: use it with `mode: run`'] : []),
    ...flags
      .filter((line) => !/^-{1,2}[a-z]/i.test(line) || line === '--')
      .map((line) => `\`flags\`: ${line} is no flag: write one a line, with \`=\` before its value`),
    ...(/^[\w .,/()+-]{0,80}$/.test(name)
      ? []
      : ['`name`: write letters, digits, blanks and . , / ( ) + - _, at most 80']),
  ];
}

function parseMode(text: string, issues: string[]): Mode {
  const mode = MODES.find((known) => known === (text === '' ? 'run' : text));
  if (mode !== undefined) return mode;
  issues.push(`\`mode: ${text}\`: write one of ${MODES.join(', ')}`);
  return 'run';
}

function parseBoolean(name: string, text: string, issues: string[]): boolean {
  if (/^true$/i.test(text)) return true;
  if (text !== '' && !/^false$/i.test(text)) issues.push(`\`${name}: ${text}\`: write true or false`);
  return false;
}

function parseShell(text: string, issues: string[]): string {
  if (text === '') return SHELLS.bash ?? '';
  const known = Object.hasOwn(SHELLS, text) ? SHELLS[text] : undefined;
  if (known !== undefined) return known;
  if (!text.split(/\s+/).includes('{0}')) {
    issues.push(`\`shell: ${text}\`: write ${Object.keys(SHELLS).join(', ')}, or a command with {0}`);
  }
  return text;
}

/** Without a word: everything that the mode can tell. Drift is only told where there is a baseline. */
const DEFAULT_FAIL_ON: Readonly<Record<Mode, readonly string[]>> = {
  run: ['denied', 'drift'],
  shell: ['denied'],
  diff: ['widen'],
};

function parseFailOn(mode: Mode, text: string, issues: string[]): readonly string[] {
  const given = words(text);
  if (given.length === 0) return DEFAULT_FAIL_ON[mode];
  const known = FAIL_ON[mode];
  const wrong = given.filter((word) => !known.includes(word));
  issues.push(
    ...wrong.map((word) => `\`fail-on: ${word}\`: with \`mode: ${mode}\` write ${known.join(', ')}`),
  );
  if (given.includes('none') && given.length > 1) issues.push('`fail-on`: none stands alone');
  return given;
}

function parseNames(input: string, text: string, issues: string[]): readonly string[] {
  const names = words(text);
  for (const name of names) {
    if (name === '*' && input === 'host-env') continue;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) issues.push(`\`${input}\`: ${name} is no name of a variable`);
    else if (input === 'host-env' && isReserved(name))
      issues.push(`\`${input}\`: ${name} is never taken from a guest`);
  }
  return names;
}

/** Separated by commas, blanks or lines. */
function words(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}
