/**
 * Starts what an emulated machine needs around it: the servers of its files and the listeners at its ports. All of it is tied to this
 * process, and lies in its working directory; when the machine itself is started is decided by the caller.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../container/failure.ts';
import { entryProgram } from '../container/runtime/namespaces/program.ts';
import { FILE_SERVER } from './parts.ts';
import { planShare, type Share, SOCKET_NAMES } from './plan.ts';
import { carry, type Port } from './port.ts';

const SHARE_MS = 30_000;
const POLL_MS = 20;

/** Not a group of its own: entry.c ties it to this process. */
export function spawnTied(steps: readonly string[]): ChildProcess {
  const child = spawn(entryProgram(), steps, { stdio: ['ignore', 'ignore', 'ignore', 'ignore'] });
  child.on('error', () => {});
  return child;
}

/** `workFolder` is seen filled by the server alone, which ends with its machine. */
export async function serveFiles(share: Share, workFolder: string): Promise<ChildProcess> {
  mkdirSync(workFolder, { recursive: true });
  const server = spawnTied(planShare(share, workFolder, FILE_SERVER));
  const deadline = Date.now() + SHARE_MS;
  while (!existsSync(SOCKET_NAMES.share(share.tag))) {
    if (Date.now() > deadline || server.exitCode !== null)
      throw new Failure(`the files of ${share.tag} cannot be shared`);
    await delay(POLL_MS);
  }
  return server;
}

export interface ListeningPort {
  readonly listening: Promise<void>;
  /** Once QEMU is there. */
  readonly connected: Promise<Port>;
}

export function listenAtPort(at: number, onOpen: (stream: Duplex) => void): ListeningPort {
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
