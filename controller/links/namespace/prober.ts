/**
 * The prober: a program that runs in the guest's network namespace before the guest's command does, and
 * writes what it saw there as JSON. It judges nothing; `probe-verdicts.ts` does. Only Node's own modules.
 */
import { Resolver } from 'node:dns/promises';
import { readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { AskObservation, ConnectObservation, ProbePlan } from '../probing.ts';
import type { ProbeObservations } from './messages.ts';

/** The gateway is on the same machine and answers in milliseconds; a machine under heavy load takes seconds. */
const ANSWER_TIMEOUT_MS = 6_000;
const ANSWER_BYTES = 256;

function observeConnect(address: string, port: number): Promise<ConnectObservation> {
  return new Promise((resolve) => {
    let answer = '';
    let connected = false;
    const socket = connect({ host: address, port });
    const finish = (outcome: ConnectObservation['outcome']) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ address, port, outcome, answer: answer.slice(0, ANSWER_BYTES) });
    };
    const timer = setTimeout(() => finish(connected ? 'silent' : 'no-connection'), ANSWER_TIMEOUT_MS);
    socket.on('connect', () => {
      connected = true;
    });
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.includes('\n') || answer.length > ANSWER_BYTES) finish('answered');
    });
    socket.on('error', () => finish(connected ? 'silent' : 'no-connection'));
    socket.on('close', () => finish(connected ? 'silent' : 'no-connection'));
  });
}

async function observeAsk(server: string, name: string): Promise<AskObservation> {
  const resolver = new Resolver({ timeout: ANSWER_TIMEOUT_MS, tries: 1 });
  resolver.setServers([server.includes(':') ? `[${server}]:53` : `${server}:53`]);
  try {
    return { server, name, outcome: 'answered', addresses: await resolver.resolve4(name) };
  } catch (error) {
    const code = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    const outcome =
      code === 'ENOTFOUND'
        ? 'not-found'
        : code === 'ECONNREFUSED' || code === 'EREFUSED'
          ? 'refused'
          : 'timeout';
    return { server, name, outcome, addresses: [] };
  }
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** /proc/net/dev: two lines of head, then `name: counters`; up or down, with addresses or without. */
function interfaceNames(): string[] {
  const rows = readOptional('/proc/net/dev').trim().split('\n').slice(2);
  return rows.map((row) => row.split(':', 1).join('').trim());
}

/** /proc/net/route: hexadecimal, host byte order. */
function routes4(): string[] {
  const rows = readOptional('/proc/net/route').trim().split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((cells) => cells[1] === '00000000')
    .map((cells) => `default via ${dotted(cells[2] ?? '')} dev ${cells[0]}`);
}

function dotted(hex: string): string {
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.');
}

/** /proc/net/ipv6_route: destination, prefix, source, prefix, next hop, metric, counters, flags, device. */
function routes6(): string[] {
  const rows = readOptional('/proc/net/ipv6_route').trim().split('\n');
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((cells) => cells[1] === '00' && cells[9] !== undefined && cells[9] !== 'lo')
    .filter((cells) => !/^0+$/.test(cells[4] ?? ''))
    .map((cells) => `default6 via ${cells[4]} dev ${cells[9]}`);
}

/** The plan comes when the link is up; an end without one is an error, and ends the prober. */
async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

async function main(): Promise<void> {
  const plan = JSON.parse(await readInput()) as ProbePlan;
  const [connects, asks] = await Promise.all([
    Promise.all(plan.connect.map(({ address, port }) => observeConnect(address, port))),
    Promise.all(
      plan.servers.flatMap((server) =>
        [plan.reservedName, plan.deniedName].map((name) => observeAsk(server, name)),
      ),
    ),
  ]);
  const observations: ProbeObservations = {
    interfaces: interfaceNames(),
    routes: [...routes4(), ...routes6()],
    namespace: readlinkSync('/proc/self/ns/net'),
    connects,
    asks,
  };
  process.stdout.write(JSON.stringify(observations), () => process.exit(0));
}

await main();
