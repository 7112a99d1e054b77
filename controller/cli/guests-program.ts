/** The commands about guests that stay, as flags and help texts. What each does is in `guests.ts` and `exec.ts`. */
import type { ExecFlags } from './exec.ts';
import type { CommandTree, ProgramContext } from './program.ts';

const GUEST = 'a guest, by its name or its run';
const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function addGuests(program: CommandTree, context: ProgramContext): void {
  addExec(program, context);
  addList(program, context);
  addLogs(program, context);
  addEnds(program, context);
}

function addExec(program: CommandTree, context: ProgramContext): void {
  program
    .command('exec')
    .summary('run another command in a guest')
    .description('Runs a command in a guest that runs: sand exec GUEST -- CMD [ARG...]')
    .usage('[FLAGS] GUEST -- CMD [ARG...]')
    .argument('<GUEST>', GUEST)
    .option('--env <K[=V]>', 'a variable for the command: your own value, or V', list, [])
    .option('--workdir <DIR>', 'working directory, as the guest sees it')
    .allowExcessArguments(true)
    .action(async (guest: string, flags: ExecFlags, command: CommandTree) => {
      const { execCommand } = await import('./exec.ts');
      const stray = command.args.slice(1);
      const at = { env: process.env, guest, command: context.command };
      context.finish(await execCommand(flags, stray, at));
    });
  program
    .command('shell')
    .summary('open a shell in a guest')
    .description('Opens bash, or sh, in a guest that runs.')
    .argument('<GUEST>', GUEST)
    .option('--env <K[=V]>', 'a variable for the shell: your own value, or V', list, [])
    .option('--workdir <DIR>', 'working directory, as the guest sees it')
    .action(async (guest: string, flags: ExecFlags) => {
      const { shellCommand } = await import('./exec.ts');
      context.finish(await shellCommand(flags, { env: process.env, guest, command: null }));
    });
}

function addList(program: CommandTree, context: ProgramContext): void {
  program
    .command('ls')
    .summary('list the guests')
    .description('Lists the guests that run, and those whose supervisor was killed (broken).')
    .option('--all', 'also those that have ended and are not removed', false)
    .option('--json', 'print JSON', false)
    .action(async (flags: { readonly all: boolean; readonly json: boolean }) => {
      const { listGuestsCommand } = await import('./guests.ts');
      context.finish(await listGuestsCommand({ ...contextOf(context), ...flags }));
    });
  program
    .command('prune')
    .summary('remove guests that have ended')
    .description(
      'Removes the guests that have ended or are broken, with all that they owned. Audit logs stay.',
    )
    .option('--json', 'print JSON', false)
    .action(async (flags: { readonly json: boolean }) => {
      const { pruneGuests } = await import('./guests.ts');
      context.finish(await pruneGuests({ ...contextOf(context), ...flags }));
    });
}

function addLogs(program: CommandTree, context: ProgramContext): void {
  program
    .command('logs')
    .summary('show what a guest printed')
    .description(
      'Shows what the commands of a guest in the background printed. What sand decided: sand audit.',
    )
    .argument('<GUEST>', GUEST)
    .option('-f, --follow', 'go on until it has ended', false)
    .option('--json', 'print a JSON object a chunk, with its time and its stream', false)
    .action(async (name: string, flags: { readonly follow: boolean; readonly json: boolean }) => {
      const { showOutput } = await import('./guests.ts');
      const out = (chunk: Buffer) => void process.stdout.write(chunk);
      const err = (chunk: Buffer) => void process.stderr.write(chunk);
      context.finish(await showOutput({ ...contextOf(context), ...flags, name, out, err }));
    });
}

function addEnds(program: CommandTree, context: ProgramContext): void {
  program
    .command('stop')
    .summary('end guests')
    .description('Ends guests: SIGTERM to what runs in them, and SIGKILL after the grace.')
    .argument('<GUEST...>', GUEST)
    .option('--grace <T>', 'time to end: 30s, 2m; 0 ends them at once', '10s')
    .option('--json', 'print JSON', false)
    .action(async (names: readonly string[], flags: { readonly grace: string; readonly json: boolean }) => {
      const [{ stopGuests }, { parseGrace }] = await Promise.all([
        import('./guests.ts'),
        import('../run/options.ts'),
      ]);
      const graceMs = parseGrace(flags.grace);
      context.finish(await stopGuests({ ...contextOf(context), json: flags.json, names, graceMs }));
    });
  program
    .command('rm')
    .summary('remove guests that have ended')
    .description(
      'Removes guests that have ended: their names, their output, all that they owned. Audit logs stay.',
    )
    .argument('<GUEST...>', GUEST)
    .option('--force', 'end those that run first', false)
    .option('--json', 'print JSON', false)
    .action(async (names: readonly string[], flags: { readonly force: boolean; readonly json: boolean }) => {
      const { removeGuests } = await import('./guests.ts');
      context.finish(await removeGuests({ ...contextOf(context), ...flags, names }));
    });
  program
    .command('wait')
    .summary('wait for the end of a guest')
    .description('Waits until a guest has ended. The exit code is that of its command.')
    .argument('<GUEST>', GUEST)
    .option('--json', 'print JSON', false)
    .action(async (name: string, flags: { readonly json: boolean }) => {
      const { waitForGuest } = await import('./guests.ts');
      context.finish(await waitForGuest({ ...contextOf(context), ...flags, names: [name] }));
    });
}

function contextOf(context: ProgramContext) {
  return { env: process.env, write: context.write };
}
