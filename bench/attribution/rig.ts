/** Starts the stand-in guest of `guest.ts`, asks it for things, and takes over the listeners that it hands over. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { GuestTask } from './guest.ts';

const GUEST = fileURLToPath(new URL('./guest.ts', import.meta.url));
/** As the planter does: a small table of sockets for the guest's namespace. */
const SCRIPT = `echo 1024 2>/dev/null >/proc/sys/net/ipv4/tcp_child_ehash_entries
exec unshare --net --pid --fork --kill-child --mount-proc -- sh -c 'echo 128 2>/dev/null >/proc/sys/net/ipv4/tcp_max_tw_buckets; exec "$@"' sh "$@"`;

export interface StandInGuest {
  /** On the host. */
  readonly initPid: number;
  listen(): Promise<{ readonly server: Server; readonly port: number }>;
  ask(task: GuestTask): Promise<unknown>;
  end(): Promise<void>;
}

export async function startStandInGuest(): Promise<StandInGuest> {
  const outer = ['unshare', '--user', '--map-root-user', '--net', '--', 'sh', '-c', SCRIPT, 'sh'];
  const argv = ['--pdeathsig', 'KILL', '--', ...outer, process.execPath, GUEST];
  const child = spawn('setpriv', argv, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const servers: Server[] = [];
  let handed: { readonly server: Server; readonly port: number } | null = null;
  const waiting: ((value: unknown) => void)[] = [];
  child.on('message', (message: { readonly value?: unknown; readonly handed?: number }, handle: unknown) => {
    if (!(handle instanceof Server)) return waiting.shift()?.(message.value);
    handed = { server: handle, port: message.handed ?? 0 };
    servers.push(handle);
  });
  const answer = (): Promise<unknown> => new Promise((resolve) => waiting.push(resolve));
  const ask = (task: GuestTask): Promise<unknown> => {
    child.send(task);
    return answer();
  };
  await answer();
  return {
    initPid: firstChildOf(child),
    ask,
    async listen() {
      await ask({ do: 'listen' });
      if (handed === null) throw new Error('no listener came');
      return handed;
    },
    async end() {
      for (const server of servers) server.close();
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** `unshare` has one, which is the first of its namespace. */
function firstChildOf({ pid }: ChildProcess): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
  return Number(children[0]);
}
