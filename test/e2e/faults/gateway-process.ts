/** A `sand gateway` of the package for the fault tests: started through another program, asked, looked into and ended. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { AuditEvent, ConnectionDecision } from '../../../audit/event.ts';
import { Client } from '../../proxy/rig.ts';
import { follow, until } from '../lifecycle/conditions.ts';
import { ALLOWED, type Origins } from '../origins.ts';
import { createWorld, type World } from '../sand.ts';

export interface GatewayProcess {
  readonly pid: number;
  readonly world: World;
  /** Where the process sees the file system: it may have mounts of its own. */
  readonly root: string;
  client(): Promise<Client>;
  /** Status and text of one request for the allowed origin on a connection of its own. */
  get(path: string, host?: string): Promise<string>;
  events(): readonly AuditEvent[];
  decisions(): readonly ConnectionDecision[];
  openFiles(): number;
  stderr(): string;
  /** Sends SIGTERM where it still runs; its exit code. */
  end(): Promise<number>;
}

export function policyFor(origins: Origins): string {
  return `version: 1
name: faults
rules:
  - allow: "*.origin.test"
    http: [${origins.httpPort}]
    tcp: [${origins.tcpPort}]
    addresses: [127.0.0.0/8]
`;
}

export async function startGateway(
  origins: Origins,
  through: readonly string[] = [],
): Promise<GatewayProcess> {
  const world = createWorld();
  world.file('p.yaml', policyFor(origins));
  const upstream = `127.0.0.1:${origins.dnsPort}`;
  const flags = ['--policy', './p.yaml', '--listen', '127.0.0.1:0', '--dns-upstream', upstream];
  const followed = follow(world.start(['gateway', ...flags], { through }));
  const { child, pid } = followed;
  await followed.printed('confines nobody');
  const port = Number(/proxy .* on 127\.0\.0\.1:(\d+)/.exec(followed.stderr())?.[1]);
  const root = `/proc/${pid}/root`;
  const log = (): string => {
    const runs = join(root, world.environment.XDG_STATE_HOME ?? '', 'sand', 'runs');
    const [run = ''] = readdirSync(runs);
    return readFileSync(join(runs, run, 'audit.jsonl'), 'utf8');
  };
  const events = (): readonly AuditEvent[] =>
    log()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as AuditEvent);
  const client = async (): Promise<Client> => {
    const made = new Client(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
    await made.connected;
    return made;
  };
  return {
    pid,
    world,
    root,
    client,
    async get(path, host = ALLOWED) {
      const asking = await client();
      return asking.send(requestFor(origins, path, host)).all();
    },
    events,
    decisions: () => events().filter((event) => event.kind === 'connection'),
    openFiles: () => readdirSync(`/proc/${pid}/fd`).length,
    stderr: () => followed.stderr(),
    async end() {
      if (child.exitCode === null) child.kill('SIGTERM');
      const code = await followed.ended();
      world.remove();
      return code;
    },
  };
}

export function requestFor(
  origins: Origins,
  path: string,
  host = ALLOWED,
  more = 'Connection: close\r\n',
): string {
  const authority = `${host}:${origins.httpPort}`;
  return `GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\n${more}\r\n`;
}

/** Sets the soft limit of open files of a running process. */
export async function limitOpenFiles(pid: number, files: number): Promise<void> {
  const { execFile } = await import('node:child_process');
  const child = execFile('prlimit', ['--pid', String(pid), `--nofile=${files}:`]);
  await once(child, 'exit');
}

/** Of one processor, by the kernel's own count; a process that spins has all of it, on a busy machine its share. */
export async function busyShare(pid: number, overMs: number): Promise<number> {
  const ticks = (): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  };
  const [before, startedAt] = [ticks(), performance.now()];
  await until('the time to look at', () => performance.now() - startedAt > overMs);
  return ((ticks() - before) * 10) / (performance.now() - startedAt);
}
