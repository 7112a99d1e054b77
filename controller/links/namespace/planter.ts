/**
 * The planter: a program that runs as root of the guest's own user namespace, in the gateway's network
 * namespace. It joins the guest's namespace to it, opens the listeners there and hands them to the gateway's
 * process; then it keeps nothing but the namespaces. It is the first process of a PID namespace of its own, so
 * whatever it started ends with it, also what is stopped or hangs. Uses only Node's own modules.
 */
import { type SendHandle, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { ProbePlan } from '../probing.ts';
import type { FromPlanter, ProbeObservations, ToPlanter } from './messages.ts';
import {
  formatLinkCommands,
  gatewayLinkCommands,
  gatewayRuleset,
  guestLinkCommands,
  judgeLinkCommands,
  LINK,
  type LinkCommands,
  parseTried,
  plantCommand,
} from './topology.ts';

/** A tool that sets up the link answers in milliseconds; one that does not is broken. */
const TOOL_TIMEOUT_MS = 10_000;
/** The prober's life, from its start beside the link's; each of its probes has a shorter bound of its own. */
const PROBE_TIMEOUT_MS = 30_000;
/** Closed connections that wait out their end; nothing comes late on a cable within one kernel, and each is a line to look through. */
const GUEST_TIME_WAITS = 128;
/** Places for sockets, a list each, so that there may be any number. A power of two. */
const GUEST_SOCKET_BUCKETS = 1_024;
/** `nft -j list` of two full sets stays under this. */
const OUTPUT_BYTES = 8 * 1024 * 1024;

interface ToolResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runTool(
  file: string,
  args: readonly string[],
  input: string | Promise<string>,
  timeoutMs: number,
): Promise<ToolResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    const keep = (list: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size > OUTPUT_BYTES) child.kill('SIGKILL');
      else list.push(chunk);
    };
    child.stdout.on('data', keep(out));
    child.stderr.on('data', keep(err));
    child.on('error', (error) => resolve({ code: null, stdout: '', stderr: error.message }));
    child.on('close', (code) =>
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
    child.stdin.on('error', () => {});
    void Promise.resolve(input).then((text) => child.stdin.end(text));
  });
}

async function mustRun(step: string, file: string, args: readonly string[], input: string): Promise<string> {
  const result = await runTool(file, args, input, TOOL_TIMEOUT_MS);
  if (result.code !== 0)
    throw new StepFailed(step, result.stderr.trim() || `${file} ended with ${result.code}`);
  return result.stdout;
}

class StepFailed extends Error {
  readonly step: string;
  constructor(step: string, detail: string) {
    super(detail);
    this.step = step;
  }
}

interface Holder {
  /** In the planter's PID namespace: what the kernel takes for a pid in a request of the planter's tools. */
  readonly pid: number;
  /** In the PID namespace that /proc shows, which is the gateway's process's: its name as a path. */
  readonly procPid: number;
}

/**
 * The guest's namespace gets a table of TCP sockets of its own, and a small one: who connects is looked up in all of it for each
 * connection, and the host's has hundreds of thousands of places. Before Linux 6.1 there is only the host's.
 */
function boundGuestSockets(): void {
  try {
    writeFileSync('/proc/sys/net/ipv4/tcp_child_ehash_entries', String(GUEST_SOCKET_BUCKETS));
  } catch {
    // Looking is slower then, and bounded all the same.
  }
}

/**
 * Starts the process that holds the guest's namespace: it ends when its standard input does, which is when
 * the planter does. Ports below 1024 are opened to the guest, whose servers may use any.
 */
function startHolder(): Promise<Holder> {
  const script = `echo 0 2>/dev/null >/proc/sys/net/ipv4/ip_unprivileged_port_start
echo ${GUEST_TIME_WAITS} 2>/dev/null >/proc/sys/net/ipv4/tcp_max_tw_buckets
read -r pid rest </proc/self/stat && echo "$pid" && exec cat >/dev/null`;
  const child = spawn('unshare', ['--net', '--', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  let isUp = false;
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new StepFailed('guest-namespace', error.message)));
    child.on('exit', (code, signal) => {
      reject(new StepFailed('guest-namespace', `the holder ended with ${signal ?? code}`));
      // Fail closed: its namespace may be gone, and its pid another process's soon.
      if (isUp)
        fail(new StepFailed('holder', `what holds the guest\u2019s namespace ended with ${signal ?? code}`));
    });
    child.stdout.once('data', (said: Buffer) => {
      const procPid = Number(said.toString());
      if (child.pid === undefined || !Number.isInteger(procPid)) return;
      isUp = true;
      resolve({ pid: child.pid, procPid });
    });
  });
}

/** Whether the guest has IPv6. */
async function joinNamespaces(holder: Holder): Promise<boolean> {
  const gateway6 = await runLinkCommands('gateway-link', gatewayLinkCommands(holder.pid), 'ip', []);
  const inGuest = ['--net', '--target', String(holder.procPid), '--', 'ip'];
  const guest6 = await runLinkCommands('guest-link', guestLinkCommands(), 'nsenter', inGuest);
  return gateway6 && guest6;
}

