/** The commands that look at runs, as flags and help texts. What each does is in the file of its name. */
import { once } from 'node:events';
import { wantsColour } from '../../audit/columns.ts';
import type { FilterFlags } from './audit-flags.ts';
import type { CommandTree, ProgramContext } from './program.ts';

const RUN = 'a guest, a run, or the beginning of its name';
const list = (value: string, before: readonly string[]): readonly string[] => [...before, value];

interface ShowFlags extends FilterFlags {
  readonly json: boolean;
  readonly all: boolean;
  readonly events: boolean;
  readonly byProcess: boolean;
  readonly guest?: string;
}

/** Gives the group, for what stands elsewhere. */
export function addAuditQueries(program: CommandTree, context: ProgramContext): CommandTree {
  const audit = program
    .command('audit')
    .summary('read what was decided')
    .description('Shows a run (the last one): what was denied first, repeats folded.');
  addShow(audit, context);
  const show = audit
    .command('show')
    .description('The same by its name: shows a run (the last one), what was denied first, repeats folded.');
  addShow(show, context);
  addTail(audit, context);
  addList(audit, context);
  addTop(audit, context);
  addDiff(audit, context);
  addExport(audit, context);
  addPrune(audit, context);
  return audit;
}

/** Flags of a command that takes a run and selects among its events. */
function addFilters(command: CommandTree): CommandTree {
  return command
    .argument('[RUN]', RUN)
    .option('--guest <NAME>', 'in place of RUN: the last run of the guest of that name, removed or not')
    .option('--denied', 'what was denied, or in report mode would have been', false)
    .option('--host <PATTERN>', 'a host pattern as in a policy, an address, or a range', list, [])
    .option('--rule <ID>', 'what a rule decided: its id, or FILE:LINE', list, [])
    .option('--kind <K>', 'kinds of events: dns, connection, close, inbound, ...', list, [])
    .option('--since <T>', 'from then on: 10m, 2d, 14:30, 2026-11-21, 2026-11-21T20:15:00Z')
    .option('--until <T>', 'up to then')
    .option('--bytes-over <SIZE>', 'what moved more than that, both ways together: 64KiB, 2MiB');
}

function addShow(command: CommandTree, context: ProgramContext): void {
  addFilters(command)
    .option('--by-process', 'tell rows apart by the command line of who asked', false)
    .option('--events', 'one line an event, nothing folded', false)
    .option('--json', 'print JSON: the rows, or with --events the events as JSON Lines', false)
    .option('--all', 'also what is muted', false)
    .action(async (run: string | undefined, flags: ShowFlags) => {
      const [{ auditShow }, { parseFilters }] = await Promise.all([
        import('./audit-show.ts'),
        import('./audit-flags.ts'),
      ]);
      const criteria = parseFilters(flags, Date.now());
      const { json, all, events, byProcess, guest } = flags;
      const options = { ...auditContext(context), run, guest, criteria, json, all, events, byProcess };
      context.finish(await auditShow(options));
    });
}

interface TailFlags extends FilterFlags {
  readonly json: boolean;
  readonly follow: boolean;
  readonly guest?: string;
}

function addTail(audit: CommandTree, context: ProgramContext): void {
  const tail = audit
    .command('tail')
    .description('Shows the events of a run as they are written, until it ends.');
  addFilters(tail)
    .option('--json', 'print the events as JSON Lines', false)
    .option('--no-follow', 'stop at the end of what is written now')
    .action(async (run: string | undefined, flags: TailFlags) => {
      const [{ auditTail }, { parseFilters }, { isRunAlive }] = await Promise.all([
        import('./audit-tail.ts'),
        import('./audit-flags.ts'),
        import('../run/run-state.ts'),
      ]);
      const criteria = parseFilters(flags, Date.now());
      const { json, follow, guest } = flags;
      const options = { ...auditContext(context), run, guest, criteria, json, follow, alive: isRunAlive };
      context.finish(await auditTail(options));
    });
}

interface ListFlags {
  readonly json: boolean;
  readonly denied: boolean;
  readonly since?: string;
  readonly guest?: string;
  readonly limit?: string;
}

function addList(audit: CommandTree, context: ProgramContext): void {
  audit
    .command('ls')
    .description('Lists the runs that are on record, oldest first: how they ended, and what was denied.')
    .option('--denied', 'those in which something was denied, or in report mode would have been', false)
    .option('--guest <NAME>', 'those of the guest of that name')
    .option('--since <T>', 'those that went on after then: 10m, 2d, 14:30, 2026-11-21')
    .option('--limit <N>', 'how many, the newest (default: 50)')
    .option('--json', 'print JSON, a line a run', false)
    .action(async ({ json, denied, guest, ...flags }: ListFlags) => {
      const [{ auditList }, { parseLimit, parseMoment }, { isSupervised }, { RUNS_LIMITS }] =
        await Promise.all([
          import('./audit-list.ts'),
          import('./audit-flags.ts'),
          import('../run/run-state.ts'),
          import('../../audit/limits.ts'),
        ]);
      const { since, limit } = flags;
      context.finish(
        await auditList({
          ...auditContext(context),
          ...{ json, denied, guest, alive: isSupervised },
          sinceMs: since === undefined ? undefined : parseMoment('--since', since, Date.now()),
          limit: limit === undefined ? undefined : parseLimit('--limit', limit, RUNS_LIMITS.listed),
        }),
      );
    });
}

