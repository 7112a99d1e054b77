/** `sand image` in the command tree. What it does is in the files beside this one. */
import type { CommandTree, ProgramContext } from '../program.ts';

export function addImage(program: CommandTree, context: ProgramContext): void {
  const image = program
    .command('image')
    .summary('get what guests are made of')
    .description('Looks after what guests are made of beside the files of this machine.');
  addImageCreate(image, context);
}

function addImageCreate(image: CommandTree, context: ProgramContext): void {
  image
    .command('create')
    .description(
      'Gets what sand run --isolation vm boots: downloads Debian\u2019s cloud kernel with apt-get and unpacks it into sand\u2019s cache. Installs nothing.',
    )
    .argument('<KIND>', 'vm')
    .option('--json', 'print JSON', false)
    .action(async (kind: string, flags: { readonly json: boolean }) => {
      const { imageCreate } = await import('./create.ts');
      context.finish(await imageCreate(kind, { ...flags, write: context.write }));
    });
}
