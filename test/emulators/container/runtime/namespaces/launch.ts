/** Brings a guest about in namespaces of this machine's kernel, with its sockets relayed by the keeper itself. */
import { spawn } from 'node:child_process';
import { identify } from '../../processes.ts';
import { endsOf } from '../ends.ts';
import { type Launch, RESIZE } from '../launch.ts';
import { startRelay } from '../relay.ts';
import { partsOf, sortMounts } from './parts.ts';
import { planGuest } from './plan.ts';
import { entryProgram } from './program.ts';

export const launchNamespaces: Launch = async (settings, container, sockets, request) => {
  const mounts = sortMounts(container, settings, sockets);
  for (const relay of mounts.relays) await startRelay(relay);
  const steps = planGuest(partsOf(container, settings, mounts), request.isInteractive);
  const hasWindow = request.isAttached && container.configuration.initProcess.terminal;
  const child = spawn(entryProgram(), steps, {
    stdio: [request.isInteractive ? 0 : 'ignore', 'pipe', 'pipe', 'pipe', hasWindow ? RESIZE : 'ignore'],
  });
  return { ends: endsOf(child), initOf: identify };
};
