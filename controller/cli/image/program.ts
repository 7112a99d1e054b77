/** `sand image` in the command tree. What it does is in the files beside this one. */
import { DEFAULT_BACKEND } from '../../backends/backend.ts';
import type { CommandTree, ProgramContext } from '../program.ts';

interface ImageFlags {
  readonly backend: string;
  readonly json: boolean;
}

export const BACKEND_HELP = `whose (default: ${DEFAULT_BACKEND})`;

export function addImage(program: CommandTree, context: ProgramContext): void {
  const image = program
    .command('image')
    .summary('list, fetch, build and remove the images that guests run in')
    .description('Looks after the images of a backend\u2019s guests; see sand run --image.');
  const contextOf = ({ backend = DEFAULT_BACKEND, json }: Partial<ImageFlags>) => ({
    backend,
    json: json ?? false,
    env: process.env,
    write: context.write,
  });
  image
    .command('ls')
    .description('Lists them.')
    .option('--backend <NAME>', BACKEND_HELP)
    .option('--json', 'print JSON', false)
    .action(async (flags: ImageFlags) => {
      const { imageList } = await import('./image.ts');
      context.finish(await imageList(contextOf(flags)));
    });
  image
    .command('pull')
    .description(
      'Fetches an image by this machine\u2019s own network, also where an older one of that name is kept. apple-container only.',
    )
    .argument('<NAME>', 'of an image in a registry')
    .option('--platform <P>', 'linux/arm64, linux/amd64 (default: this host\u2019s)')
    .option('--backend <NAME>', BACKEND_HELP)
    .option('--json', 'print JSON', false)
    .action(async (name: string, flags: ImageFlags & { readonly platform?: string }) => {
      const { imagePull } = await import('./image.ts');
      context.finish(await imagePull(name, { ...contextOf(flags), platform: flags.platform }));
    });
  image
    .command('import')
    .description(
      'Takes in an image that is on this machine: unpacks it for linux, loads it for apple-container.',
    )
    .argument('<REF>', 'as for sand run --image; for apple-container an archive in OCI form')
    .option('--backend <NAME>', BACKEND_HELP)
    .option('--json', 'print JSON', false)
    .action(async (ref: string, flags: ImageFlags) => {
      const { imageImport } = await import('./image.ts');
      context.finish(await imageImport(ref, contextOf(flags)));
    });
  image
    .command('rm')
    .description('Removes images. Guests of the linux backend that run in one lose their files.')
    .argument('<NAME|DIGEST...>', 'as sand image ls shows it; of a digest the beginning is enough')
    .option('--backend <NAME>', BACKEND_HELP)
    .option('--json', 'print JSON', false)
    .action(async (names: readonly string[], flags: ImageFlags) => {
      const { imageRemove } = await import('./image.ts');
      context.finish(await imageRemove(names, contextOf(flags)));
    });
  addImageBuild(image, context);
  addImageCreate(image, context);
}

function addImageBuild(image: CommandTree, context: ProgramContext): void {
  image
    .command('build')
    .description(
      'Builds the Dockerfile that sand.yaml names, now and as it is, outside every policy. apple-container only.',
    )
    .option('--project-file <FILE>', 'the file that names it (default: the found sand.yaml)')
    .option('--backend <NAME>', BACKEND_HELP)
    .option('--json', 'print JSON', false)
    .action(async (flags: Partial<ImageFlags> & { readonly projectFile?: string }) => {
      const { imageBuild } = await import('./build.ts');
      const { backend, projectFile, json = false } = flags;
      const options = { backend, projectFile, json, env: process.env, write: context.write };
      context.finish(await imageBuild(options));
    });
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
