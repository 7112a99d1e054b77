/** `sand-shell CONFIG SCRIPT`: runs the script of one `run:` step in a guest, in the place of a shell. */
import { resolve } from 'node:path';
import { ActionFailure, describeFailure } from './failure.ts';
import { readConfig, recordStep } from './job-folder.ts';
import { runStep } from './step.ts';
import { formatAnnotation } from './workflow-command.ts';

const [config = '', script = ''] = process.argv.slice(2);
try {
  process.exitCode = await run();
} catch (error) {
  const { exit, title, message } = describeFailure(error);
  process.stdout.write(formatAnnotation({ level: 'error', title, message }));
  process.exitCode = exit;
}

async function run(): Promise<number> {
  if (script === '')
    throw new ActionFailure('usage', 'sand-shell got no script', 'write `shell: sand-shell {0}`');
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
