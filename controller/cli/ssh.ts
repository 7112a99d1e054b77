/** `sand ssh`: a session by the host's ssh in a guest that runs, and what editors need for one of their own. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../../audit/runs.ts';
import { startGuestProcess } from '../process/runner.ts';
import { shellWord } from '../process/shell-word.ts';
import { toolPath } from '../process/tool-path.ts';
import { usage } from '../run/options.ts';
import { processSignals } from '../run/signals.ts';
import { formatHostBlock, type SshHost } from '../ssh/client-config.ts';
import { prepareSsh, serveSsh } from '../ssh/connection.ts';
import { chooseRun } from './run-choice.ts';

export interface SshFlags {
  readonly config: boolean;
  readonly forward: readonly string[];
  readonly stdio: boolean;
}

export interface SshContext {
  readonly env: Environment;
  readonly guest: string;
  readonly command: readonly string[] | null;
  readonly write: (text: string) => void;
}

/** The command's own exit code; 255 where the connection failed. */
export async function sshCommand(flags: SshFlags, context: SshContext): Promise<number> {
  const { env, guest } = context;
  const run = await chooseRun({ env, run: guest });
  const signals = processSignals(false);
  if (flags.stdio) return serveSsh(run, signals);
  if (flags.config && (context.command !== null || flags.forward.length > 0))
    throw usage('--config prints settings, and runs nothing', 'leave --config out, or the rest');
  const proxy = [process.execPath, ...process.execArgv, process.argv[1] ?? 'sand', 'ssh', '--stdio', guest];
  const host = await prepareSsh({ run, guest, signals, proxy });
  if (flags.config) {
    context.write(formatHostBlock(host));
    return 0;
  }
  return runClient(host, join(run.directory, 'ssh', `config.${process.pid}`), flags.forward, context.command);
}

/** With a file of its own: what a person has set for other hosts plays no part. */
async function runClient(
  host: SshHost,
  path: string,
  forward: readonly string[],
  command: readonly string[] | null,
): Promise<number> {
  writeFileSync(path, formatHostBlock(host), { mode: 0o600 });
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  const args = [
    ...['-F', path, ...(terminal ? ['-t'] : [])],
    ...forward.flatMap((text) => ['-L', text]),
    ...['--', host.alias, ...(command ?? []).map(shellWord)],
  ];
  const ignore = () => {};
  process.on('SIGINT', ignore).on('SIGQUIT', ignore);
  try {
    const client = await startGuestProcess('ssh', args, {
      environment: { ...set(process.env), PATH: toolPath(process.env) },
      stdio: ['inherit', 'inherit', 'inherit'],
      descriptors: [],
      sharesSession: true,
    });
    return (await client.ended).exitCode ?? 255;
  } finally {
    process.off('SIGINT', ignore).off('SIGQUIT', ignore);
    rmSync(path, { force: true });
  }
}

/** For ssh the caller's own: its terminal, its language, and what the connection finds the run by. */
function set(environ: Environment): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(environ).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