async function runLinkCommands(
  step: string,
  commands: LinkCommands,
  file: string,
  prefix: readonly string[],
): Promise<boolean> {
  const args = [...prefix, '-force', '-batch', '-'];
  const result = await runTool(file, args, formatLinkCommands(commands), TOOL_TIMEOUT_MS);
  const { up, ipv6 } = judgeLinkCommands(commands, result);
  if (!up) throw new StepFailed(step, result.stderr.trim() || `${file} ended with ${result.code}`);
  return ipv6;
}

function tell(message: FromPlanter, handle?: SendHandle): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) return reject(new Error('started without an IPC channel'));
    process.send(message, handle, {}, (error) => (error ? reject(error) : resolve()));
  });
}

/** Opens a listener, hands it over, and closes its own copy: two owners would share out the connections. */
async function plantStream(port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    const listenOn = (host: string) => server.listen({ port, host, backlog: 511 }, resolve);
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EAFNOSUPPORT' && error.code !== 'EADDRNOTAVAIL') return reject(error);
      server.once('error', reject);
      listenOn('0.0.0.0');
    });
    listenOn('::');
  });
  await tell({ type: 'stream', port }, server);
  server.close();
}

async function plantDatagram(family: 'udp4' | 'udp6', address: string): Promise<void> {
  const socket = createSocket({ type: family, ipv6Only: family === 'udp6' });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port: 53, address, exclusive: true }, resolve);
  });
  await tell({ type: 'datagram', port: 53, family }, socket);
  socket.close();
}

async function plantPorts(ports: readonly number[]): Promise<void> {
  for (const port of ports) await plantStream(port);
  await tell({ type: 'planted', ports });
}

interface Prober {
  /** Gives the plan to the prober; its observations when it has ended. */
  run(plan: ProbePlan): Promise<ProbeObservations>;
}

/** Started while the link is still being set up: Node takes longer to start than everything else together. */
function startProber(holder: Holder): Prober {
  const program = new URL(import.meta.url.endsWith('.ts') ? './prober.ts' : './prober.js', import.meta.url);
  const { promise: input, resolve: give } = Promise.withResolvers<string>();
  const args = ['--net', '--target', String(holder.procPid), '--', process.execPath, program.pathname];
  const ended = runTool('nsenter', args, input, PROBE_TIMEOUT_MS);
  return {
    async run(plan) {
      give(JSON.stringify(plan));
      const result = await ended;
      if (result.code !== 0)
        throw new StepFailed('probe', result.stderr.trim() || 'the prober did not finish');
      return JSON.parse(result.stdout) as ProbeObservations;
    },
  };
}

async function readTried(): Promise<void> {
  const listed = await runTool('nft', ['-j', 'list', 'table', 'inet', 'sand'], '', TOOL_TIMEOUT_MS);
  await tell({ type: 'tried', tried: listed.code === 0 ? parseTried(listed.stdout) : [] });
}

async function main(): Promise<void> {
  process.channel?.ref();
  process.on('disconnect', () => process.exit(0));
  process.stdin.on('close', () => process.exit(0)).resume();
  const ports = JSON.parse(process.argv[2] ?? '[]') as readonly number[];

  // The prober needs longest and waits for the holder alone, so nothing else comes before them.
  boundGuestSockets();
  const holder = await startHolder();
  const prober = startProber(holder);
  const joined = joinNamespaces(holder);
  const ruleset = mustRun('ruleset', 'nft', ['-f', '-'], gatewayRuleset(ports));
  const planting = plantPorts([...new Set([53, LINK.proxyPort, ...ports])]);
  const [ipv6] = await Promise.all([joined, ruleset, planting]);
  await plantDatagram('udp4', '0.0.0.0');
  if (ipv6) await plantDatagram('udp6', '::');

  process.on('message', (message: ToPlanter) => {
    const work = answer(message, prober);
    work.catch(fail);
  });
  await tell({ type: 'ready', holderPid: holder.procPid, ipv6 });
}

async function answer(message: ToPlanter, prober: Prober): Promise<void> {
  switch (message.type) {
    case 'plant':
      await mustRun('ruleset', 'nft', ['-f', '-'], plantCommand(message.ports));
      return plantPorts(message.ports);
    case 'probe':
      return tell({ type: 'probed', observations: await prober.run(message.plan) });
    case 'tried':
      return readTried();
  }
}

function fail(error: unknown): void {
  const step = error instanceof StepFailed ? error.step : 'planter';
  const detail = error instanceof Error ? error.message : String(error);
  // Fail closed: without its planter a guest has no link; the gateway's process ends it.
  tell({ type: 'failed', step, detail }).then(
    () => process.exit(1),
    () => process.exit(1),
  );
}

main().catch(fail);
