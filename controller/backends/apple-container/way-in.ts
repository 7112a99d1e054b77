/** A command of the relay's for each connection that comes in: the tool publishes no port of a guest without a network. */
import type { Dial } from '../../links/dial.ts';
import { dialArguments, RELAY_PLACES } from '../../links/relay/relay-program.ts';
import { createWayIn } from '../../links/relay/way-in.ts';
import { startDialProcess } from '../dial-process.ts';
import { planExec } from './argv.ts';
import { containerEnvironment, TOOL } from './tool.ts';

export function openWayIn(container: string, ports: readonly number[]): Dial {
  return createWayIn(ports, (port) => {
    const command = [RELAY_PLACES.program, ...dialArguments(port)];
    const args = planExec({ name: container, interactive: true, terminal: false, variables: [], command });
    return startDialProcess(TOOL, args, containerEnvironment());
  });
}
