/** What is measured of one proxy: the tasks of a round, and memory with idle tunnels. Figures are only collected here. */
import { processorMs, residentBytes } from '../process-figures.ts';
import type { Program, Workplace } from '../workplace.ts';
import type { Contestant, Running } from './contestants.ts';
import type { Figures, Route, Task } from './load.ts';
import type { OriginPorts } from './origin.ts';
import { ORIGIN_NAME } from './origin-name.ts';

const SLICE_MS = 500;
const WARM_UP_MS = 1_000;
/** Longer, for what is new comes rarely where the proxy is busy. */
const LOADED_MS = 800;
/** The streams begin before what is measured beside them, and end after it. */
const FLOOD_MARGIN_MS = 300;
const AT_ONCE = 32;
const STREAMS = 8;
/** After the last tunnel has come, allocations settle. */
const SETTLE_MS = 300;
const FEW_TUNNELS = 1_000;

export const ROWS = {
  tunnels: `tunnels/s, ${AT_ONCE} at a time`,
  tunnelCpu: 'CPU µs a tunnel',
  tunnel: 'a tunnel, one at a time, ms',
  stream: '1 stream, GB/s',
  streams: `${STREAMS} streams, GB/s`,
  streamsCpu: 'CPU s a GB',
  requests: `HTTP requests/s, ${AT_ONCE} at a time`,
  requestCpu: 'CPU µs a request',
  request: 'an HTTP request, one at a time, ms',
  loadedTunnel: `a new tunnel beside ${STREAMS} streams, ms`,
  loadedAnswer: `a DNS answer beside ${STREAMS} streams, ms`,
  idle: 'memory without a tunnel, MiB',
  few: `with ${FEW_TUNNELS.toLocaleString('en')} idle tunnels, MiB`,
  many: 'with all idle tunnels, MiB',
  each: 'KiB an idle tunnel',
} as const;

export type Row = keyof typeof ROWS;

export interface Crew {
  readonly origin: OriginPorts;
  readonly load: Program<object>;
  /** Measures while the first one floods. */
  readonly watch: Program<object>;
}

/** All rounds of one proxy. */
export class Samples {
  /** One figure a round. */
  readonly figures = new Map<Row, number[]>();
  /** The times of all rounds together. */
  readonly times = new Map<Row, number[]>();
  readonly failures = new Set<string>();

  add(row: Row, figure: number): void {
    this.figures.set(row, [...(this.figures.get(row) ?? []), figure]);
  }

  addTimes(row: Row, { times }: Figures): void {
    this.times.set(row, [...(this.times.get(row) ?? []), ...times]);
  }
}

interface Spent extends Figures {
  /** Of the proxy; NaN without one. */
  readonly processorMs: number;
}

/** Compilers of code that runs often take a while to notice; what a long session sees is measured. */
export async function warmUp(running: Running, crew: Crew): Promise<void> {
  const { proxyPort, host } = running;
  const common = { atOnce: AT_ONCE, ms: WARM_UP_MS };
  const flood = { kind: 'streams', streams: STREAMS, ms: WARM_UP_MS } as const;
  const to = (port: number): Route => ({ proxyPort, host, port });
  await carryOut(crew.load, { kind: 'tunnels', route: to(crew.origin.quiet), ...common });
  await carryOut(crew.load, { kind: 'requests', route: to(crew.origin.http), ...common });
  await carryOut(crew.load, { ...flood, route: to(crew.origin.source) });
}

