/** The verbs that make, run and end containers. */
import { writeFileSync } from 'node:fs';
import { argumentAt, type Call, complain, hasFlag, isOld, optionValue, print } from '../call.ts';
import {
  addContainer,
  type Container,
  findContainer,
  listContainers,
  removeContainer,
  requireContainer,
  requireRunning,
} from '../containers.ts';
import { givenEnvironment, newRecord, supplementalGroups, userOf } from '../creation.ts';
import { Failure } from '../failure.ts';
import { findImage, type Image, pullImage } from '../images.ts';
import { withLock } from '../lock.ts';
import { waitForEnd } from '../processes.ts';
import { runtimeOf } from '../runtimes.ts';
import { attach } from '../terminal.ts';
import { pullFailure } from './image.ts';

const DEFAULT_STOP_SECONDS = 5;

export async function create(call: Call): Promise<number> {
  const id = await addNew(call);
  const cidfile = optionValue(call, '--cidfile');
  if (cidfile !== null) writeFileSync(cidfile, id, { mode: 0o644 });
  print(id);
  return 0;
}

async function addNew(call: Call): Promise<string> {
  const [reference = '', ...words] = call.parsed.arguments;
  const record = newRecord(call, await obtainImage(call, reference), words);
  addContainer(call.home, record);
  return record.configuration.id;
}

/** Progress is drawn for a terminal only, as `create` does it. */
export async function obtainImage(call: Call, reference: string): Promise<Image> {
  const isShown = process.stderr.isTTY === true;
  const report = (line: string) => (isShown ? complain(line) : undefined);
  const image =
    findImage(call.home, reference) ?? (await pullImage(call.home, call.settings, reference, report));
  if (image === null) throw pullFailure(reference);
  return image;
}

export async function start(call: Call): Promise<number> {
  const id = argumentAt(call, 0);
  const isAttached = hasFlag(call, '--attach') || hasFlag(call, '--interactive');
  return startContainer(call, id, isAttached, hasFlag(call, '--interactive'));
}

async function startContainer(
  call: Call,
  id: string,
  isAttached: boolean,
  isInteractive: boolean,
): Promise<number> {
  const runtime = runtimeOf(call.settings);
  const started = await withLock(call.home, `container ${id}`, async () => {
    const container = requireContainer(call.home, id);
    if (container.running !== null) {
      if (isAttached) throw new Failure('attach is currently unsupported on already running containers');
      return null;
    }
    checkNameservers(container);
    const { terminal } = container.configuration.initProcess;
    const running = await runtime.start(call.home, call.settings, container, { isAttached, isInteractive });
    return { running, isTerminal: terminal };
  });
  if (started === null || !isAttached) {
    print(id);
    return 0;
  }
  // With --rm the container may be gone by now.
  return attach(started.running, isInteractive && started.isTerminal);
}

/** Only when the VM is set up is a nameserver looked at. */
function checkNameservers({ configuration }: Container): void {
  const wrong = configuration.dns?.nameservers.find(
    (text) => !/^(\d{1,3}\.){3}\d{1,3}$|^[0-9a-f]*:[0-9a-f:.]+$/i.test(text) || /\.\d+:\d+$/.test(text),
  );
  if (wrong !== undefined)
    throw new Failure(`failed to bootstrap container: nameserver '${wrong}' is not a valid IP address`);
}

export async function run(call: Call): Promise<number> {
  const id = await addNew(call);
  const isDetached = hasFlag(call, '--detach');
  try {
    const status = await startContainer(call, id, !isDetached, hasFlag(call, '--interactive'));
    const cidfile = optionValue(call, '--cidfile');
    if (cidfile !== null) writeFileSync(cidfile, id, { mode: 0o644 });
    return status;
  } catch (error) {
    if (findContainer(call.home, id)?.running === null) removeContainer(call.home, id);
    throw error;
  }
}

