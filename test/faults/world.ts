/**
 * A whole gateway for the fault tests: real policy, resolver, proxy and log file, with origins and a name server
 * on 127.0.0.1 that a test makes fail. Watches every dial of this process: none may come before its record.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AuditEntry, AuditEvent, ConnectionClose, ConnectionDecision } from '../../audit/event.ts';
import { type AuditLog, createAuditLog } from '../../audit/log.ts';
import { createGatewayCore, type GatewayCore } from '../../controller/gateway/core.ts';
import type { PlainUpstream } from '../../dns/context.ts';
import type { DnsLimits } from '../../dns/limits.ts';
import type { ProxyLimits } from '../../proxy/limits.ts';
import { a, askedName, askedType, reply, soa } from '../dns/messages.ts';
import { type FakeUpstream, fakeUpstream, type Script } from '../dns/world.ts';
import { addressOf, Client, eventually, policyOf } from '../proxy/rig.ts';

/** Told the port of each dial of this process, in its very turn. */
const WATCHERS = new Set<(port: number) => void>();
const dialled = Socket.prototype.connect as (...args: unknown[]) => Socket;
Reflect.set(Socket.prototype, 'connect', function watched(this: Socket, ...args: unknown[]): Socket {
  const [options] = Array.isArray(args[0]) ? args[0] : args;
  const port = Number(Reflect.get(Object(options), 'port'));
  for (const watch of WATCHERS) watch(port);
  return dialled.apply(this, args);
});

/** Called with all that a connection has received, each time that something came; and once with nothing. */
export type OriginScript = (socket: Socket, text: string) => void;

export interface WorldOptions {
  /** What `bad.example` does. */
  readonly origin?: OriginScript;
  readonly resolver?: Script;
  readonly proxy?: Partial<ProxyLimits>;
  readonly dns?: Partial<DnsLimits>;
  /** Lines under `rules:` beside the world's own. */
  readonly rules?: (ports: Ports) => string;
}

/** Every name is at 127.0.0.1. */
export const GOOD_RESOLVER: Script = (asked) => [
  askedType(asked) === 1
    ? reply(asked, { answers: [a(askedName(asked), '127.0.0.1')] })
    : reply(asked, { authority: [soa('example', 60)] }),
];

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine';

export interface Ports {
  /** HTTP at `good.example` and below `names.example`. */
  readonly good: number;
  /** HTTP at `bad.example`. */
  readonly bad: number;
  /** The same origin, as bytes that sand does not read. */
  readonly raw: number;
  /** The same origin, where TLS is allowed. */
  readonly tls: number;
  /** HTTP at `bad.example`, where nobody listens. */
  readonly dead: number;
  /** The same, where TLS is allowed. */
  readonly deadTls: number;
}

/** Disposing of it fails where a dial or a request came before its record. */
export class FaultWorld implements AsyncDisposable {
  readonly core: GatewayCore;
  readonly log: AuditLog;
  readonly ports: Ports;
  /** Asked in this order; a test may put another one in. */
  readonly resolvers: PlainUpstream[];
  /** Called before each record; a test lets the log fail by throwing. */
  onRecord: (entry: AuditEntry) => void = () => {};
  proxyPort = 0;
  dnsPort = 0;
  readonly #folder: string;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #dials = new Map<number, number>();
  readonly #unrecorded: string[] = [];
  readonly #fakes: FakeUpstream[];
  #asked = 0;

