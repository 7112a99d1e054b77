/**
 * The client of the refusal benchmark: runs in a guest, lets itself be refused in every way, and prints the times
 * as JSON. Stands alone, for a guest sees this one file.
 */
import { spawnSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface ClientFindings {
  readonly rows: readonly Row[];
  readonly skipped: readonly string[];
}

interface Row {
  readonly title: string;
  readonly times: readonly number[];
  readonly baseline: readonly number[];
}

const ROUNDS = 50;
const WARM_UPS = 3;
/** Rounds of whole programs end here: on a calm machine all of them are done by then. */
const PROGRAM_BUDGET_MS = 40_000;
const DENIED = 'denied.refusal.example';
/** RFC 5737: nobody's. */
const OUTSIDE = '203.0.113.9';
const CLOSED = { host: '127.0.0.1', port: 1 } as const;
/** What a PostgreSQL client says first. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

type Attempt = () => Promise<void>;

const proxy = new URL(process.env.http_proxy ?? 'http://127.0.0.1');

/** Settles when the socket ends; `expected` decides whether it ended as it should. */
function ended(socket: Socket, expected: (text: string, code: string) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    const settle = (code: string): void => {
      if (!expected(text, code) && code === '') return;
      socket.destroy();
      if (expected(text, code)) resolve();
      else reject(new Error(`ended with ${code || 'nothing'} after ${JSON.stringify(text.slice(0, 200))}`));
    };
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      settle('');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    socket.on('close', () => settle('close'));
  });
}

const refusedByStatus = (request: string) => (): Promise<void> => {
  const socket = connect({ host: proxy.hostname, port: Number(proxy.port) });
  socket.write(request);
  return ended(socket, (text) => text.startsWith('HTTP/1.1 403 ') && text.includes('\r\n\r\n'));
};

const refusedConnect = (at: { readonly host: string; readonly port: number }): Attempt => {
  return () => ended(connect(at), (_, code) => code === 'ECONNREFUSED');
};

function refusedByReset(first: Buffer | null): Promise<void> {
  const socket = connect({ host: OUTSIDE, port: 5432 });
  if (first !== null) socket.write(first);
  return ended(socket, (_, code) => code === 'ECONNRESET');
}

function refusedByAlert(): Promise<void> {
  const socket = connectTls({ host: OUTSIDE, port: 443, servername: DENIED });
  return ended(socket, (_, code) => code.includes('ALERT_ACCESS_DENIED'));
}

async function refusedByName(): Promise<void> {
  try {
    await new Resolver().resolve4(DENIED);
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOTFOUND') return;
    throw error;
  }
  throw new Error(`${DENIED} has an address`);
}

const CONNECTIONS: readonly (readonly [string, Attempt])[] = [
  [
    'plain HTTP through the proxy: 403',
    refusedByStatus(`GET http://${DENIED}/ HTTP/1.1\r\nHost: ${DENIED}\r\n\r\n`),
  ],
  ['CONNECT: 403', refusedByStatus(`CONNECT ${DENIED}:443 HTTP/1.1\r\nHost: ${DENIED}:443\r\n\r\n`)],
  ['TLS without a proxy: alert', refusedByAlert],
  ['raw TCP that speaks first: reset', () => refusedByReset(SSL_REQUEST)],
  ['port that is not planted: refused', refusedConnect({ host: OUTSIDE, port: 9 })],
  ['denied name: NXDOMAIN', refusedByName],
];

/** Whole programs with the arguments before the URL, and what they make of a refusal. */
const PROGRAMS: readonly {
  readonly title: string;
  readonly argv: readonly string[];
  readonly url: string;
}[] = [
  { title: 'curl, http: 403', argv: ['curl', '-sSf'], url: `http://${DENIED}/` },
  { title: 'curl, https: CONNECT 403', argv: ['curl', '-sSf'], url: `https://${DENIED}/` },
  {
    title: 'curl without a proxy: no such name',
    argv: ['curl', '-sSf', '--noproxy', '*'],
    url: `https://${DENIED}/`,
  },
  {
    title: 'curl to an address: TLS alert',
    argv: ['curl', '-sSf', '--noproxy', '*'],
    url: `https://${OUTSIDE}/`,
  },
  { title: 'git ls-remote, https', argv: ['git', 'ls-remote'], url: `https://${DENIED}/a.git` },
  {
    title: 'python3 urllib, https',
    argv: ['python3', '-c', 'import sys, urllib.request as u; u.urlopen(sys.argv[1])'],
    url: `https://${DENIED}/`,
  },
];

async function timed(attempt: Attempt): Promise<number> {
  const start = performance.now();
  await attempt();
  return performance.now() - start;
}

async function timeConnections(): Promise<readonly Row[]> {
  const rows = CONNECTIONS.map(([title, attempt]) => ({ title, attempt, times: [] as number[] }));
  const baseline: number[] = [];
  for (let round = -WARM_UPS; round < ROUNDS; round += 1) {
    const refusedMs = await timed(refusedConnect(CLOSED));
    if (round >= 0) baseline.push(refusedMs);
    for (const { attempt, times } of rows) {
      const timeMs = await timed(attempt);
      if (round >= 0) times.push(timeMs);
    }
  }
  // These wait for the other side to begin, so they take their time together.
  const silent = await Promise.all(Array.from({ length: ROUNDS }, () => timed(() => refusedByReset(null))));
  return [...rows, { title: 'raw TCP that waits to be greeted: reset', times: silent }].map((row) => ({
    title: row.title,
    times: row.times,
    baseline,
  }));
}

/** Null when the program is not there. */
function timeProgram(argv: readonly string[], url: string): number | null {
  const [file = '', ...args] = argv;
  const start = performance.now();
  const { status, error } = spawnSync(file, [...args, url], { stdio: 'ignore' });
  if (error !== undefined || status === 127) return null;
  if (status === 0) throw new Error(`${file} was not refused ${url}`);
  return performance.now() - start;
}

function timePrograms(): ClientFindings {
  const closed = `http://${CLOSED.host}:${CLOSED.port}/`;
  const isThere = ({ argv }: (typeof PROGRAMS)[number]): boolean => timeProgram(argv, closed) !== null;
  const present = PROGRAMS.filter(isThere);
  const rows = present.map((program) => ({ ...program, times: [] as number[], baseline: [] as number[] }));
  const deadline = performance.now() + PROGRAM_BUDGET_MS;
  for (let round = 0; round < ROUNDS && performance.now() < deadline; round += 1) {
    for (const { argv, url, times, baseline } of rows) {
      baseline.push(timeProgram(argv, closed) ?? Number.NaN);
      times.push(timeProgram(argv, url) ?? Number.NaN);
    }
  }
  const absent = PROGRAMS.filter((program) => !present.includes(program));
  return { rows, skipped: absent.map(({ title, argv }) => `${title}: the guest has no ${argv[0]}`) };
}

const connections = await timeConnections();
const programs = timePrograms();
const findings: ClientFindings = {
  rows: [...connections, ...programs.rows.map(({ title, times, baseline }) => ({ title, times, baseline }))],
  skipped: programs.skipped,
};
process.stdout.write(JSON.stringify(findings));
