/** A command of the relay's for each connection that comes in: the tool publishes no port of a guest without a network. */
import type { Dial } from '../../links/dial.ts';
import { dialArguments, RELAY_PLACES } from '../../links/relay/relay-program.ts';
import { createWayIn, type DialProcess } from '../../links/relay/way-in.ts';
import { startGuestProcess } from '../../process/runner.ts';
import { planExec } from './argv.ts';
import { containerEnvironment, TOOL } from './tool.ts';

export function openWayIn(container: string, ports: readonly number[]): Dial {
  return createWayIn(ports, (port) => startDialling(container, port));
}

async function startDialling(name: string, port: number): Promise<DialProcess> {
  const command = [RELAY_PLACES.program, ...dialArguments(port)];
  const args = planExec({ name, interactive: true, terminal: false, variables: [], command });
  const started = await startGuestProcess(TOOL, args, {
    environment: containerEnvironment(),
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
