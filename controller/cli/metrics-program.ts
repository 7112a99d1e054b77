/** `sand metrics` as a command and a help text, and the flag by which a supervisor serves the same. */
import type { CommandTree, ProgramContext } from './program.ts';

export const METRICS_HELP =
  'serve GET /metrics for Prometheus while it runs: unix:PATH, or 127.0.0.1:PORT (0 takes a free one)';

export function addMetrics(program: CommandTree, context: ProgramContext): void {
  program
    .command('metrics')
    .summary('print the counters of a guest that runs')
    .description('Prints the counters of a guest (the last run) as Prometheus reads them.')
    .argument('[GUEST]', 'a guest, a run, or the beginning of its name')
    .action(async (run: string | undefined) => {
      const { printMetrics } = await import('./metrics.ts');
      context.finish(await printMetrics({ run, env: process.env, write: context.write }));
    });
}
