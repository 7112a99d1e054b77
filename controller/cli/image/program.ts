/** `sand image` in the command tree. What it does is in the files beside this one. */
import type { CommandTree, ProgramContext } from '../program.ts';

export function addImage(program: CommandTree, context: ProgramContext): void {
  const image = program
    .command('image')
    .summary('list, unpack and remove the images that guests run in')
    .description('Looks after the images that sand has unpacked; see sand run --image.');
  image
    .command('ls')
    .description('Lists them.')
    .option('--json', 'print JSON', false)
    .action(async (flags: { readonly json: boolean }) => {
      const { imageList } = await import('./image.ts');
      context.finish(imageList({ ...flags, env: process.env, write: context.write }));
    });
  image
    .command('import')
    .description('Unpacks an image now, so that the next run does not wait for it.')
    .argument('<REF>', 'an archive, a layout or an image of podman\u2019s store, as for sand run --image')
    .action(async (ref: string) => {
      const { imageImport } = await import('./image.ts');
      context.finish(await imageImport(ref, { env: process.env, write: context.write }));
    });
  image
    .command('rm')
    .description('Removes unpacked images. Guests that run in one lose their files.')
    .argument('<NAME|DIGEST...>', 'as sand image ls shows it; of a digest the beginning is enough')
    .action(async (names: readonly string[]) => {
      const { imageRemove } = await import('./image.ts');
      context.finish(imageRemove(names, { env: process.env, write: context.write }));
    });
  image
    .command('pull')
    .description('Pulls nothing: it says what to run instead.')
    .argument('<NAME>', 'of an image in a registry')
    .action(async (name: string) => {
      const { imagePull } = await import('./image.ts');
      imagePull(name);
    });
  addImageCreate(image, context);
}

function addImageCreate(image: CommandTree, context: ProgramContext): void {
  image
    .command('create')
    .description(
      'Gets what sand run --isolation vm boots: downloads Debian\u2019s cloud kernel with apt-get and unpacks it into sand\u2019s cache, and installs nothing. Or, on a Mac, what sand run --backend tart clones: installs macOS into a machine of Tart\u2019s, which takes 20 minutes and more.',
    )
    .argument('<KIND>', 'vm, or on a Mac macos')
    .option('--from <SOURCE>', 'of macos: latest, or the path of a restore image (.ipsw)')
    .option('--json', 'print JSON', false)
    .action(async (kind: string, { from, json }: { readonly from?: string; readonly json: boolean }) => {
      const { imageCreate } = await import('./create.ts');
      const source = from === undefined ? {} : { source: from };
      context.finish(await imageCreate(kind, { json, ...source, write: context.write }));
    });
}
