/**
 * The namespace link: starts the planter, takes over the listeners that it planted, and hands what arrives
 * on them to whoever serves the guest. Owns the planter's life; says so when the planter ends by itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { Socket as DatagramSocket } from 'node:dgram';
import { Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { SandError } from '../../errors.ts';
import { toolEnvironment } from '../../process/tool-path.ts';
import type { Dial } from '../dial.ts';
import type { ProbePlan } from '../probing.ts';
import { createDialling, type Dialling } from './dialling.ts';
import type { FromPlanter, ProbeObservations, ToPlanter } from './messages.ts';
import { endProcess } from './process-end.ts';
import type { TriedDestination } from './topology.ts';

/** Starting takes a fifth of a second; a machine under load several; past this something hangs. */
const START_TIMEOUT_MS = 30_000;
/** The planter answers a question within its own tools' bound; this is a little longer. */
const ANSWER_TIMEOUT_MS = 20_000;
/** How long after the channel's end the exit is waited for: it says more, but does not come from a stopped `unshare`. */
const EXIT_AFTER_MS = 500;
/** What is kept of a failing planter's standard error, for the message. */
const STDERR_BYTES = 4_096;

/** What arrives from the guest. Called from the first connection on, also before `createNamespaceLink` returns. */
export interface LinkConsumer {
  /** A TCP connection; its local address and port are the original destination. */
  stream(socket: Socket, port: number): void;
  /** A bound UDP socket on which the guest's DNS queries arrive. Called once per address family. */
  datagram(socket: DatagramSocket): void;
  /** The link ended without `close`: the guest has no way out any more and must be ended. */
  lost(error: SandError): void;
}

export interface NamespaceLink {
  /** A process in the guest's namespaces: `/proc/<pid>/ns/user` and `/proc/<pid>/ns/net`. */
  readonly holderPid: number;
  readonly planterPid: number;
  readonly ipv6: boolean;
  plant(ports: readonly number[]): Promise<void>;
  /** An abort ends the link. */
  probe(plan: ProbePlan, signal: AbortSignal): Promise<ProbeObservations>;
  /** Destinations that the kernel refused because nothing is planted there; counters since the start. */
  tried(): Promise<readonly TriedDestination[]>;
  /** Opens the way in to these ports of the guest, and to no others. To be called once. */
  openWayIn(ports: readonly number[]): Dial;
  /** Ends the planter, the way in and every listener. Idempotent. */
  close(): Promise<void>;
}

const PLANTER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './planter.ts' : './planter.js', import.meta.url),
);