  constructor(folder: string, ports: Ports, resolver: FakeUpstream, options: WorldOptions) {
    this.#folder = folder;
    this.ports = ports;
    this.#fakes = [resolver];
    this.resolvers = [resolver];
    this.log = createAuditLog({ path: join(folder, 'audit.jsonl'), guest: 'g1', clock: Date.now });
    const record = (entry: AuditEntry): number => {
      this.onRecord(entry);
      return this.log.record(entry);
    };
    this.core = createGatewayCore({
      inForce: { policy: policyOf(rulesOf(ports, options.rules?.(ports) ?? '')), ceilings: [] },
      audit: { record },
      dnsUpstreams: this.resolvers,
      parents: null,
      isOwn: () => false,
      limits: { proxy: options.proxy ?? {}, dns: options.dns ?? {} },
    });
    WATCHERS.add(this.#checkDial);
  }

  async open(): Promise<this> {
    this.proxyPort = await this.adopt(
      createServer({ allowHalfOpen: true }, (socket) => {
        this.#sockets.add(socket);
        this.core.proxy.acceptProxyConnection(socket);
      }),
    );
    const bound = await this.core.dns.bind(addressOf('127.0.0.1'), 0, { asker: 'guest', mode: 'vetted' });
    if (!bound.ok) throw new Error(bound.detail);
    this.dnsPort = bound.port;
    return this;
  }

  async adopt(server: Server, port = 0): Promise<number> {
    this.#servers.push(server);
    return listening(server, port);
  }

  /** An origin that listens already; gone with the world. */
  own(server: Server): void {
    this.#servers.push(server);
    server.on('connection', (socket) => this.#sockets.add(socket));
  }

  /** From now on this one is asked. */
  async replaceResolver(script: Script): Promise<void> {
    const fake = await fakeUpstream(script);
    this.#fakes.push(fake);
    this.resolvers.splice(0, this.resolvers.length, fake);
  }

  /** That the name servers were asked so far. */
  get questions(): number {
    return this.#fakes.reduce((sum, { asked }) => sum + asked.length, 0);
  }

  get events(): readonly AuditEvent[] {
    const lines = readFileSync(this.log.path, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as AuditEvent);
  }

  get decisions(): readonly ConnectionDecision[] {
    return this.events.filter((event) => event.kind === 'connection');
  }

  get closes(): readonly ConnectionClose[] {
    return this.events.filter((event) => event.kind === 'close');
  }

  async client(port = this.proxyPort): Promise<Client> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.#sockets.add(socket);
    const client = new Client(socket);
    await client.connected;
    return client;
  }

  /** A request of its own path, on a connection of its own. */
  async request(host: string, port: number, path = `/${this.#asked++}`, method = 'GET'): Promise<Client> {
    const client = await this.client();
    return client.send(requestOf(method, host, port, path));
  }

  /** The gateway lives on: the next good request passes, and is on record with its close. */
  async expectAlive(): Promise<void> {
    const path = `/alive-${this.#asked++}`;
    const client = await this.request('good.example', this.ports.good, path);
    expect(await client.all()).toMatch(/^HTTP\/1\.1 200 [\s\S]*fine$/);
    const decided = this.decisions.find((decision) => decision.path === path);
    expect(decided).toMatchObject({ disposition: 'forwarded', verdict: 'allow' });
    const isClosed = () => this.closes.some(({ connection }) => connection === decided?.connection);
    await eventually(isClosed, 'the close of a good request');
  }

  /** To be called by each origin with all that a connection of its has received. */
  checkArrival(text: string): void {
    for (const [, path = ''] of text.matchAll(/^[A-Z]+ (\/[^ ?]*)\S* HTTP\/1\.1\r$/gm)) {
      const isRecorded = this.decisions.some(
        (decision) => decision.path === path && decision.disposition === 'forwarded',
      );
      if (!isRecorded) this.#unrecorded.push(`a request for ${path} arrived unrecorded`);
    }
  }

  /** In the very turn of the dial: its record stands in the file already. */
  #checkDial = (port: number): void => {
    if (!Object.values(this.ports).includes(port)) return;
    const dials = (this.#dials.get(port) ?? 0) + 1;
    this.#dials.set(port, dials);
    const records = this.decisions.filter((decision) => {
      return decision.port === port && decision.disposition === 'forwarded';
    }).length;
    if (records < dials) this.#unrecorded.push(`dial ${dials} of port ${port} has no record of its own`);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    WATCHERS.delete(this.#checkDial);
    await this.core.close();
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
    for (const fake of this.#fakes) await fake.close();
    try {
      this.log.close();
    } finally {
      rmSync(this.#folder, { recursive: true });
    }
    expect(this.#unrecorded).toEqual([]);
  }
}

export function requestOf(method: string, host: string, port: number, path: string): string {
  const body = method === 'POST' ? 'Content-Length: 2\r\n\r\nhi' : '\r\n';
  return `${method} http://${host}:${port}${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n${body}`;
}

/** Nobody listens there, and the system gives them to nobody: below its own range, and another pair for each worker. */
const DEAD_PORTS = [20_000 + (process.pid % 4_000) * 2, 20_001 + (process.pid % 4_000) * 2] as const;

export async function createFaultWorld(options: WorldOptions = {}): Promise<FaultWorld> {
  let world: FaultWorld | null = null;
  const serve = (script: OriginScript): Server =>
    createServer({ allowHalfOpen: true }, (socket) => {
      let text = '';
      socket.on('error', () => {});
      socket.on('end', () => socket.end());
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        world?.checkArrival(text);
        script(socket, text);
      });
      script(socket, '');
    });
  const good = serve((socket, text) => {
    if (text.endsWith('\r\n\r\n') || text.endsWith('hi')) socket.write(OK);
  });
  const bad = options.origin ?? (() => {});
  const live = [good, serve(bad), serve(bad), serve(bad)];
  const [goodPort = 0, badPort = 0, raw = 0, tls = 0] = await Promise.all(
    live.map((server) => listening(server)),
  );
  const [dead, deadTls] = DEAD_PORTS;
  const folder = mkdtempSync(join(tmpdir(), 'sand-faults-'));
  const ports = { good: goodPort, bad: badPort, raw, tls, dead, deadTls };
  const resolver = await fakeUpstream(options.resolver ?? GOOD_RESOLVER);
  world = new FaultWorld(folder, ports, resolver, options);
  for (const server of live) world.own(server);
  return world.open();
}

async function listening(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('not a port');
  return bound.port;
}

function rulesOf({ good, bad, raw, tls, dead, deadTls }: Ports, more: string): string {
  const rule = (host: string, ports: string) =>
    `  - allow: "${host}"\n    ${ports}\n    addresses: [127.0.0.0/8]\n`;
  return [
    rule('good.example', `http: [${good}]`),
    rule('*.names.example', `http: [${good}]`),
    rule('bad.example', `http: [${bad}, ${dead}]\n    tcp: [${raw}]\n    https: [${tls}, ${deadTls}]`),
    more,
  ].join('');
}
