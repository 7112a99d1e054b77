/**
 * The process that a running container has of its own, as the tool's per-container runtime: it relays the sockets, starts the guest,
 * keeps its log and its state, and takes the guest with it when it dies. `container start` starts it and talks to it on
 * descriptor 3 only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Container, removeContainer, requireContainer } from '../../containers.ts';
import { Failure } from '../../failure.ts';
import { type Home, homeOf, writeJson } from '../../home.ts';
import { nowDate } from '../../images.ts';
import { forgetProcess, identify, recordProcess } from '../../processes.ts';
import { faultsNamed, readSettings, type Settings } from '../../settings.ts';
import { startRelay } from '../relay.ts';
import { failureOf, readReport } from './child.ts';
import { partsOf, sortMounts } from './parts.ts';
import { planGuest } from './plan.ts';
import { entryProgram } from './program.ts';

const REPORT = 3;
const RESIZE = 4;

interface Request {
  readonly directory: string;
  readonly id: string;
  readonly isInteractive: boolean;
  readonly isAttached: boolean;
}

function report(line: string): void {
  try {
    writeSync(REPORT, `${line}\n`);
  } catch {
    // The call that has started this one may be gone.
  }
}

async function run(request: Request): Promise<void> {
  const home = homeOf(request.directory);
  const settings = readSettings(home);
  const container = requireContainer(home, request.id);
  recordProcess(home, process.pid);
  const sockets = join(container.folder, 'sockets');
  rmSync(sockets, { recursive: true, force: true });
  mkdirSync(sockets, { recursive: true });
  // From here a relay's socket has a short name.
  process.chdir(sockets);
  const mounts = sortMounts(container, settings, sockets);
  for (const relay of mounts.relays) await startRelay(relay);
  const steps = planGuest(partsOf(container, settings, mounts), request.isInteractive);
  const hasWindow = request.isAttached && container.configuration.initProcess.terminal;
  const child = spawn(entryProgram(), steps, {
    stdio: [request.isInteractive ? 0 : 'ignore', 'pipe', 'pipe', 'pipe', hasWindow ? RESIZE : 'ignore'],
  });
  const output = keepOutput(child, join(container.folder, 'stdio.log'), request.isAttached);
  await followGuest(home, settings, container, child, output);
}

async function followGuest(
  home: Home,
  settings: Settings,
  container: Container,
  child: ChildProcess,
  output: Promise<unknown>,
): Promise<void> {
  await readReport(child, (word, rest) => {
    if (word === 'started') begin(home, settings, container, Number(rest));
    // The state is told before the end, so that whoever hears of it finds it true.
    if (word === 'exited') rmSync(join(container.folder, 'state.json'), { force: true });
    const failure = failureOf(word, rest);
    report(failure === null ? `${word} ${rest}` : `failed ${failure.message}`);
  });
  await output;
  rmSync(join(container.folder, 'state.json'), { force: true });
  if (container.isRemovedAtEnd) removeContainer(home, container.id);
  forgetProcess(home, process.pid);
}

function begin(home: Home, settings: Settings, container: Container, pid: number): void {
  const helper = identify(process.pid);
  const init = identify(pid);
  if (helper === null || init === null) return;
  writeJson(join(container.folder, 'state.json'), { helper, init, startedDate: nowDate() });
  const [vanish] = faultsNamed(settings, 'vanish');
  if (vanish !== undefined) {
    setTimeout(() => {
      removeContainer(home, container.id);
      process.kill(pid, 'SIGKILL');
    }, vanish.ms ?? 0);
  }
  const [killed] = faultsNamed(settings, 'kill-helper');
  if (killed !== undefined) setTimeout(() => process.kill(process.pid, 'SIGKILL'), killed.ms ?? 0);
}

/** Both outputs go into one file, emptied at each start, and to whoever is attached; resolves when all has been passed on. */
function keepOutput(child: ChildProcess, file: string, isAttached: boolean): Promise<unknown> {
  writeFileSync(file, '');
  const log = openSync(file, 'a');
  const outputs = [child.stdout, child.stderr].map((stream, at) =>
    stream === null ? null : tee(stream, log, isAttached ? at + 1 : null),
  );
  return Promise.all(outputs);
}

function tee(stream: Readable, log: number, fd: number | null): Promise<void> {
  // Not `process.stdout`: a reader that is slow would stop the relays as well.
  const attached = fd === null ? null : new Socket({ fd, readable: false, writable: true });
  attached?.on('error', () => stream.resume());
  attached?.on('drain', () => stream.resume());
  stream.on('data', (chunk: Buffer) => {
    writeSync(log, chunk);
    if (attached !== null && !attached.destroyed && !attached.write(chunk)) stream.pause();
  });
  return new Promise((resolve) => {
    attached?.on('close', () => resolve());
    stream.on('close', () => {
      if (attached === null || attached.destroyed) resolve();
      else attached.end(() => attached.destroy());
    });
  });
}

// What a terminal or a caller's group is sent is none of this process's.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'] as const) process.on(signal, () => {});
try {
  await run(JSON.parse(process.argv[2] ?? '{}'));
} catch (error) {
  report(`failed ${error instanceof Failure ? error.message : String(error)}`);
  process.exitCode = 1;
}
// The relays' listeners would hold it.
process.exit();
