/** `sand audit report` in the command tree: names, flags and help texts. */
import type { AuditContext, ReportFlags } from './audit-report.ts';
import type { CommandTree } from './program.ts';

export function addAuditReport(
  audit: CommandTree,
  context: AuditContext,
  finish: (exitCode: number) => void,
): void {
  audit
    .command('report')
    .description('Writes runs (the last one) as a page for people: one file that needs no network.')
    .argument('[RUN...]', 'runs, or the beginnings of their names')
    .option('--html <FILE>', 'write an HTML page to this file, or to stdout for -')
    .option('--force', 'replace a file that is there already', false)
    .action(async (runs: readonly string[], flags: ReportFlags) => {
      const { auditReport } = await import('./audit-report.ts');
      finish(await auditReport({ ...context, ...flags, runs }));
    });
}
