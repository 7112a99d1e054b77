/** Guests in machines of their own, with a kernel of their own and no network card. Needs root, QEMU, busybox and a kernel (`kernel.ts`). */
import { constants } from 'node:os';
import { join } from 'node:path';
import { openProcess, sendGuestSignal } from '../../../machine/calls.ts';
import type { Container, Process, RunState } from '../../containers.ts';
import { Failure } from '../../failure.ts';
import type { Home } from '../../home.ts';
import { sendSignal, waitForEnd } from '../../processes.ts';
import { faultsNamed, type Settings } from '../../settings.ts';
import { follow, VANISHED } from '../child.ts';
import { startKeeper } from '../keeping.ts';
import { capabilitiesOf } from '../namespaces/parts.ts';
import { planExec } from '../namespaces/plan.ts';
import { findUser } from '../namespaces/users.ts';
import type { Ended, RunningProcess, Runtime, Stdio } from '../runtime.ts';
import { callsThrough } from './control.ts';

/** For what is left to the helper after its machine's end. */
const HELPER_MS = 10_000;
/** A machine that ends takes this long, at most, from the end of its processes. */
const ENDING_MS = 3000;

export const qemu: Runtime = { start: startKeeper, exec, signal, stop, rootOf };

async function exec(
  _home: Home,
  settings: Settings,
  container: Container & { readonly running: RunState },
  process: Process,
  stdio: Stdio,
): Promise<RunningProcess> {
  // Of the image: what a guest has done to its own passwd is not looked at.
  const roots = [...container.layers, container.imageRoot];
  const user = findUser(roots, process.user, process.supplementalGroups);
  const isWithoutNetfilter = faultsNamed(settings, 'no-netfilter').length > 0;
  const steps = planExec(
    container.running.guestPid,
    process,
    user,
    capabilitiesOf(container, settings),
    isWithoutNetfilter ? ['no-netfilter'] : [],
    stdio.isInteractive,
  );
  const ends = openProcess(callsThrough(socketsOf(container)), steps, stdio, process.terminal);
  const { ended, resize } = await follow(ends, stdio);
  return { ended: ended.then((end) => orVanished(container, end)), resize };
}

function socketsOf({ folder }: Container): string {
  return join(folder, 'sockets');
}

/** A process that was killed with its guest has the status of a guest that is gone. */
async function orVanished({ running }: { readonly running: RunState }, ended: Ended): Promise<Ended> {
  if (ended.status !== 137) return ended;
  const isGone = await waitForEnd(running.init, ENDING_MS);
  return isGone ? { status: VANISHED } : ended;
}

async function signal(container: Container, name: NodeJS.Signals): Promise<void> {
  if (container.running === null) return;
  await sendGuestSignal(
    callsThrough(socketsOf(container)),
    container.running.guestPid,
    constants.signals[name],
  );
}

async function stop({ running }: Container): Promise<void> {
  if (running === null) return;
  sendSignal(running.init, 'SIGKILL');
  if (await waitForEnd(running.helper, HELPER_MS)) return;
  sendSignal(running.helper, 'SIGKILL');
  await waitForEnd(running.helper, HELPER_MS);
}

function rootOf(): never {
  throw new Failure('files of a machine are not emulated');
}
