/** The flags of `sand verify`. */
import { DEFAULT_BACKEND } from '../backends/backend.ts';
import type { CommandTree, ProgramContext } from './program.ts';

interface VerifyFlags {
  readonly backend: string;
  readonly image?: string;
  readonly isolation?: string;
  readonly link?: string;
  readonly json: boolean;
}

export function addVerify(program: CommandTree, context: ProgramContext): void {
  program
    .command('verify')
    .summary('try to break out of a guest on this machine')
    .description(
      'Starts a guest, tries from inside it what it must not be able to do, and prints what came of each. Exit 0: everything held.',
    )
    .option('--backend <NAME>', 'the backend to try', DEFAULT_BACKEND)
    .option('--image <REF>', 'as for run')
    .option('--isolation <KIND>', 'as for run, where the backend has several')
    .option('--link <NAME>', 'as for run, where the backend has several')
    .option('--json', 'print the rows as a JSON array', false)
    .action(async ({ backend, image, isolation, link, json }: VerifyFlags) => {
      const { runVerify } = await import('./verify.ts');
      const tell = (text: string) => void process.stderr.write(text);
      const { write } = context;
      context.finish(
        await runVerify({
          backend,
          image: image ?? null,
          isolation: isolation ?? null,
          link: link ?? null,
          json,
          write,
          tell,
          environ: process.env,
        }),
      );
    });
}
