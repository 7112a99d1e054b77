/** `sand volume` in the command tree. What it does is in `volume.ts`. */
import { DEFAULT_BACKEND } from '../backends/backend.ts';
import { BACKEND_HELP } from './image/program.ts';
import type { CommandTree, ProgramContext } from './program.ts';

interface VolumeFlags {
  readonly backend?: string;
  readonly json: boolean;
}

export function addVolume(program: CommandTree, context: ProgramContext): void {
  const volume = program
    .command('volume')
    .summary('list and remove what is kept from guest to guest')
    .description('Looks after the volumes of sand run --volume and of a sand.yaml.');
  const contextOf = ({ backend = DEFAULT_BACKEND, json }: VolumeFlags) => ({
    ...{ backend, json },
    ...{ env: process.env, write: context.write },
  });
  volume
    .command('ls')
    .description('Lists those that sand made, of all projects.')
    .option('--backend <NAME>', BACKEND_HELP)
    .option('--json', 'print JSON', false)
    .action(async (flags: VolumeFlags) => {
      const { volumeList } = await import('./volume.ts');
      context.finish(await volumeList(contextOf(flags)));
    });
  volume
    .command('rm')
    .description('Removes volumes with all that is in them.')
    .argument('<NAME...>', 'of this project\u2019s, or the whole name of any')
    .option('--backend <NAME>', BACKEND_HELP)
    .option('--json', 'print JSON', false)
    .action(async (names: readonly string[], flags: VolumeFlags) => {
      const { volumeRemove } = await import('./volume.ts');
      context.finish(await volumeRemove(names, contextOf(flags)));
    });
}
