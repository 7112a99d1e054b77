/** `sand ssh` in the command tree: its flags and help text. What it does is `ssh.ts`. */
import type { CommandTree, ProgramContext } from './program.ts';
import type { SshFlags } from './ssh.ts';

const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function addSsh(program: CommandTree, context: ProgramContext): void {
  program
    .command('ssh')
    .summary('reach a guest by ssh')
    .description(
      'Opens an ssh session in a guest that runs, or runs a command by one: sand ssh GUEST [-- CMD [ARG...]]. No port is opened; the keys are the run\u2019s own.',
    )
    .usage('[FLAGS] GUEST [-- CMD [ARG...]]')
    .argument('<GUEST>', 'a guest, by its name or its run')
    .option('--config', 'print the Host block by which ssh, rsync and editors reach the guest', false)
    .option(
      '-L, --forward <SPEC>',
      'as -L of ssh: [ADDR:]PORT:HOST:PORT, where HOST is the guest\u2019s',
      list,
      [],
    )
    .option('--stdio', 'be the connection, on standard input and output; what the Host block runs', false)
    .action(async (guest: string, flags: SshFlags) => {
      const { sshCommand } = await import('./ssh.ts');
      const { command, write } = context;
      context.finish(await sshCommand(flags, { env: process.env, guest, command, write }));
    });
}
