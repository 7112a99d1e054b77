/** A command of a tool's in a guest that carries one connection to a server there on its standard streams. Which command is the backend's. */
import type { DialProcess } from '../links/relay/way-in.ts';
import { startGuestProcess } from '../process/runner.ts';

/** `environment`: the tool's own. Raises `tool-missing`. */
export async function startDialProcess(
  tool: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<DialProcess> {
  const started = await startGuestProcess(tool, args, {
    environment,
    stdio: ['input', 'pipe', 'ignore'],
    descriptors: [],
    sharesSession: false,
    takesGroup: true,
  });
  const output = started.outputs.get(1);
  if (output === undefined) throw new Error('the dialling command has no output');
  return {
    output,
    write: (chunk, done) => started.pass(0, chunk, done),
    finish: () => started.finish(0, ''),
    kill: () => started.kill('SIGKILL'),
  };
}
