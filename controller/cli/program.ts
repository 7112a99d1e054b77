/**
 * The command tree, built on commander: names, flags and help texts. What a command does is in the file of its
 * name, loaded when it is called, so that `sand run` waits for nothing that it does not use.
 */
import { Command } from 'commander';
import { wantsColour } from '../../audit/columns.ts';
import { DEFAULT_BACKEND } from '../backends/backend.ts';
import { VERSION } from '../version.ts';
import { addAuditQueries } from './audit-program.ts';
import { addAuditReport } from './audit-report-program.ts';
import { addAuditUi } from './audit-ui-program.ts';
import { addCi } from './ci-program.ts';
import { addCompletion } from './completion/program.ts';
import { addCopy } from './copy-program.ts';
import type { GatewayFlags } from './gateway.ts';
import { addGuests } from './guests-program.ts';
import { addImage } from './image/program.ts';
import { addMetrics, METRICS_HELP } from './metrics-program.ts';
import { addPolicy } from './policy/program.ts';
import { addRun, addSupervise, list, PARENT_HELP, UPSTREAM_HELP } from './run-program.ts';
import { addSsh } from './ssh-program.ts';
import { addVerify } from './verify-program.ts';
import { addVolume } from './volume-program.ts';
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
  addCi(program, context);
  addGuests(program, context);
  addCopy(program, context);
  addSsh(program, context);
  addPolicy(program, context);
  addWhy(program, context);
  addAudit(program, context);
  addInspect(program, context);
  addIp(program, context);
  addMetrics(program, context);
  addPhase(program, context);
  addAsk(program, context);
  addImage(program, context);
  addVolume(program, context);
  addGateway(program, context);
  addDoctor(program, context);
  addVerify(program, context);
  addCompletion(program, context);
  addSupervise(program, context);
  return program;
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
  const audit = addAuditQueries(program, context);
  audit
    .command('verify')
    .description('Checks the chain of a run\u2019s log; names the first line that is broken.')
    .argument('[RUN]', 'a run, or the beginning of its name')
    .option('--key <FILE>', 'the key (PEM, public or private) that must have signed the log')
    .option('--json', 'print the result as JSON', false)
    .action(async (run: string | undefined, flags: { readonly key?: string; readonly json: boolean }) => {
      const { auditVerify } = await import('./audit.ts');
      context.finish(await auditVerify({ ...auditContext(context), run, ...flags }));
    });
  addAuditUi(audit, context);
  addAuditReport(audit, auditContext(context), context.finish);
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

function addIp(program: Command, context: ProgramContext): void {
  program
    .command('ip')
    .summary('show the address of a guest on its own network')
    .description(
      'Shows the address that a guest (the last one) has on its cable. The host reaches its servers by -p alone.',
    )
    .argument('[RUN]', 'a run, or the beginning of its name')
    .action(async (run: string | undefined) => {
      const { showAddress } = await import('./ip.ts');
      context.finish(await showAddress({ ...auditContext(context), run }));
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
    .option('--metrics <PLACE>', METRICS_HELP)
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
