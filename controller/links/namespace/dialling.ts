/**
 * The way in to a guest: asks the dialer, which stands in the guest's network namespace, for connections to the guest's
 * servers, and owns the dialer's life. Who may come in, and what is recorded, is left to the caller.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { toolEnvironment } from '../../process/tool-path.ts';
import type { Dial, Dialled } from '../dial.ts';
import type { DialerPlan, FromDialer, ToDialer } from './messages.ts';
import { endProcess } from './process-end.ts';

/** With the dialer's own start on a loaded machine; by itself it gives up sooner. */
const DIAL_TIMEOUT_MS = 20_000;

export interface Dialling {
  readonly dial: Dial;
  /** Ends the dialer, and every connection that came by it. Idempotent. */
  close(): Promise<void>;
}

const DIALER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './dialer.ts' : './dialer.js', import.meta.url),
);

/** The dialer comes up meanwhile; one that has ended is started anew by the next dial. */
export function createDialling(holderPid: number, ports: readonly number[]): Dialling {
  const plan: DialerPlan = { namespace: readlinkSync(`/proc/${holderPid}/ns/net`), ports };
  const published = new Set(ports);
  const connections = new Set<Socket>();
  let isClosed = false;
  let dialer: Dialer | null = null;
  const running = (): Dialer => {
    dialer = dialer?.hasEnded() === false ? dialer : createDialer(startDialer(holderPid, plan));
    return dialer;
  };
  running();

  return {
    async dial(port) {
      // Fail closed: only what was published, here as in the dialer.
      if (isClosed || !published.has(port)) return { ok: false, detail: 'it is not published' };
      // One that was killed may be known to be gone only by this question.
      const answer = (await running().ask(port)) ?? (isClosed ? null : await running().ask(port));
      if (answer === null) return { ok: false, detail: 'the dialer ended' };
      if (!answer.ok) return answer;
      const { socket } = answer;
      if (isClosed) {
        socket.resetAndDestroy();
        return { ok: false, detail: 'the guest has ended' };
      }
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
      return answer;
    },
    async close() {
      isClosed = true;
      for (const socket of connections) socket.destroy();
      await dialer?.close();
    },
  };
}

/** One process, and the questions to it that have no answer yet. */
interface Dialer {
  /** Null where it ended before it answered. */
  ask(port: number): Promise<Dialled<Socket> | null>;
  hasEnded(): boolean;
  close(): Promise<void>;
}

function createDialer(child: ChildProcess): Dialer {
  const waiting = new Map<number, (answer: Dialled<Socket> | null) => void>();
  let next = 1;
  let isGone = false;
  const gone = () => {
    isGone = true;
    child.kill('SIGKILL');
    for (const give of [...waiting.values()]) give(null);
  };
  child.on('error', gone);
  child.on('exit', gone);
  child.on('disconnect', gone);
  child.stdin?.on('error', () => {});
  child.on('message', (message: FromDialer, handle: unknown) => {
    const give = waiting.get(message.id);
    if (!(handle instanceof Socket)) {
      const detail = message.type === 'refused' ? message.detail : 'it reset the connection';
      return give?.({ ok: false, detail });
    }
    handle.on('error', () => {});
    // Nobody waits for it any more.
    if (give === undefined) return void handle.resetAndDestroy();
    handle.allowHalfOpen = true;
    handle.setNoDelay(true);
    give({ ok: true, socket: handle });
  });
  return {
    ask(port) {
      if (isGone) return Promise.resolve(null);
      const { promise, resolve } = Promise.withResolvers<Dialled<Socket> | null>();
      const id = next++;
      const give = (answer: Dialled<Socket> | null) => {
        clearTimeout(timer);
        waiting.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(give, DIAL_TIMEOUT_MS, { ok: false, detail: 'no answer in time' });
      waiting.set(id, give);
      const message: ToDialer = { type: 'dial', id, port };
      child.send(message, (error) => {
        if (error !== null) gone();
      });
      return promise;
    },
    hasEnded: () => isGone,
    close: () => endProcess(child),
  };
}

/**
 * `--pdeathsig` says that it dies with this process, also while it is stopped; what it would need of its capabilities
 * over the guest's network it gives up, since a connection needs none.
 */
function startDialer(holderPid: number, plan: DialerPlan): ChildProcess {
  const namespaces = ['user', 'net'].map((kind) => `--${kind}=/proc/${holderPid}/ns/${kind}`);
  const tied = ['--pdeathsig', 'KILL'];
  const bare = ['--no-new-privs', '--inh-caps=-all', '--bounding-set=-all'];
  const chain = ['nsenter', ...namespaces, '--preserve-credentials', '--', 'setpriv', ...tied, ...bare, '--'];
  return spawn('setpriv', [...tied, '--', ...chain, process.execPath, DIALER, JSON.stringify(plan)], {
    // Its standard input says by its end that this process is gone.
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
    detached: true,
    env: toolEnvironment(process.env),
  });
}
