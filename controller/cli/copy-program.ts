/** `sand cp` in the command tree: its flags and help text. What it does is `cp.ts`. */
import type { CommandTree, ProgramContext } from './program.ts';

export function addCopy(program: CommandTree, context: ProgramContext): void {
  program
    .command('cp')
    .summary('copy files out of a guest, or into it')
    .description(
      'Copies a file or folder between the host and a guest that runs. One of the two places is GUEST:/PATH, the other a path of the host, or - for a tar archive. Where DST is a folder, it goes into it. Exit 1: something was left out.',
    )
    .argument('<SRC>', 'what is copied; a folder with /. at its end means what it holds')
    .argument('<DST>', 'where it goes')
    .option('--max-size <SIZE>', 'the most that is taken from a guest: 512m, 20g (default: 8g)')
    .option('--json', 'print as JSON what was copied and what was left out', false)
    .action(
      async (
        source: string,
        destination: string,
        flags: { readonly maxSize?: string; readonly json: boolean },
      ) => {
        const [{ copyCommand }, { workingFolder }] = await Promise.all([
          import('./cp.ts'),
          import('../run/workspace.ts'),
        ]);
        const tell = (text: string) => void process.stderr.write(text);
        const at = { env: process.env, cwd: workingFolder(), write: context.write, tell };
        context.finish(await copyCommand({ source, destination, ...flags }, at));
      },
    );
}
