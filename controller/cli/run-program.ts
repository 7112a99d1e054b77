/** `sand run` as flags and help texts, and what other commands share with it. What it does is in `run.ts`. */
import { DEFAULT_BACKEND } from '../backends/backend.ts';
import { SUPERVISE } from '../run/supervisor.ts';
import { METRICS_HELP } from './metrics-program.ts';
import type { CommandTree, ProgramContext } from './program.ts';

export const PARENT_HELP =
  'the proxy that this host itself needs, or none (default: https_proxy, http_proxy and no_proxy)';
export const UPSTREAM_HELP =
  'ask this resolver instead of the system\u2019s: ADDR[:PORT], tls://ADDR[#NAME] or https://NAME/dns-query; repeat it for several';

/** Of a flag that may be repeated. */
export const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function addRun(program: CommandTree, context: ProgramContext): void {
  const run = program
    .command('run')
    .summary('run a command whose only way out is its policy')
    .description('Runs a command in a new guest: sand run [FLAGS] -- CMD [ARG...]')
    .usage('[FLAGS] -- CMD [ARG...]')
    .option(
      '-d, --detach',
      'leave the guest in the background and print its name; without a command it stays until sand stop',
      false,
    );
  addGuestOptions(run)
    .option(
      '--learn',
      'let pass what no rule allows, and offer the rules for it when the command has ended',
      false,
    )
    .option(
      '--ask',
      'hold what no rule decides until somebody has answered, on this terminal or with sand ask',
      false,
    )
    .option(
      '--json',
      'print one JSON object about the run when it has ended; the command\u2019s output goes to stderr',
      false,
    )
    .addHelpText('after', RUN_HELP)
    .action(async (flags, command: CommandTree) => {
      const { runCommandLine } = await import('./run.ts');
      context.finish(await runCommandLine(flags, command.args, context));
    });
}

/** What a run is, for whoever runs a command to its end. */
export function addGuestOptions(command: CommandTree): CommandTree {
  return command
    .option('--name <NAME>', 'what to call the guest (default: its run)')
    .option(
      '--policy <P>',
      'a preset, group:NAME, or policy file; several are a union (default: the found sand.policy.yaml, else strict)',
      list,
      [],
    )
    .option('--allow <HOST>', 'allow one more host, as HOST or HOST:PORT', list, [])
    .option('--mount <SRC[:DST][:ro]>', 'a folder for the guest instead of the working directory', list, [])
    .option(
      '--volume <NAME:PATH>',
      'keep what the guest has at PATH for the next guest of this project, in no folder of this host',
      list,
      [],
    )
    .option('--env <K[=V]>', 'a variable for the guest: your own value, or V', list, [])
    .option(
      '-p, --publish <[ADDR:]HOST:GUEST>',
      'let the host reach a port of the guest: 8080, 8080:80, 0:80 for any free one (ADDR: 127.0.0.1)',
      list,
      [],
    )
    .option(
      '--secret <NAME=FILE>',
      'a file /run/secrets/NAME for the guest, of a file or, as NAME=env:VARIABLE, of your own variable',
      list,
      [],
    )
    .option('--share <NAMES>', 'give the guest ssh-agent, gitconfig, known-hosts or npmrc', list, [])
    .option(
      '--trust-ca <FILE>',
      'a certificate authority (PEM) that the guest\u2019s tools trust as well',
      list,
      [],
    )
    .option(
      '--audit-key <FILE>',
      'sign the audit log with this Ed25519 private key (PEM), or as env:VARIABLE with that of your own variable',
    )
    .option(
      '--phase-after <CMD>',
      'run this by sh in the guest before the command; when it ends with 0, the next phase of the policy begins',
      list,
      [],
    )
    .option('--cache', 'keep package caches for the next run in this folder')
    .option('--no-cache', 'keep none, whatever sand.yaml says')
    .option(
      '--image <REF>',
      'a root of its own for the guest; apple-container: a name, pulled if need be; linux: a folder, an archive, or an image of podman\u2019s store',
    )
    .option(
      '--platform <P>',
      'processor that the image is for: linux/arm64, linux/amd64 (default: this host\u2019s)',
    )
    .option('--read-only', 'let the guest write nothing of the host, its working directory included')
    .option('--vnc', 'let people look at the guest\u2019s screen; `sand inspect` tells its address', false)
    .option('--display <WIDTHxHEIGHT>', 'size of the guest\u2019s screen')
    .option(
      '--link <NAME>',
      'how its traffic reaches the gateway; tart: ethernet, softnet, nat, of which the last two confine less',
    )
    .option('--user <UID[:GID]>', 'who the guest\u2019s processes are in its own eyes; 0 has no more rights')
    .option('--workdir <DIR>', 'working directory, as the guest sees it')
    .option('--cpus <N>', 'processors that the guest may use: 2, 1.5')
    .option('--memory <SIZE>', 'memory that the guest may use: 512MiB, 2g')
    .option('--pids <N>', 'processes and threads that the guest may have')
    .option('--disk <SIZE>', 'what the guest\u2019s private folders may hold together: 1GiB')
    .option('--timeout <T>', 'end the command after this time: 90s, 10m, 2h')
    .option('--dns-port <PORT>', 'port of 127.0.0.1 for the resolver (default: a free one)')
    .option('--dns-upstream <SERVER>', UPSTREAM_HELP, list, [])
    .option('--upstream-proxy <URL>', PARENT_HELP)
    .option('--metrics <PLACE>', METRICS_HELP)
    .option('--backend <NAME>', `what launches the guest (default: ${DEFAULT_BACKEND})`)
    .option(
      '--isolation <KIND>',
      'what stands between the guest and this kernel: namespaces, gvisor (default: namespaces)',
    )
    .option('--project-file <FILE>', 'the guest as a file says (default: the found sand.yaml)')
    .option('--no-project-file', 'leave a sand.yaml that is found out of it')
    .option('--verbose', 'tell on stderr what is set up', false)
    .allowExcessArguments(true);
}

const RUN_HELP = `
Exit codes: the command's own, 128+N for a signal; 2 wrong use; 122 a start probe failed; 124 --timeout;
125 sand failed; 126, 127 the command cannot be run, is not found.

Examples:
  sand run --policy strict -- npm ci
  sand run --policy ./sand.policy.yaml --allow api.example.com -- python3 train.py
  sand run --policy ./sand.policy.yaml --phase-after 'npm ci' -- npm test
`;

/** What `sand run -d` starts; see `run/supervisor.ts`. */
export function addSupervise(program: CommandTree, context: ProgramContext): void {
  program.command(SUPERVISE, { hidden: true }).action(async () => {
    const { superviseRun } = await import('./run.ts');
    context.finish(await superviseRun(context));
  });
}
