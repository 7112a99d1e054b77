/** `sand ci` as flags and help texts. What it does is in `ci/ci.ts`. */
import type { CommandTree, ProgramContext } from './program.ts';
import { addGuestOptions, list } from './run-program.ts';

export function addCi(program: CommandTree, context: ProgramContext): void {
  const ci = program
    .command('ci')
    .summary('run a command as sand run does, and fail where it strays from its baseline')
    .description(
      'Runs a command in a new guest, compares what it used with a recorded baseline, and writes reports: sand ci [FLAGS] -- CMD [ARG...]',
    )
    .usage('[FLAGS] -- CMD [ARG...]')
    .option('--baseline <FILE>', 'what the run is compared with (default: the found sand.baseline.json)')
    .option('--no-baseline', 'compare with none')
    .option('--update-baseline', 'write what the run used as the new baseline, if it ended well', false)
    .option(
      '--fail-on <KINDS>',
      'denied, drift, ceiling, several with commas, or none (default: drift with a baseline, else denied)',
    )
    .option(
      '--report <FORMAT=FILE>',
      'write a report: json, markdown, sarif or junit; FILE - is standard output',
      list,
      [],
    );
  addGuestOptions(ci)
    .addHelpText('after', CI_HELP)
    .action(async (flags, command: CommandTree) => {
      const { ciCommandLine } = await import('./ci/ci.ts');
      context.finish(await ciCommandLine(flags, command.args, context));
    });
}

const CI_HELP = `
Exit codes: the command's own where it is not 0; 120 something was denied, 121 drift; 122 a start probe failed;
124 --timeout; 125 sand failed; 2 wrong use. Of several the first of these.

Examples:
  sand ci --policy ./sand.policy.yaml -- npm test
  sand ci --policy ./sand.policy.yaml --update-baseline -- npm test
  sand ci --policy ./sand.policy.yaml --report markdown=summary.md -- npm test
`;
