/** `sand-shell CONFIG SCRIPT`: runs the script of one `run:` step in a guest, in the place of a shell. */
import { resolve } from 'node:path';
import { readConfig, recordStep } from './job-folder.ts';
import { runStep } from './step.ts';
import { formatAnnotation } from './workflow-command.ts';

/** Sand itself failed. */
const FAILED = 125;

const [config = '', script = ''] = process.argv.slice(2);
try {
  process.exitCode = await run();
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stdout.write(formatAnnotation({ level: 'error', title: 'sand-shell', message }));
  process.exitCode = FAILED;
}

async function run(): Promise<number> {
  if (script === '') throw new Error('write shell: sand-shell {0}');
  const read = readConfig(config);
  const { exitCode, result } = await runStep({
    config: read,
    script: resolve(script),
    workdir: process.cwd(),
    environment: process.env,
    out: process.stdout,
    title: process.env.GITHUB_ACTION ?? 'step',
    // A step of the job has outputs of its own alone.
    reservedOutputs: [],
  });
  if (result !== null) recordStep(read.folder, result);
  return exitCode;
}
