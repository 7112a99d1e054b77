/** Guests as namespaces of this Linux kernel, with no network but their own `lo`. Needs root. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Container, Process, RunState } from '../../containers.ts';
import type { Home } from '../../home.ts';
import { sendSignal, waitForEnd } from '../../processes.ts';
import { faultsNamed, type Settings } from '../../settings.ts';
import type { Ended, RunningProcess, Runtime, Stdio } from '../runtime.ts';
import { follow, stdioFor, VANISHED } from './child.ts';
import { capabilitiesOf } from './parts.ts';
import { planExec } from './plan.ts';
import { entryProgram } from './program.ts';
import { findUser } from './users.ts';

const HELPER = fileURLToPath(new URL('keeper.ts', import.meta.url));
/** For what is left to the helper after its guest's end. */
const HELPER_MS = 5000;

export const namespaces: Runtime = { start, exec, signal, stop, rootOf };

function start(
  _home: Home,
  _settings: Settings,
  container: Container,
  stdio: Stdio,
): Promise<RunningProcess> {
  const request = { directory: directoryOf(container), id: container.id, ...stdio };
  const isTerminal = container.configuration.initProcess.terminal;
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', HELPER, JSON.stringify(request)],
    { detached: true, cwd: '/', env: keptSources(), stdio: stdioFor(stdio, isTerminal) },
  );
  return follow(child, stdio);
}

/** Nothing of the caller's environment but where Node keeps stripped sources. */
function keptSources(): NodeJS.ProcessEnv {
  const { NODE_COMPILE_CACHE } = process.env;
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };
}

/** The HOME that a container's folder lies in. */
function directoryOf({ folder }: Container): string {
  return folder.split('/').slice(0, -5).join('/');
}

async function exec(
  _home: Home,
  settings: Settings,
  container: Container & { readonly running: RunState },
  process: Process,
  stdio: Stdio,
): Promise<RunningProcess> {
  const { init } = container.running;
  const user = findUser([rootOf(container)], process.user, process.supplementalGroups);
  const isWithoutNetfilter = faultsNamed(settings, 'no-netfilter').length > 0;
  const capabilities = capabilitiesOf(container, settings);
  const steps = planExec(init.pid, process, user, capabilities, isWithoutNetfilter, stdio.isInteractive);
  const child = spawn(entryProgram(), steps, {
    detached: true,
    cwd: '/',
    env: {},
    stdio: stdioFor(stdio, process.terminal),
  });
  const { ended, resize } = await follow(child, stdio);
  return { ended: ended.then((end) => orVanished(container, end)), resize };
}

/** A process that was killed with its guest has the status of a guest that is gone. */
async function orVanished({ running }: { readonly running: RunState }, ended: Ended): Promise<Ended> {
  if (ended.status !== 137) return ended;
  const isGone = await waitForEnd(running.init, 100);
  return isGone ? { status: VANISHED } : ended;
}

function signal({ running }: Container, name: NodeJS.Signals): void {
  if (running !== null) sendSignal(running.init, name);
}

async function stop({ running }: Container): Promise<void> {
  if (running === null) return;
  sendSignal(running.init, 'SIGKILL');
  if (await waitForEnd(running.helper, HELPER_MS)) return;
  sendSignal(running.helper, 'SIGKILL');
  await waitForEnd(running.helper, HELPER_MS);
}

function rootOf({ running }: { readonly running: RunState }): string {
  return `/proc/${running.init.pid}/root`;
}
