/** `sand policy set` in the command tree: its flags and help text. What it does is `set.ts`. */
import type { CommandTree, ProgramContext } from '../program.ts';

export function addSet(policy: CommandTree, context: ProgramContext): void {
  policy
    .command('set')
    .summary('give a guest that runs another policy')
    .description(
      'Tells what the policy opens and closes, and has the guest go by it from now on: what it no longer allows is ended.',
    )
    .argument('<GUEST>', 'a guest, by its name or its run')
    .argument('<POLICY...>', 'presets, groups or policy files, as --policy of run; several are a union')
    .option('--json', 'print JSON', false)
    .action(async (guest: string, policies: readonly string[], flags: { readonly json: boolean }) => {
      const [{ setPolicy }, { workingFolder }] = await Promise.all([
        import('./set.ts'),
        import('../../run/workspace.ts'),
      ]);
      const surroundings = {
        cwd: workingFolder(),
        environ: process.env,
        nowMs: Date.now(),
        write: context.write,
      };
      context.finish(await setPolicy({ guest, policies, ...flags }, surroundings));
    });
}