function addTop(audit: CommandTree, context: ProgramContext): void {
  audit
    .command('top')
    .description(
      'Shows the hosts of a run (the last one), or of several together, with the most of something.',
    )
    .argument('[RUN...]', RUN)
    .option('--by <WHAT>', 'requests, bytes or denied', 'requests')
    .option('--limit <N>', 'how many hosts (default: 20, with --json all)')
    .option('--all', 'count what is muted, too', false)
    .option('--json', 'print JSON', false)
    .action(async (runs: readonly string[], flags: TopFlags) => {
      const [{ auditTop, parseTopOrder }, { parseLimit }] = await Promise.all([
        import('./audit-top.ts'),
        import('./audit-flags.ts'),
      ]);
      const { json, all, limit } = flags;
      const shown = json ? undefined : TOP_SHOWN;
      context.finish(
        await auditTop({
          ...auditContext(context),
          ...{ runs, json, all, by: parseTopOrder(flags.by) },
          limit: limit === undefined ? shown : parseLimit('--limit', limit, 100_000),
        }),
      );
    });
}

interface TopFlags {
  readonly by: string;
  readonly limit?: string;
  readonly all: boolean;
  readonly json: boolean;
}

/** A screen of them. */
const TOP_SHOWN = 20;

function addDiff(audit: CommandTree, context: ProgramContext): void {
  audit
    .command('diff')
    .description(
      'Says what the second run used and the first did not, and the other way round. Exit 1: they differ.',
    )
    .argument('<RUN1>', RUN)
    .argument('<RUN2>', RUN)
    .option('--all', 'compare what is muted, too', false)
    .option('--json', 'print JSON', false)
    .action(
      async (before: string, after: string, flags: { readonly all: boolean; readonly json: boolean }) => {
        const { auditDiff } = await import('./audit-diff.ts');
        context.finish(await auditDiff({ ...auditContext(context), ...flags, before, after }));
      },
    );
}

interface ExportFlags extends FilterFlags {
  readonly format: string;
  readonly output?: string;
  readonly guest?: string;
}

function addExport(audit: CommandTree, context: ProgramContext): void {
  const command = audit
    .command('export')
    .description('Writes the events of a run (the last one) in a form that other programs read.')
    .requiredOption('--format <F>', 'json (an array), jsonl, csv, ocsf or otlp')
    .option('--output <FILE>', 'where to write it, whole or not at all (default: stdout)');
  addFilters(command).action(async (run: string | undefined, flags: ExportFlags) => {
    const [{ auditExport, parseExportFormat }, { parseFilters }] = await Promise.all([
      import('./audit-export.ts'),
      import('./audit-flags.ts'),
    ]);
    const format = parseExportFormat(flags.format);
    const criteria = parseFilters(flags, Date.now());
    const { output, guest } = flags;
    const told = (line: string) => void process.stderr.write(`sand: ${line}\n`);
    const options = { ...auditContext(context), json: false, run, guest, criteria, format, output, told };
    context.finish(await interruptible((signal) => auditExport({ ...options, signal })));
  });
}

/** 128 and SIGINT: what a shell reports of a program that was interrupted. */
const INTERRUPTED = 130;

/** An interrupted command tidies up behind itself before it ends. */
async function interruptible(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work(abort.signal);
  } catch (error) {
    if (abort.signal.aborted) return INTERRUPTED;
    throw error;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

interface PruneFlags {
  readonly olderThan?: string;
  readonly maxSize?: string;
  readonly dryRun: boolean;
  readonly json: boolean;
}

function addPrune(audit: CommandTree, context: ProgramContext): void {
  audit
    .command('prune')
    .description(
      'Removes whole runs that have ended, logs and all, the oldest first. Runs that go on, and guests that are not removed, stay.',
    )
    .option('--older-than <T>', 'those that ended longer ago: 12h, 30d, 8w')
    .option('--max-size <SIZE>', 'and the oldest, until all runs together take no more: 500MiB, 2GiB')
    .option('--dry-run', 'say what would go, and remove nothing', false)
    .option('--json', 'print JSON', false)
    .action(async (flags: PruneFlags) => {
      const { auditPrune } = await import('./audit-prune.ts');
      context.finish(await auditPrune({ ...auditContext(context), ...flags, nowMs: Date.now() }));
    });
}

function auditContext(context: ProgramContext) {
  const terminal = {
    columns: process.stdout.columns ?? null,
    colour: wantsColour(process.stdout, process.env),
  };
  return { env: process.env, write: context.write, terminal, drain };
}

/** Waits for a slow reader of stdout. */
async function drain(): Promise<void> {
  if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
}
