/** `sand policy diff` in the command tree: its flags and help text. What it does is `diff.ts`. */
import type { CommandTree, ProgramContext } from '../program.ts';

export function addDiff(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('diff')
    .summary('tell in what two policies differ')
    .description(
      'Tells what NEW allows that OLD does not, and the other way round, each with a request that shows it. Exit 2 for what cannot be read.',
    )
    .argument('<OLD>', 'a policy file, preset, group, REVISION:PATH of git, or - for standard input')
    .argument('<NEW>', 'the same')
    .option('--fail-on <WHAT>', 'exit 1 on: widen, any (a change of what is allowed), or none', 'none')
    .option('--format <F>', 'text, markdown or json', 'text')
    .action(
      async (before: string, after: string, flags: { readonly failOn: string; readonly format: string }) => {
        const [{ diffPolicies }, { readStandardInput }, { workingFolder }] = await Promise.all([
          import('./diff.ts'),
          import('./policy-argument.ts'),
          import('../../run/workspace.ts'),
        ]);
        const surroundings = { cwd: workingFolder(), write: context.write, readInput: readStandardInput };
        context.finish(await diffPolicies({ before, after, ...flags }, surroundings));
      },
    );
}