export async function measureRound(running: Running, crew: Crew, samples: Samples): Promise<void> {
  const pid = running.child?.pid ?? null;
  const to = (port: number): Route => ({ proxyPort: running.proxyPort, host: running.host, port });
  const { quiet, source, http } = crew.origin;
  const spend = async (row: Row, task: Task): Promise<Spent> => {
    const before = pid === null ? Number.NaN : processorMs(pid);
    const figures = await carryOut(crew.load, task);
    if (figures.failures > 0) samples.failures.add(`${figures.failures} failed: ${ROWS[row]}`);
    return { ...figures, processorMs: pid === null ? Number.NaN : processorMs(pid) - before };
  };
  const many = await spend('tunnels', { kind: 'tunnels', route: to(quiet), atOnce: AT_ONCE, ms: SLICE_MS });
  samples.add('tunnels', perSecond(many));
  samples.add('tunnelCpu', (many.processorMs * 1_000) / many.count);
  samples.addTimes(
    'tunnel',
    await spend('tunnel', { kind: 'tunnels', route: to(quiet), atOnce: 1, ms: SLICE_MS }),
  );
  const one = await spend('stream', { kind: 'streams', route: to(source), streams: 1, ms: SLICE_MS });
  samples.add('stream', perSecond(one) / 1e9);
  const eight = await spend('streams', {
    kind: 'streams',
    route: to(source),
    streams: STREAMS,
    ms: SLICE_MS,
  });
  samples.add('streams', perSecond(eight) / 1e9);
  samples.add('streamsCpu', eight.processorMs / 1_000 / (eight.count / 1e9));
  const asked = await spend('requests', { kind: 'requests', route: to(http), atOnce: AT_ONCE, ms: SLICE_MS });
  samples.add('requests', perSecond(asked));
  samples.add('requestCpu', (asked.processorMs * 1_000) / asked.count);
  samples.addTimes(
    'request',
    await spend('request', { kind: 'requests', route: to(http), atOnce: 1, ms: SLICE_MS }),
  );
  const beside = (task: Task): Promise<Figures> => besideStreams(crew, to(source), task);
  samples.addTimes(
    'loadedTunnel',
    await beside({ kind: 'tunnels', route: to(quiet), atOnce: 1, ms: LOADED_MS }),
  );
  if (running.dnsPort === null) return;
  const questions = { kind: 'questions', port: running.dnsPort, name: ORIGIN_NAME, ms: LOADED_MS } as const;
  samples.addTimes('loadedAnswer', await beside(questions));
}

/** In a process of its own, so that nothing but idle tunnels is in its memory. */
export async function measureMemory(
  workplace: Workplace,
  contestant: Contestant,
  crew: Crew,
  tunnels: number,
  samples: Samples,
): Promise<void> {
  const running = await contestant.start(workplace, crew.origin);
  const { child, proxyPort, host } = running;
  if (child?.pid === undefined) return;
  const { pid } = child;
  const route: Route = { proxyPort, host, port: crew.origin.quiet };
  const hold = async (row: Row, wanted: number): Promise<number> => {
    const { count } = await carryOut(crew.load, { kind: 'hold', route, tunnels: wanted });
    if (count < wanted) samples.failures.add(`${count} of ${wanted} tunnels: ${ROWS[row]}`);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    samples.add(row, residentBytes(pid) / 1024 ** 2);
    return count;
  };
  // The first connections load what an idle server has not.
  await carryOut(crew.load, { kind: 'tunnels', route, atOnce: 1, ms: 100 });
  await hold('idle', 0);
  await hold('few', FEW_TUNNELS);
  const before = residentBytes(pid);
  const count = await hold('many', tunnels);
  samples.add('each', (residentBytes(pid) - before) / 1024 / (count - FEW_TUNNELS));
  await carryOut(crew.load, { kind: 'release' });
  await workplace.stop(child);
}

async function besideStreams(crew: Crew, route: Route, task: Task): Promise<Figures> {
  const ms = LOADED_MS + 2 * FLOOD_MARGIN_MS;
  const flood = carryOut(crew.load, { kind: 'streams', route, streams: STREAMS, ms });
  await new Promise((resolve) => setTimeout(resolve, FLOOD_MARGIN_MS));
  const figures = await carryOut(crew.watch, task);
  await flood;
  return figures;
}

async function carryOut(program: Program<object>, task: Task): Promise<Figures> {
  return (await program.ask(task)) as Figures;
}

function perSecond({ count, elapsedMs }: Figures): number {
  return (count / elapsedMs) * 1_000;
}