export async function exec(call: Call): Promise<number> {
  const [id = '', executable = '', ...words] = call.parsed.arguments;
  const container = requireRunning(call.home, id);
  const { initProcess } = container.configuration;
  const isTerminal = hasFlag(call, '--tty');
  const isInteractive = hasFlag(call, '--interactive');
  const isDetached = hasFlag(call, '--detach');
  const asked = ['--user', '--uid'].some((name) => optionValue(call, name) !== null);
  const process = {
    ...initProcess,
    executable,
    arguments: words,
    // Appended: of a name that the container has already, both are there.
    environment: [...initProcess.environment, ...givenEnvironment(call)],
    workingDirectory: optionValue(call, '--cwd') ?? initProcess.workingDirectory,
    terminal: isTerminal,
    user: asked ? userOf(call, null) : initProcess.user,
    supplementalGroups: [...initProcess.supplementalGroups, ...supplementalGroups(call)],
  };
  const stdio = { isAttached: !isDetached, isInteractive: isInteractive && !isDetached };
  const running = await runtimeOf(call.settings).exec(call.home, call.settings, container, process, stdio);
  if (!isDetached) return attach(running, isTerminal && isInteractive);
  print(id);
  return 0;
}

export async function stop(call: Call): Promise<number> {
  const seconds = Number(optionValue(call, '--time') ?? DEFAULT_STOP_SECONDS);
  return eachOf(call, (container) => stopContainer(call, container, seconds));
}

/** What has stopped already is fine. */
async function stopContainer(call: Call, { id }: Container, seconds: number): Promise<void> {
  await withLock(call.home, `container ${id}`, async () => {
    const container = findContainer(call.home, id);
    if (container === null || container.running === null) return;
    const runtime = runtimeOf(call.settings);
    runtime.signal(
      container,
      signalName(optionValue(call, '--signal') ?? container.configuration.stopSignal ?? 'SIGTERM'),
    );
    await waitForEnd(container.running.init, seconds * 1000);
    await runtime.stop(container);
  });
}

export async function kill(call: Call): Promise<number> {
  const signal = signalName(optionValue(call, '--signal') ?? 'KILL');
  return eachOf(call, async ({ id }) => {
    const container = requireRunning(call.home, id);
    const runtime = runtimeOf(call.settings);
    if (signal === 'SIGKILL') await runtime.stop(container);
    else runtime.signal(container, signal);
  });
}

function signalName(text: string): NodeJS.Signals {
  const bare = text.toUpperCase().replace(/^SIG/, '');
  const names: readonly NodeJS.Signals[] = [
    'SIGHUP',
    'SIGINT',
    'SIGQUIT',
    'SIGKILL',
    'SIGTERM',
    'SIGUSR1',
    'SIGUSR2',
    'SIGWINCH',
  ];
  const numbers: Readonly<Record<string, NodeJS.Signals>> = {
    1: 'SIGHUP',
    2: 'SIGINT',
    3: 'SIGQUIT',
    9: 'SIGKILL',
    10: 'SIGUSR1',
    12: 'SIGUSR2',
    15: 'SIGTERM',
  };
  const name = numbers[bare] ?? names.find((known) => known === `SIG${bare}`);
  if (name === undefined) throw new Failure(`invalid signal: ${text}`);
  return name;
}

export async function remove(call: Call): Promise<number> {
  const isForced = hasFlag(call, '--force');
  const isAll = hasFlag(call, '--all');
  return eachOf(call, async ({ id }) => {
    await withLock(call.home, `container ${id}`, async () => {
      const container = requireContainer(call.home, id);
      if (container.running !== null && !isForced) {
        if (isAll) return;
        throw new Failure(`container ${id} is running and can not be deleted`);
      }
      await runtimeOf(call.settings).stop(container);
      removeContainer(call.home, id);
    });
  });
}

/** Each of them is tried; the ids of those that went well are printed, and one that did not makes the status 1. */
async function eachOf(call: Call, act: (container: Container) => Promise<void>): Promise<number> {
  const containers = hasFlag(call, '--all')
    ? listContainers(call.home).map(({ id }) => id)
    : call.parsed.arguments;
  const problems: string[] = [];
  for (const id of containers) {
    try {
      await act(requireContainer(call.home, id));
      print(id);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length === 0) return 0;
  // 0.x names the codes as well.
  throw new Failure(isOld(call) ? `internalError: "${problems.join('; ')}"` : problems.join('\n'));
}
