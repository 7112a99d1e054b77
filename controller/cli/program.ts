/**
 * The command tree, built on commander: names, flags and help texts. What a command does is in the file of its
 * name, loaded when it is called, so that `sand run` waits for nothing that it does not use.
 */
import { Command } from 'commander';
import { wantsColour } from '../../audit/columns.ts';
import { DEFAULT_BACKEND } from '../backends/backend.ts';
import { SUPERVISE } from '../run/supervisor.ts';
import { VERSION } from '../version.ts';
import { addCompletion } from './completion/program.ts';
import { addCopy } from './copy-program.ts';
import type { GatewayFlags } from './gateway.ts';
import { addGuests } from './guests-program.ts';
import { addImage } from './image/program.ts';
import { addPolicy } from './policy/program.ts';
import { addSsh } from './ssh-program.ts';
import type { WhyOptions } from './why.ts';

type WhyFlags = Pick<WhyOptions, 'policy' | 'allow' | 'address' | 'phase' | 'json'>;

/** For the groups of commands that stand in files of their own. */
export type CommandTree = Command;

export interface ProgramContext {
  /** What stands behind `--`; null where there is none. */
  readonly command: readonly string[] | null;
  readonly write: (text: string) => void;
  readonly finish: (exitCode: number) => void;
}

