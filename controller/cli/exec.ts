/** `sand exec | shell`: another command in a guest that runs, on the caller's own streams. */
import type { Environment } from '../../audit/runs.ts';
import { execInGuest } from '../run/exec.ts';
import { parseEnvFlag, usage } from '../run/options.ts';
import { processSignals } from '../run/signals.ts';
import { chooseRun } from './run-choice.ts';

export interface ExecFlags {
  readonly env: readonly string[];
  readonly workdir?: string;
}

export interface ExecContext {
  readonly env: Environment;
  readonly guest: string;
  /** What stands behind `--`. */
  readonly command: readonly string[] | null;
}

/** The first of these that the guest has. */
const SHELL = ['/bin/sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash; exec sh'];

/** The command's own exit code. */
export async function execCommand(
  flags: ExecFlags,
  stray: readonly string[],
  context: ExecContext,
): Promise<number> {
  if (stray.length > 0)
    throw usage(
      `${stray[0]} stands before --`,
      `write sand exec ${context.guest} -- ${[...stray, ...(context.command ?? [])].join(' ')}`,
    );
  const command = context.command ?? [];
  if (command.length === 0 || command[0] === '')
    throw usage(
      'no command to run',
      `write sand exec ${context.guest} -- CMD, or sand shell ${context.guest}`,
    );
  return execOnStreams(flags, command, context);
}

export function shellCommand(flags: ExecFlags, context: ExecContext): Promise<number> {
  return execOnStreams(flags, SHELL, context);
}

async function execOnStreams(
  flags: ExecFlags,
  command: readonly string[],
  { env, guest }: ExecContext,
): Promise<number> {
  const variables = flags.env.map((text) => parseEnvFlag(text, process.env));
  if (flags.workdir !== undefined && !flags.workdir.startsWith('/'))
    throw usage(`--workdir ${flags.workdir} is not absolute`, 'write a path as the guest sees it');
  const run = await chooseRun({ env, run: guest });
  const terminal = [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY === true);
  return execInGuest(run, {
    command,
    environment: {
      ...(process.env.TERM === undefined ? {} : { TERM: process.env.TERM }),
      ...Object.fromEntries(variables.map(({ name, value }) => [name, value])),
    },
    workdir: flags.workdir ?? null,
    stdio: ['inherit', 'inherit', 'inherit'],
    terminal,
    signals: processSignals(terminal),
  });
}
