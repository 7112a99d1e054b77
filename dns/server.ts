/**
 * The sockets of a resolver: loopback ports of the host, and sockets that another process bound and handed over.
 * The only importer of dns2: its codec encodes, and its UDP server is hardened where a hostile client could hurt it.
 */
import type { Socket as DatagramSocket, RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { createServer, Server } from 'node:net';
import { Packet, UDPServer } from 'dns2';
import type { ProcessFact } from '../audit/event.ts';
import type { IpAddress } from '../policies/model.ts';
import { type BindResult, bindPair, type Opened, type Reach } from './bind.ts';
import type { ClientEnd, QueryOrigin } from './context.ts';
import { DNS_LIMITS, type DnsLimits, MAX_DATAGRAM_BYTES } from './limits.ts';
import { type Answer, CLASS_IN, type Question, RCODES, TYPES } from './message.ts';
import { type Codec, createPipeline, type Pipeline } from './pipeline.ts';
import type { QueryHandler } from './resolver.ts';
import { createStreamClients, type StreamClients, type StreamSocket } from './stream.ts';

/** What all queries of one place have in common. */
export interface Place extends Omit<QueryOrigin, 'transport' | 'process'> {
  /** Which process of the guest holds this end; null where nobody can tell. Never throws. Absent: nobody can. */
  readonly attribute?: (end: ClientEnd) => ProcessFact | null;
}

export interface DnsServerOptions {
  readonly handler: QueryHandler;
  readonly limits?: DnsLimits;
  /** Told of socket errors, none of which ends the server. */
  readonly onFault?: (error: unknown) => void;
}

export interface DnsServer {
  /** Listens on a loopback address of the host, UDP and TCP on the same port; port 0 takes a free one. */
  bind(address: IpAddress, port: number, place: Place, reach?: Reach): Promise<BindResult>;
  /** Serves a bound socket that was handed over, and owns it from now on. */
  attachDatagram(socket: DatagramSocket, place: Place): void;
  /**
   * Serves a listening server, or one accepted connection, that was handed over, and owns it from now on. `udp`: what comes on
   * it came as datagrams and goes back as such, so answers are cut to what one takes. Absent: `tcp`.
   */
  attachStream(stream: Server | StreamSocket, place: Place, transport?: 'tcp' | 'udp'): void;
  /** Ends at once: every socket is closed or destroyed, whatever its client does. Idempotent. */
  close(): Promise<void>;
}

export function createDnsServer(options: DnsServerOptions): DnsServer {
  return new GuardedDnsServer(options);
}

const DNS2_CODEC: Codec<Packet> = {
  parse: (message) => Packet.parse(message),
  agrees(packet, question) {
    const [read] = packet.questions;
    return (
      packet.errors.length === 0 &&
      packet.questions.length === 1 &&
      packet.header.id === question.id &&
      read?.name === question.name &&
      read.type === question.type &&
      read.class === question.class
    );
  },
  encode(packet, question, answer) {
    const response = Packet.createResponseFromRequest(packet);
    // `cd` is a field of dns2's header that its types leave out; RFC 4035 section 3.2.2 wants it copied.
    Object.assign(response.header, {
      ra: 1,
      rcode: RCODES[answer.rcode],
      cd: question.checkingDisabled ? 1 : 0,
    });
    response.answers = answer.records.map((record) =>
      Packet.createResourceFromQuestion(
        { name: question.name, type: question.type, class: question.class, toBuffer: () => Buffer.alloc(0) },
        {
          type: TYPES[record.type],
          class: CLASS_IN,
          ttl: answer.ttlSeconds,
          ...(record.type === 'PTR' ? { domain: record.data } : { address: record.data }),
        },
      ),
    );
    if (question.edns !== null) response.additionals = [encodeEdns(question.edns.dnssecOk, answer)];
    return response.toBuffer();
  },
};

function encodeEdns(dnssecOk: boolean, { extendedError }: Answer): Packet['additionals'][number] {
  const options =
    extendedError === null ? [] : [Packet.Resource.EDNS.EDE(extendedError.code, extendedError.text)];
  return Packet.Resource.EDNS(options, { udpPayloadSize: MAX_DATAGRAM_BYTES, doFlag: dnssecOk });
}

/** Carried through dns2 from `handle` to its request event, so that the inspected question is the judged one. */
interface InspectedClient extends RemoteInfo {
  readonly question: Question;
}

/** dns2's UDP server behind inspection: one datagram can neither stall nor end the process. */
class HardenedUdpServer extends UDPServer {
  readonly #screen: (message: Buffer) => ReturnType<Pipeline<Packet>['screen']>;
  readonly #onFault: (error: unknown) => void;

  constructor(
    type: 'udp4' | 'udp6',
    pipeline: Pipeline<Packet>,
    origin: QueryOrigin,
    onFault: (error: unknown) => void,
  ) {
    super({ type });
    this.#screen = (message) => pipeline.screen(message, origin);
    this.#onFault = onFault;
    this.on('request', (packet, send, client) => {
      const { question } = client as InspectedClient;
      void pipeline.answer(packet, question, origin).then(send);
    });
    this.on('requestError', onFault);
  }

  override handle(message: Buffer, from: RemoteInfo): void {
    // Nobody can be answered at port 0; dgram throws, and dns2 would let that end the process.
    if (from.port === 0) return;
    const screened = this.#screen(message);
    if (screened.kind === 'reply') void this.response(from, screened.bytes);
    if (screened.kind === 'question') {
      const client: InspectedClient = { ...from, question: screened.question };
      super.handle(message, client);
    }
  }

  override async response(to: RemoteInfo, message: Packet | Buffer): Promise<Buffer> {
    try {
      return await super.response(to, message);
    } catch (error) {
      // Also a send after close: the client is gone, and nothing depends on its answer.
      this.#onFault(error);
      return Buffer.alloc(0);
    }
  }
}

class GuardedDnsServer implements DnsServer {
  readonly #pipeline: Pipeline<Packet>;
  readonly #limits: DnsLimits;
  readonly #onFault: (error: unknown) => void;
  /** What ends each socket or listener that is open. */
  readonly #endings = new Map<DatagramSocket | Server | StreamSocket, () => Promise<unknown>>();
  #closed = false;

  constructor({ handler, limits, onFault }: DnsServerOptions) {
    this.#pipeline = createPipeline(handler, DNS2_CODEC);
    this.#limits = limits ?? DNS_LIMITS;
    this.#onFault = onFault ?? (() => {});
  }

  bind(address: IpAddress, port: number, place: Place, reach: Reach = 'loopback'): Promise<BindResult> {
    const openers = {
      datagram: (asked: number) => this.#openDatagram(address, asked, place),
      stream: (asked: number) => this.#openStream(address, asked, place),
    };
    return bindPair(address, port, openers, this.#limits.bindAttempts, reach);
  }

  attachDatagram(socket: DatagramSocket, place: Place): void {
    socket.on('message', (message, from) => {
      if (from.port === 0) return;
      const end = { transport: 'udp', address: withoutMapping(from.address), port: from.port } as const;
      const origin = originOf(place, 'udp', end);
      void this.#pipeline.respond(message, origin).then((answer) => {
        if (answer !== null) this.#send(socket, answer, from);
      });
    });
    this.#ownDatagram(socket);
  }

  attachStream(stream: Server | StreamSocket, place: Place, transport: 'tcp' | 'udp' = 'tcp'): void {
    const end = stream instanceof Server ? null : streamEnd(stream);
    const origin = originOf(place, transport, end);
    const clients = createStreamClients((message) => this.#pipeline.respond(message, origin), this.#limits);
    if (stream instanceof Server) {
      stream.on('connection', (socket) => clients.accept(socket));
      this.#own(stream, () => endServer(stream, clients));
    } else {
      clients.accept(stream);
      this.#own(stream, async () => clients.close());
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#endings.values()].map((end) => end()));
  }

  #own(socket: DatagramSocket | Server | StreamSocket, end: () => Promise<unknown>): void {
    socket.on('error', this.#onFault);
    socket.once('close', () => this.#endings.delete(socket));
    this.#endings.set(socket, end);
    if (this.#closed) void end();
  }

  #ownDatagram(socket: DatagramSocket): () => void {
    const end = (): void => {
      // A second close of a dgram socket throws.
      if (this.#endings.delete(socket)) socket.close();
    };
    this.#own(socket, async () => end());
    return end;
  }

  #send(socket: DatagramSocket, answer: Buffer, to: RemoteInfo): void {
    try {
      socket.send(answer, to.port, to.address, (error) => {
        if (error) this.#onFault(error);
      });
    } catch (error) {
      // The socket was closed meanwhile: the client is gone with it.
      this.#onFault(error);
    }
  }

  async #openDatagram(address: IpAddress, port: number, place: Place): Promise<Opened> {
    const type = address.includes(':') ? 'udp6' : 'udp4';
    const origin = originOf(place, 'udp', null);
    const socket = new HardenedUdpServer(type, this.#pipeline, origin, this.#onFault);
    const failure = await settleListening(socket, () => socket.bind({ address, port, exclusive: true }));
    if (failure !== null) {
      socket.close();
      return failure;
    }
    const close = this.#ownDatagram(socket);
    const at = socket.address();
    return { ok: true, address: at.address, port: at.port, close };
  }

  async #openStream(address: IpAddress, port: number, place: Place): Promise<Opened> {
    const server = createServer({ allowHalfOpen: true });
    const failure = await settleListening(server, () =>
      server.listen({ host: address, port, exclusive: true }),
    );
    if (failure !== null) return failure;
    this.attachStream(server, place);
    const at = server.address();
    if (at === null || typeof at === 'string') return { ok: false, inUse: false, detail: 'no address' };
    return { ok: true, address: at.address, port: at.port, close: () => server.close() };
  }
}

function originOf(
  { asker, mode, attribute }: Place,
  transport: QueryOrigin['transport'],
  end: ClientEnd | null,
): QueryOrigin {
  if (attribute === undefined || end === null) return { asker, mode, transport };
  let found: ProcessFact | null | undefined;
  const process = (): ProcessFact | null => {
    if (found === undefined) found = attribute(end);
    return found;
  };
  return { asker, mode, transport, process };
}

/** Null where it has ended already. */
function streamEnd({ remoteAddress, remotePort, localAddress, localPort }: StreamSocket): ClientEnd | null {
  if (remoteAddress === undefined || remotePort === undefined) return null;
  if (localAddress === undefined || localPort === undefined) return null;
  const destination = { address: withoutMapping(localAddress), port: localPort };
  return { transport: 'tcp', address: withoutMapping(remoteAddress), port: remotePort, destination };
}

/** As a socket for both families sees IPv4. */
function withoutMapping(address: string): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/, '');
}

async function endServer(server: Server, clients: StreamClients): Promise<void> {
  const closed = server.listening ? once(server, 'close') : null;
  server.close();
  clients.close();
  await closed;
}

/** Null once it listens, else why it does not; dns2's own `listen` never settles on an error. */
async function settleListening(
  socket: DatagramSocket | Server,
  listen: () => void,
): Promise<Extract<Opened, { ok: false }> | null> {
  const listening = once(socket, 'listening');
  try {
    listen();
    await listening;
    return null;
  } catch (error) {
    listening.catch(() => {});
    const code = error instanceof Error && 'code' in error ? error.code : null;
    return {
      ok: false,
      inUse: code === 'EADDRINUSE',
      detail: error instanceof Error ? error.message : 'unknown',
    };
  }
}