/** Stops and is waited for on abort. Raises `link-failed`, `namespaces-unavailable`, `tool-missing`. */
export async function createNamespaceLink(
  ports: readonly number[],
  consumer: LinkConsumer,
  signal: AbortSignal,
): Promise<NamespaceLink> {
  signal.throwIfAborted();
  const planter = startPlanter(ports);
  const listeners = new Set<Server>();
  const sockets = new Set<DatagramSocket>();
  const connections = new Set<Socket>();
  const mailbox = createMailbox(planter);
  let closing = false;
  let dialling: Dialling | null = null;
  let stderr = '';
  planter.stderr?.on('data', (chunk: Buffer) => {
    if (stderr.length < STDERR_BYTES) stderr += chunk.toString();
  });

  const close = async () => {
    closing = true;
    for (const server of listeners) server.close();
    for (const socket of sockets) closeDatagram(socket);
    // A guest that was killed acknowledges no end: what is still being said to it would keep this process.
    for (const socket of connections) socket.destroy();
    await Promise.all([dialling?.close(), endProcess(planter)]);
  };

  planter.on('message', (message: FromPlanter, handle: unknown) => {
    // What was on its way when the link was closed has nobody to serve it, and would keep this process.
    if (closing && (handle instanceof Server || handle instanceof DatagramSocket)) return void handle.close();
    if (message.type === 'stream' && handle instanceof Server) {
      listeners.add(handle);
      handle.on('connection', (socket) => {
        connections.add(socket);
        socket.once('close', () => connections.delete(socket));
        consumer.stream(socket, message.port);
      });
      handle.on('error', () => {});
    } else if (message.type === 'datagram' && handle instanceof DatagramSocket) {
      sockets.add(handle);
      consumer.datagram(handle);
    } else {
      mailbox.deliver(message);
    }
  });
  const gone = (detail: string) => {
    const error = mailbox.fail(linkError(detail, stderr));
    if (!closing) consumer.lost(error);
  };
  planter.on('error', (error) => gone(error.message));
  planter.on('close', (code, killedBy) => gone(`the planter ended (${killedBy ?? code})`));
  planter.on('disconnect', () => setTimeout(gone, EXIT_AFTER_MS, 'the planter ended').unref());

  planter.stdin?.on('error', () => {});
  const abort = () => void close().catch(() => {});
  signal.addEventListener('abort', abort, { once: true });
  try {
    const ready = await mailbox.wait('ready', START_TIMEOUT_MS);
    return {
      holderPid: ready.holderPid,
      planterPid: planter.pid ?? 0,
      ipv6: ready.ipv6,
      async plant(more) {
        mailbox.send({ type: 'plant', ports: more });
        await mailbox.wait('planted', ANSWER_TIMEOUT_MS);
      },
      async probe(plan, probing) {
        probing.addEventListener('abort', abort, { once: true });
        try {
          probing.throwIfAborted();
          mailbox.send({ type: 'probe', plan });
          return (await mailbox.wait('probed', ANSWER_TIMEOUT_MS)).observations;
        } finally {
          probing.removeEventListener('abort', abort);
        }
      },
      async tried() {
        mailbox.send({ type: 'tried' });
        return (await mailbox.wait('tried', ANSWER_TIMEOUT_MS)).tried;
      },
      openWayIn(published) {
        dialling = createDialling(ready.holderPid, published);
        return dialling.dial;
      },
      close,
    };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * `--pdeathsig` first: when this process is killed the whole chain is, also while the planter hangs or is
 * stopped; `--kill-child` carries it over the fork that a PID namespace needs, and that namespace to all that
 * the planter starts. A session of its own keeps the terminal's signals away.
 */
function startPlanter(ports: readonly number[]): ChildProcess {
  const args = [
    '--pdeathsig',
    'KILL',
    '--',
    'unshare',
    '--user',
    '--map-root-user',
    '--net',
    '--pid',
    '--kill-child',
    '--',
  ];
  return spawn('setpriv', [...args, process.execPath, PLANTER, JSON.stringify(ports)], {
    // Its standard input says by its end that this process is gone; an IPC channel that ends early tells nobody.
    stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
    detached: true,
    env: toolEnvironment(process.env),
  });
}

type Answer<T extends FromPlanter['type']> = Extract<FromPlanter, { readonly type: T }>;

/** Pairs questions with answers: one answer of a type is awaited at a time, in the order of asking. */
function createMailbox(planter: ChildProcess) {
  const waiting: {
    readonly type: FromPlanter['type'];
    readonly resolve: (message: FromPlanter) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  let failure: SandError | null = null;

  const fail = (error: SandError) => {
    failure ??= error;
    for (const waiter of waiting.splice(0)) waiter.reject(failure);
    return failure;
  };
  return {
    fail,
    send(message: ToPlanter) {
      if (planter.connected) planter.send(message);
    },
    deliver(message: FromPlanter) {
      if (message.type === 'failed') return void fail(stepError(message.step, message.detail));
      const at = waiting.findIndex((waiter) => waiter.type === message.type);
      waiting.splice(at, at < 0 ? 0 : 1)[0]?.resolve(message);
    },
    wait<T extends FromPlanter['type']>(type: T, timeoutMs: number): Promise<Answer<T>> {
      return new Promise((resolve, reject) => {
        if (failure !== null) return reject(failure);
        const timer = setTimeout(() => reject(linkError(`no answer within ${timeoutMs} ms`, '')), timeoutMs);
        waiting.push({
          type,
          resolve: (message) => {
            clearTimeout(timer);
            resolve(message as Answer<T>);
          },
          reject: (error) => {
            clearTimeout(timer);
            reject(error);
          },
        });
      });
    },
  };
}

function closeDatagram(socket: DatagramSocket): void {
  try {
    socket.close();
  } catch {
    // Already closed by whoever served it.
  }
}

function stepError(step: string, detail: string): SandError {
  if (step === 'guest-namespace') return namespacesError(detail);
  if (step === 'holder') return linkError(detail, '');
  return new SandError(
    'link-failed',
    `the link could not be set up at ${step}: ${detail}`,
    'run `sand doctor`',
  );
}

function linkError(detail: string, stderr: string): SandError {
  const said = stderr.trim();
  if (/unshare failed|uid_map|Operation not permitted/i.test(said)) return namespacesError(said);
  if (/ENOENT|No such file/i.test(detail)) {
    return new SandError(
      'tool-missing',
      `util-linux is missing: ${detail}`,
      'install util-linux (`apt-get install util-linux`)',
    );
  }
  return new SandError(
    'link-failed',
    `the link failed: ${detail}${said ? `: ${said}` : ''}`,
    'run `sand doctor`',
  );
}

function namespacesError(detail: string): SandError {
  return new SandError(
    'namespaces-unavailable',
    `this machine does not let sand make a user and network namespace: ${detail}`,
    'run `sand doctor`: it names what blocks them and the command that cures it',
  );
}
