/**
 * The dialer: a program in the guest's network namespace that connects to servers of the guest, on the ports that were
 * published and no others, and hands each connection to the gateway's process. It reads no byte of any. Only Node's own
 * modules.
 */
import { readlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import type { DialerPlan, FromDialer, ToDialer } from './messages.ts';
import { LINK } from './topology.ts';

/** Where a server of the guest can listen, the likeliest first; all are on this machine and answer at once. */
const PLACES: readonly string[] = ['127.0.0.1', '::1', LINK.guest4];
/** A server whose queue is full does not answer; nobody waits longer for a page. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Connections that are being made or handed over: more than the gateway has under way at a time. */
const PENDING_DIALS = 1_024;

function connectTo(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ allowHalfOpen: true });
    // What is read here the gateway's process would never see.
    socket.pause();
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), CONNECT_TIMEOUT_MS);
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
    socket.connect({ host, port });
  });
}

async function dial(port: number): Promise<Socket | string> {
  const problems: string[] = [];
  for (const place of PLACES) {
    try {
      return await connectTo(place, port);
    } catch (error) {
      problems.push(
        `${place}: ${error instanceof Error ? (Reflect.get(error, 'code') ?? error.message) : error}`,
      );
    }
  }
  return problems.join(', ');
}

function tell(message: FromDialer, socket?: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) return reject(new Error('started without an IPC channel'));
    // Without `keepOpen` its own copy is closed once the other side has the connection.
    process.send(message, socket, { keepOpen: false }, (error) => (error ? reject(error) : resolve()));
  });
}

async function answer(
  { id, port }: ToDialer,
  ports: ReadonlySet<number>,
  pending: Set<number>,
): Promise<void> {
  // Fail closed: a way in to what was not published is not made, whoever asks.
  if (!ports.has(port)) return tell({ type: 'refused', id, detail: `port ${port} is not published` });
  if (pending.size >= PENDING_DIALS) return tell({ type: 'refused', id, detail: 'too many at a time' });
  pending.add(id);
  try {
    const dialled = await dial(port);
    if (typeof dialled === 'string') await tell({ type: 'refused', id, detail: dialled });
    else await tell({ type: 'dialled', id }, dialled);
  } finally {
    pending.delete(id);
  }
}

function main(): void {
  process.channel?.ref();
  process.on('disconnect', () => process.exit(0));
  process.stdin.on('close', () => process.exit(0)).resume();
  const plan = JSON.parse(process.argv[2] ?? '') as DialerPlan;
  // Fail closed: what held the guest's namespace may be gone, and its pid another process's.
  if (readlinkSync('/proc/self/ns/net') !== plan.namespace) process.exit(1);
  const ports = new Set(plan.ports);
  const pending = new Set<number>();
  process.on('message', (message: ToDialer) => {
    answer(message, ports, pending).catch(() => process.exit(1));
  });
}

main();
