/**
 * Brings a guest about in a machine of its own, with QEMU on an emulated processor: no network card, its files by virtiofsd, its sockets
 * and processes over virtio-serial. All of it is tied to the keeper, whose end is the machine's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../../failure.ts';
import { identify } from '../../processes.ts';
import { type Launch, RESIZE } from '../launch.ts';
import { partsOf, sortMounts } from '../namespaces/parts.ts';
import { entryProgram } from '../namespaces/program.ts';
import { relayTo } from '../relay.ts';
import { openProcess } from './calls.ts';
import { listenForCalls } from './control.ts';
import { initramfsFor } from './initramfs.ts';
import { findKernel } from './kernel.ts';
import { planMachine, planMachineGuest, planShare, type Share, SOCKET_NAMES, sharesOf } from './machine.ts';
import { FILE_SERVER, missingParts } from './parts.ts';
import { carry, type Port } from './port.ts';

const SHARE_MS = 30_000;
const POLL_MS = 20;

export const launchMachine: Launch = async (settings, container, sockets, request) => {
  const missing = missingParts();
  const kernel = findKernel();
  if (kernel === null || missing.length > 0) throw new Failure(`a machine has no ${missing.join(', no ')}`);
  const mounts = sortMounts(container, settings, sockets);
  const parts = partsOf(container, settings, mounts);
  const socketSources = mounts.relays.map(({ listenName }) => join(sockets, listenName));
  const binds = mounts.binds.filter(({ source }) => !socketSources.includes(source));
  const shares = sharesOf({ imageRoot: container.imageRoot, layers: container.layers, binds });
  for (const share of shares) await serveFiles(share, join(container.folder, share.tag));
  const control = listenAtPort(0, () => {});
  const relayed = mounts.relays.map(({ hostPath }, at) => listenAtPort(at + 1, relayTo(hostPath)));
  await Promise.all([control, ...relayed].map(({ listening }) => listening));
  const modes = mounts.relays.map(({ hostPath }) => statSync(hostPath).mode & 0o777);
  const machine = spawnTied(planMachine(kernel, initramfsFor(kernel), shares, modes));
  const port = await Promise.race([control.connected, endOf(machine)]);
  if (port === null) throw new Failure('the machine ended before it was started');
  await listenForCalls(port.open);
  const { isInteractive, isAttached } = request;
  const isTerminal = container.configuration.initProcess.terminal;
  const steps = planMachineGuest(parts, socketSources, isInteractive);
  const ends = openProcess(port.open, steps, { isInteractive, isAttached: true }, isTerminal);
  ends.stdin?.on('error', () => process.stdin.unpipe());
  if (ends.stdin !== null) process.stdin.pipe(ends.stdin);
  if (ends.resize !== null && isAttached)
    new Socket({ fd: RESIZE, readable: true, writable: false }).pipe(ends.resize);
  return { ends, initOf: () => identify(machine.pid ?? 0) };
};

/** Not a group of its own: entry.c ties it to this process. */
function spawnTied(steps: readonly string[]): ChildProcess {
  const child = spawn(entryProgram(), steps, { stdio: ['ignore', 'ignore', 'ignore', 'ignore'] });
  child.on('error', () => {});
  return child;
}

function endOf(child: ChildProcess): Promise<null> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', () => resolve(null));
  });
}

async function serveFiles(share: Share, workFolder: string): Promise<void> {
  mkdirSync(workFolder, { recursive: true });
  const server = spawnTied(planShare(share, workFolder, FILE_SERVER));
  const deadline = Date.now() + SHARE_MS;
  while (!existsSync(SOCKET_NAMES.share(share.tag))) {
    if (Date.now() > deadline || server.exitCode !== null)
      throw new Failure(`the files of ${share.tag} cannot be shared`);
    await delay(POLL_MS);
  }
}

interface ListeningPort {
  readonly listening: Promise<void>;
  /** Once QEMU is there. */
  readonly connected: Promise<Port>;
}

function listenAtPort(at: number, onOpen: (stream: Duplex) => void): ListeningPort {
  const { promise: connected, resolve } = Promise.withResolvers<Port>();
  const server = createServer((socket) => {
    server.close();
    resolve(carry(socket, onOpen));
  });
  const listening = new Promise<void>((listen, reject) => {
    server.once('error', reject);
    server.listen(SOCKET_NAMES.port(at), listen);
  });
  return { listening, connected };
}
