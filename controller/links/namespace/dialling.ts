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
  const waiting = new Map<number, (answer: Dialled) => void>();
  const connections = new Set<Socket>();
  let next = 1;
  let isClosed = false;

  const take = (message: FromDialer, handle: unknown) => {
    const give = waiting.get(message.id);
    waiting.delete(message.id);
    if (!(handle instanceof Socket)) {
      const detail = message.type === 'refused' ? message.detail : 'it reset the connection';
      return give?.({ ok: false, detail });
    }
    handle.on('error', () => {});
    // Nobody waits for it any more.
    if (give === undefined || isClosed) return void handle.resetAndDestroy();
    handle.allowHalfOpen = true;
    handle.setNoDelay(true);
    connections.add(handle);
    handle.once('close', () => connections.delete(handle));
    give({ ok: true, socket: handle });
  };
  const start = (): ChildProcess => {
    const child = startDialer(holderPid, plan);
    child.on('message', take);
    const gone = () => {
      if (dialer === child) dialer = null;
      for (const [id, give] of [...waiting]) {
        waiting.delete(id);
        give({ ok: false, detail: 'the dialer ended' });
      }
    };
    child.on('error', gone);
    child.on('exit', gone);
    child.on('disconnect', gone);
    child.stdin?.on('error', () => {});
    return child;
  };
  let dialer: ChildProcess | null = start();

  return {
    dial(port) {
      // Fail closed: only what was published, here as in the dialer.
      if (isClosed || !published.has(port))
        return Promise.resolve({ ok: false, detail: 'it is not published' });
      const { promise, resolve } = Promise.withResolvers<Dialled>();
      const id = next++;
      const timer = setTimeout(() => {
        waiting.delete(id);
        resolve({ ok: false, detail: 'no answer in time' });
      }, DIAL_TIMEOUT_MS);
      waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      dialer ??= start();
      const message: ToDialer = { type: 'dial', id, port };
      dialer.send(message, (error) => {
        if (error !== null) waiting.get(id)?.({ ok: false, detail: error.message });
      });
      return promise;
    },
    async close() {
      isClosed = true;
      for (const socket of connections) socket.destroy();
      if (dialer !== null) await endProcess(dialer);
    },
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
