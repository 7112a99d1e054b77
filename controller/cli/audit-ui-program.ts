/** `sand audit ui` in the command tree: its flags and help text. What it does is `audit-ui.ts`. */
import type { CommandTree, ProgramContext } from './program.ts';

export function addAuditUi(audit: CommandTree, context: ProgramContext): void {
  audit
    .command('ui')
    .summary('serve the page of runs, live, to a browser of this machine')
    .description(
      'Serves a page on 127.0.0.1 that follows runs and offers allow, deny and mute on their events, until Ctrl-C. Prints a link that is good once.',
    )
    .argument('[RUN]', 'the run to begin with (default: the last one), or the beginning of its name')
    .option('--port <N>', 'the port to serve on (default: any free one)')
    .option('--json', 'print the link as JSON', false)
    .action(
      async (
        run: string | undefined,
        flags: { readonly port: string | undefined; readonly json: boolean },
      ) => {
        const [{ serveAuditUi }, { workingFolder }] = await Promise.all([
          import('./audit-ui.ts'),
          import('../run/workspace.ts'),
        ]);
        const stop = new AbortController();
        const end = () => stop.abort();
        const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
        for (const signal of signals) process.once(signal, end);
        try {
          const { env } = process;
          const tell = (text: string) => void process.stderr.write(text);
          const served = { env, cwd: workingFolder(), write: context.write, tell, signal: stop.signal };
          context.finish(await serveAuditUi({ run, port: flags.port, json: flags.json, ...served }));
        } finally {
          for (const signal of signals) process.off(signal, end);
        }
      },
    );
}
