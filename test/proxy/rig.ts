/**
 * A proxy with everything around it faked but the sockets: guests and origins are real ones on 127.0.0.1.
 * A test disposes of the rig, and the rig of all that it started.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AuditEntry, ConnectionClose, ConnectionDecision } from '../../audit/event.ts';
import { parseAddress } from '../../policies/address.ts';
import { compilePolicy } from '../../policies/compile.ts';
import type { CompiledPolicy, Hostname, IpAddress, PolicyInForce } from '../../policies/model.ts';
import type { Lookup, Meaning, ParentProxies, ProxyContext } from '../../proxy/context.ts';
import { PROXY_LIMITS, type ProxyLimits } from '../../proxy/limits.ts';
import { createProxy, type GatewayProxy } from '../../proxy/proxy.ts';

export function addressOf(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

/** Compiles policy text; `rules` are the lines under `rules:`. */
export function policyOf(rules: string, top = ''): CompiledPolicy {
  const text = `version: 1\nname: test\n${top}${rules === '' ? '' : `rules:\n${rules}`}`;
  const request = { kind: 'text', text, file: 'sand.policy.yaml', directory: '/' } as const;
  const compiled = compilePolicy([request], {
    directory: '/',
    readFile: () => ({ kind: 'missing' }),
    readData: () => {
      throw new Error('no data here');
    },
  });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues));
  return compiled.value;
}

/** A rule for `host` on the loopback of this machine. `ports` is YAML: `http: [80]`. */
export const allow = (host: string, ports: string) =>
  `  - allow: "${host}"\n    ${ports}\n    addresses: [127.0.0.0/8]\n`;

export interface RigOptions {
  readonly policy?: CompiledPolicy;
  readonly limits?: Partial<ProxyLimits>;
  /** What names resolve to; every other name is at 127.0.0.1, except below `missing.example`. */
  readonly lookups?: Readonly<Record<string, Lookup>>;
  readonly meanings?: Readonly<Record<string, Meaning>>;
  readonly own?: readonly number[];
  readonly parents?: ParentProxies;
}

export class Rig implements AsyncDisposable {
  readonly events: AuditEntry[] = [];
  readonly lookedUp: string[] = [];
  readonly proxy: GatewayProxy;
  inForce: PolicyInForce;
  /** What the audit log does on each record; set it to throw. */
  onRecord: (entry: AuditEntry) => void = () => {};
  onHostAddresses: () => void = () => {};
  onLookup: (name: string) => Promise<void> = async () => {};
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(options: RigOptions = {}) {
    this.inForce = { policy: options.policy ?? policyOf(''), ceilings: [] };
    const lookups = options.lookups ?? {};
    const meanings = options.meanings ?? {};
    const context: ProxyContext = {
      policy: () => this.inForce,
      lookup: async (name: Hostname): Promise<Lookup> => {
        this.lookedUp.push(name);
        await this.onLookup(name);
        if (name.endsWith('missing.example')) return { kind: 'not-found' };
        return lookups[name] ?? { kind: 'addresses', addresses: [addressOf('127.0.0.1')] };
      },
      meaning: (address) => {
        const known = meanings[address];
        if (known !== undefined) return known;
        return { kind: address.startsWith('198.18.') ? 'unknown-synthetic' : 'literal' };
      },
      hostAddresses: () => {
        this.onHostAddresses();
        return [];
      },
      isOwn: (_, port) => (options.own ?? []).includes(port),
      ...(options.parents === undefined ? {} : { parents: options.parents }),
      audit: {
        record: (entry) => {
          this.onRecord(entry);
          return this.events.push(entry);
        },
      },
      limits: { ...PROXY_LIMITS, ...options.limits },
    };
    this.proxy = createProxy(context);
  }

  setPolicy(policy: CompiledPolicy): void {
    this.inForce = { policy, ceilings: [] };
  }

  get decisions(): ConnectionDecision[] {
    return this.events.filter((event) => event.kind === 'connection');
  }

  get closes(): ConnectionClose[] {
    return this.events.filter((event) => event.kind === 'close');
  }

  /** The guest's proxy port. */
  async proxyPort(): Promise<number> {
    // As a link may have made it: sand sets what it needs on each socket.
    return this.serve((socket) => this.proxy.acceptProxyConnection(socket), false);
  }

  /** A port that stands for a transparent connection to `destination`. */
  async streamPort(address: string, port: number): Promise<number> {
    return this.serve((socket) => this.proxy.acceptStream(socket, { address: addressOf(address), port }));
  }

  /** Any server, gone with the rig. */
  async serve(listener: (socket: Socket) => void, allowHalfOpen = true): Promise<number> {
    const server = createServer({ allowHalfOpen }, (socket) => {
      socket.on('error', () => {});
      this.#sockets.add(socket);
      listener(socket);
    });
    return this.adopt(server);
  }

  async adopt(server: Server): Promise<number> {
    this.#servers.push(server);
    server.on('connection', (socket: Socket) => this.#sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('not a port');
    return bound.port;
  }

  async client(port: number): Promise<Client> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.#sockets.add(socket);
    const client = new Client(socket);
    await client.connected;
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** A client of raw bytes. */
export class Client {
  readonly socket: Socket;
  readonly connected: Promise<void>;
  received = Buffer.alloc(0);
  /** `end`, `reset` or another error code, once the server has ended its side. */
  ended: string | null = null;
  #changed: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#notify();
    });
    socket.on('end', () => this.#end('end'));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      this.#end(error.code === 'ECONNRESET' ? 'reset' : `${error.code}`),
    );
    socket.on('close', () => this.#end('closed'));
    this.connected = new Promise((resolve) => {
      socket.once('connect', resolve);
      socket.once('error', () => resolve());
    });
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** Waits until what was received matches; fails when the connection ends before. */
  async until(pattern: RegExp): Promise<string> {
    await this.#when(() => pattern.test(this.text) || this.ended !== null);
    if (!pattern.test(this.text)) throw new Error(`ended (${this.ended}) with: ${this.text}`);
    return this.text;
  }

  /** Everything until the server ends its side; then this side is closed too. */
  async all(): Promise<string> {
    await this.#when(() => this.ended !== null);
    this.socket.destroy();
    return this.text;
  }

  /** How the server ended it. */
  async ending(): Promise<string> {
    await this.#when(() => this.ended !== null);
    return this.ended ?? '';
  }

  #end(how: string): void {
    this.ended ??= how;
    this.#notify();
  }

  #notify(): void {
    for (const check of this.#changed.splice(0)) check();
  }

  async #when(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }
}

/** Waits for a condition that nothing announces, with a deadline. */
export async function eventually(isSo: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 8_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** An origin that keeps what it gets, answers nothing by itself, and tells its connections apart. */
export class RawOrigin {
  readonly connections: { readonly socket: Socket; text: string; hasEnded: boolean; isClosed: boolean }[] =
    [];
  readonly onData: (socket: Socket, text: string) => void;

  constructor(onData: (socket: Socket, text: string) => void = () => {}) {
    this.onData = onData;
  }

  accept = (socket: Socket): void => {
    const connection = { socket, text: '', hasEnded: false, isClosed: false };
    this.connections.push(connection);
    socket.on('data', (chunk: Buffer) => {
      connection.text += chunk.toString('latin1');
      this.onData(socket, connection.text);
    });
    socket.on('end', () => {
      connection.hasEnded = true;
    });
    socket.on('close', () => {
      connection.isClosed = true;
    });
    socket.on('error', () => {});
  };

  get text(): string {
    return this.connections.map(({ text }) => text).join('');
  }
}