export function createProgram(context: ProgramContext): Command {
  const program = new Command('sand')
    .description('Runs a command in a guest and decides what that guest may reach.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .exitOverride()
    // The entry tells every error in one form, for people and with --json.
    .configureOutput({ outputError: () => {} })
    .showSuggestionAfterError()
    .enablePositionalOptions();
  addRun(program, context);
  addGuests(program, context);
  addCopy(program, context);
  addSsh(program, context);
  addPolicy(program, context);
  addWhy(program, context);
  addAudit(program, context);
  addInspect(program, context);
  addPhase(program, context);
  addAsk(program, context);
  addImage(program, context);
  addGateway(program, context);
  addDoctor(program, context);
  addCompletion(program, context);
  addSupervise(program, context);
  return program;
}

const PARENT_HELP =
  'the proxy that this host itself needs, or none (default: https_proxy, http_proxy and no_proxy)';
const UPSTREAM_HELP =
  'ask this resolver instead of the system\u2019s: ADDR[:PORT], tls://ADDR[#NAME] or https://NAME/dns-query; repeat it for several';

const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

function addRun(program: Command, context: ProgramContext): void {
  program
    .command('run')
    .summary('run a command whose only way out is its policy')
    .description('Runs a command in a new guest: sand run [FLAGS] -- CMD [ARG...]')
    .usage('[FLAGS] -- CMD [ARG...]')
    .option(
      '-d, --detach',
      'leave the guest in the background and print its name; without a command it stays until sand stop',
      false,
    )
    .option('--name <NAME>', 'what to call the guest (default: its run)')
    .option(
      '--policy <P>',
      'a preset, group:NAME, or policy file; several are a union (default: the found sand.policy.yaml, else strict)',
      list,
      [],
    )
    .option('--allow <HOST>', 'allow one more host, as HOST or HOST:PORT', list, [])
    .option(
      '--learn',
      'let pass what no rule allows, and offer the rules for it when the command has ended',
      false,
    )
    .option('--mount <SRC[:DST][:ro]>', 'a folder for the guest instead of the working directory', list, [])
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
      '--phase-after <CMD>',
      'run this by sh in the guest before the command; when it ends with 0, the next phase of the policy begins',
      list,
      [],
    )
    .option(
      '--ask',
      'hold what no rule decides until somebody has answered, on this terminal or with sand ask',
      false,
    )
    .option('--cache', 'keep package caches for the next run in this folder')
    .option('--no-cache', 'keep none, whatever sand.yaml says')
    .option(
      '--image <REF>',
      'a root of its own for the guest: a folder, an OCI or docker archive, or an image of podman\u2019s store',
    )
    .option('--read-only', 'let the guest write nothing of the host, its working directory included')
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
    .option('--backend <NAME>', `what launches the guest (default: ${DEFAULT_BACKEND})`)
    .option(
      '--isolation <KIND>',
      'what stands between the guest and this kernel: namespaces, gvisor (default: namespaces)',
    )
    .option('--project-file <FILE>', 'the guest as a file says (default: the found sand.yaml)')
    .option('--no-project-file', 'leave a sand.yaml that is found out of it')
    .option(
      '--json',
      'print one JSON object about the run when it has ended; the command\u2019s output goes to stderr',
      false,
    )
    .option('--verbose', 'tell on stderr what is set up', false)
    .allowExcessArguments(true)
    .addHelpText('after', RUN_HELP)
    .action(async (flags, command: Command) => {
      const { runCommandLine } = await import('./run.ts');
      context.finish(await runCommandLine(flags, command.args, context));
    });
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
function addSupervise(program: Command, context: ProgramContext): void {
  program.command(SUPERVISE, { hidden: true }).action(async () => {
    const { superviseRun } = await import('./run.ts');
    context.finish(await superviseRun(context));
  });
}

function addWhy(program: Command, context: ProgramContext): void {
  program
    .command('why')
    .summary('explain one verdict')
    .description(
      'Says what the policy makes of a host and port or of an event in the log, by which rule, what the other rules make of it, and what would turn it. Exit 0: allowed.',
    )
    .argument(
      '<HOST[:PORT]|EVENT>',
      'a name or an address, port 443 unless told; or an event as RUN#SEQ, or SEQ of the last run',
    )
    .argument('[METHOD]', 'of a plain-HTTP request to it; the port is then 80 unless told')
    .argument('[PATH]', 'of that request')
    .option('--policy <P>', 'as for run', list, [])
    .option('--allow <HOST>', 'as for run', list, [])
    .option('--address <ADDR>', 'what the name resolves to, to have it judged as well', list, [])
    .option('--phase <NAME>', 'in this phase of the policy (default: the first)')
    .option('--json', 'print JSON', false)
    .action(
      async (authority: string, method: string | undefined, path: string | undefined, flags: WhyFlags) => {
        const [{ explainRequest }, { readSurroundings }] = await Promise.all([
          import('./why.ts'),
          import('./policy/surroundings.ts'),
        ]);
        const asked = { ...flags, ...readSurroundings(context.write), authority, method, path };
        context.finish(await explainRequest(asked));
      },
    );
}

function addAudit(program: Command, context: ProgramContext): void {
  const audit = program
    .command('audit')
    .summary('read what was decided')
    .description('Shows a run (the last one): what was denied first, repeats folded.')
    .argument('[RUN]', 'a run, or the beginning of its name')
    .option('--json', 'print the rows as JSON', false)
    .option('--all', 'also what is muted', false)
    .action(async (run: string | undefined, flags: { readonly json: boolean; readonly all: boolean }) => {
      const { auditShow } = await import('./audit.ts');
      context.finish(await auditShow({ ...auditContext(context), run, json: flags.json, all: flags.all }));
    });
  audit
    .command('tail')
    .description('Shows the events of a run as they are written, until it ends.')
    .argument('[RUN]', 'a run, or the beginning of its name')
    .option('--json', 'print the events as JSON Lines', false)
    .option('--no-follow', 'stop at the end of what is written now')
    .action(async (run: string | undefined, flags: { readonly json: boolean; readonly follow: boolean }) => {
      const [{ auditTail }, { isRunAlive }] = await Promise.all([
        import('./audit.ts'),
        import('../run/run-state.ts'),
      ]);
      const { json, follow } = flags;
      context.finish(await auditTail({ ...auditContext(context), run, json, follow, alive: isRunAlive }));
    });
  audit
    .command('verify')
    .description('Checks the chain of a run\u2019s log; names the first line that is broken.')
    .argument('[RUN]', 'a run, or the beginning of its name')
    .option('--json', 'print the result as JSON', false)
    .action(async (run: string | undefined, flags: { readonly json: boolean }) => {
      const { auditVerify } = await import('./audit.ts');
      context.finish(await auditVerify({ ...auditContext(context), run, json: flags.json }));
    });
  audit
    .command('ls')
    .description('Lists the runs that are on record.')
    .option('--json', 'print JSON', false)
    .action(async (flags: { readonly json: boolean }) => {
      const { auditList } = await import('./audit.ts');
      context.finish(await auditList({ ...auditContext(context), json: flags.json }));
    });
}

function addInspect(program: Command, context: ProgramContext): void {
  program
    .command('inspect')
    .summary('show what a run is')
    .description(
      'Shows a run (the last one): backend, confinement, resolver port, mounts, and whether it still lives.',
    )
    .argument('[RUN]', 'a run, or the beginning of its name')
    .option('--json', 'print JSON', false)
    .action(async (run: string | undefined, flags: { readonly json: boolean }) => {
      const { inspectRun } = await import('./inspect.ts');
      context.finish(await inspectRun({ ...auditContext(context), run, json: flags.json }));
    });
}

function addPhase(program: Command, context: ProgramContext): void {
  const phase = program
    .command('phase')
    .summary('move a guest to the next phase of its policy')
    .description(
      'A guest begins in the first phase of its policy. Only from here it is moved on, and never back.',
    );
  phase
    .command('show')
    .description('Shows the phases of the policy of a run (the last one), and where its guest stands.')
    .argument('[GUEST]', 'a run, or the beginning of its name')
    .option('--json', 'print JSON', false)
    .action(async (run: string | undefined, flags: { readonly json: boolean }) => {
      const { showPhase } = await import('./phase.ts');
      context.finish(await showPhase({ ...auditContext(context), run, json: flags.json }));
    });
  phase
    .command('next')
    .description(
      'Moves a guest on by one phase: what that phase does not allow is closed at once. There is no way back.',
    )
    .argument('<GUEST>', 'a run, or the beginning of its name')
    .option('--json', 'print JSON', false)
    .action(async (run: string, flags: { readonly json: boolean }) => {
      const { nextPhase } = await import('./phase.ts');
      context.finish(await nextPhase({ ...auditContext(context), run, json: flags.json }));
    });
}

function addAsk(program: Command, context: ProgramContext): void {
  program
    .command('ask')
    .summary('answer the questions of a run from another terminal')
    .description(
      'Shows what waits in a run that was started with --ask, and takes the answers, until the run ends. Answers are read as lines.',
    )
    .argument('[GUEST]', 'a run, or the beginning of its name')
    .option('--json', 'print what waits now as JSON, and answer nothing', false)
    .action(async (run: string | undefined, flags: { readonly json: boolean }) => {
      const { askRun } = await import('./ask.ts');
      context.finish(await askRun({ ...auditContext(context), run, json: flags.json, input: process.stdin }));
    });
}

function addGateway(program: Command, context: ProgramContext): void {
  program
    .command('gateway')
    .summary('run the proxy and the resolver without a guest')
    .description(
      'Serves HTTP, CONNECT and SOCKS5 on one port, and DNS on another, until it is interrupted. Confines nobody by itself.',
    )
    .option('--policy <P>', 'as for run', list, [])
    .option('--allow <HOST>', 'as for run', list, [])
    .option('--listen <ADDR:PORT>', 'where the proxy listens; port 0 takes a free one', '127.0.0.1:3128')
    .option('--dns-listen <ADDR:PORT>', 'where the resolver listens (default: nowhere)')
    .option('--dns-upstream <SERVER>', UPSTREAM_HELP, list, [])
    .option('--upstream-proxy <URL>', PARENT_HELP)
    .action(async (flags: GatewayFlags) => {
      const { serveGateway } = await import('./gateway.ts');
      context.finish(await serveGateway(flags, (text) => void process.stderr.write(text)));
    });
}

function auditContext(context: ProgramContext) {
  const terminal = {
    columns: process.stdout.columns ?? null,
    colour: wantsColour(process.stdout, process.env),
  };
  return { env: process.env, write: context.write, terminal };
}

function addDoctor(program: Command, context: ProgramContext): void {
  program
    .command('doctor')
    .summary('check this machine')
    .description(
      'Checks what a backend needs of this machine, a line a check, each with the command that cures it.',
    )
    .option('--backend <NAME>', 'the backend to check', DEFAULT_BACKEND)
    .option('--json', 'print JSON', false)
    .action(async (flags: { readonly backend: string; readonly json: boolean }) => {
      const [{ runDoctor }, { createBackend }] = await Promise.all([
        import('./doctor.ts'),
        import('../backends/registry.ts'),
      ]);
      const backend = createBackend(flags.backend);
      context.finish(await runDoctor({ json: flags.json, backend, write: context.write }));
    });
}
