/** `sand completion`, and the hidden command that its scripts ask names of. */
import type { CommandTree, ProgramContext } from '../program.ts';

/** What the scripts call; see `names.ts`. */
const COMPLETE = 'complete';

export function addCompletion(program: CommandTree, context: ProgramContext): void {
  program
    .command('completion')
    .summary('print the completion of a shell')
    .description(
      'Prints a script by which bash, zsh or fish completes commands, flags, guests, presets and groups: source <(sand completion bash)',
    )
    .argument('<SHELL>', 'bash, zsh or fish')
    .action(async (name: string) => {
      const [{ completionTree }, { formatCompletion, SHELLS }, { usage }] = await Promise.all([
        import('./tree.ts'),
        import('./scripts.ts'),
        import('../../run/options.ts'),
      ]);
      const shell = SHELLS.find((known) => known === name);
      if (shell === undefined) throw usage(`${name}: no such shell`, `write one of: ${SHELLS.join(', ')}`);
      context.write(formatCompletion(shell, completionTree(program)));
      context.finish(0);
    });
  program
    .command(COMPLETE, { hidden: true })
    .argument('<KIND>')
    .action(async (kind: string) => {
      const { completionNames } = await import('./names.ts');
      context.write(
        completionNames(kind, process.env)
          .map((name) => `${name}\n`)
          .join(''),
      );
      context.finish(0);
    });
}
