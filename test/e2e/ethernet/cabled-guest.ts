/**
 * A guest that is a kernel of its own kind: a network namespace whose only card is a TAP device, and the link at the
 * other end of its cable. Runs commands in it, and serves what arrives by a function.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createStreamCable } from '../../../controller/links/ethernet/cable.ts';
import type { GuestStream } from '../../../controller/links/ethernet/guest-stream.ts';
import type { EthernetLimits } from '../../../controller/links/ethernet/limits.ts';
import { createEthernetLink, type EthernetLink } from '../../../controller/links/ethernet/link.ts';
import { type Roughness, roughen } from './rough-cable.ts';

const TAP = fileURLToPath(new URL('./tap.py', import.meta.url));
const UDHCPC = fileURLToPath(new URL('./udhcpc.sh', import.meta.url));
const START_TIMEOUT_MS = 20_000;

export interface CabledGuest extends AsyncDisposable {
  readonly link: EthernetLink;
  /** What DHCP gave. */
  readonly lease: string;
  /** Streams that the link has open. */
  readonly lost: Promise<Error>;
  /** The process that holds the guest's namespace. */
  readonly holder: ChildProcess;
  /** Runs a command in the guest; gives its output, whatever its exit. */
  run(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  /** A command in the guest, with its streams. */
  start(argv: readonly string[]): ChildProcess;
}

export interface RunOptions {
  readonly timeoutMs?: number;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CabledGuestOptions {
  /** Called with each connection. */
  readonly serve: (stream: GuestStream) => void;
  /** Answers DNS datagrams. */
  readonly answer?: (message: Buffer) => Buffer;
  readonly ports?: readonly number[];
  readonly mtu?: number;
  readonly rough?: Roughness;
  readonly limits?: Partial<EthernetLimits>;
  /** In the place of the helper: a program that gets the device as its standard input. */
  readonly pump?: (socketPath: string) => readonly string[];
}

export async function createCabledGuest(options: CabledGuestOptions): Promise<CabledGuest> {
  const folder = mkdtempSync(join(tmpdir(), 'cable-'));
  const path = join(folder, 'cable.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const { mtu = 1_500, pump } = options;
  const helper = pump === undefined ? [path] : ['--', ...pump(path)];
  const holder = spawn(
    'unshare',
    [
      ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']),
      '--net',
      'python3',
      TAP,
      String(Math.max(mtu, 1_500)),
      ...helper,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const [socket] = (await once(server, 'connection', { signal: AbortSignal.timeout(START_TIMEOUT_MS) })) as [
    Socket,
  ];
  server.close();
  const lost = Promise.withResolvers<Error>();
  const cable = createStreamCable(socket);
  const link = createEthernetLink({
    cable: options.rough === undefined ? cable : roughen(cable, options.rough),
    ports: options.ports ?? [80],
    limits: { mtu, ...options.limits },
    consumer: {
      stream: (stream) => {
        stream.on('error', () => {});
        options.serve(stream);
      },
      datagram: (socket) =>
        socket.on('message', (message, from) => {
          if (options.answer !== undefined) socket.send(options.answer(message), from.port, from.address);
        }),
      lost: lost.resolve,
    },
  });
  const inside = [
    '--target',
    String(holder.pid),
    ...(process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials']),
    '--net',
  ];
  const start = (argv: readonly string[]) =>
    spawn('nsenter', [...inside, '--', ...argv], { stdio: ['pipe', 'pipe', 'pipe'] });
  const run = async (argv: readonly string[], { timeoutMs = 60_000 }: RunOptions = {}): Promise<Ran> => {
    const options = {
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, http_proxy: '', no_proxy: '*' },
    };
    try {
      const ran = await promisify(execFile)('nsenter', [...inside, '--', ...argv], options);
      return { code: 0, ...ran };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code: typeof code === 'number' ? code : -1, stdout, stderr };
    }
  };
  const close = async () => {
    link.close();
    if (holder.exitCode === null && holder.signalCode === null) {
      const ended = once(holder, 'exit');
      holder.kill('SIGKILL');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const asked = await run([
      'busybox',
      'udhcpc',
      '-i',
      'tap0',
      '-t',
      '10',
      '-T',
      '1',
      '-n',
      '-q',
      '-f',
      '-O',
      'wpad',
      '-O',
      'mtu',
      '-s',
      UDHCPC,
    ]);
    const lease = /^ip=.*$/m.exec(asked.stdout)?.[0];
    if (lease === undefined) throw new Error(`no lease: ${asked.stdout} ${asked.stderr}`);
    return { link, lease, lost: lost.promise, holder, run, start, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
