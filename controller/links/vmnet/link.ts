/**
 * The vmnet link: listeners of one guest's gateway at the host's address on that guest's network, for that guest's address
 * alone. Asks the guest to come to it, and keeps it from nothing else: that is who filters its card.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { SandError } from '../../errors.ts';
import type { Dial } from '../dial.ts';
import { VMNET_LIMITS } from './limits.ts';
import type { GuestNetwork } from './network.ts';
import { SourcedDatagrams } from './sourced-datagrams.ts';

export interface VmnetConsumer {
  /** At the proxy's port, from the guest's address. */
  proxy(socket: Socket): void;
  /** DNS over TCP. */
  dnsStream(socket: Socket): void;
  /** Where the guest's DNS datagrams come; called once. */
  dnsDatagrams(socket: DatagramSocket): void;
}

export interface VmnetLink {
  readonly proxyPort: number;
  readonly dnsPort: number;
  /** What came from other addresses, and was not heard. */
  strangers(): number;
  /** Opens the way in to these ports of the guest, and to no others. */
  openWayIn(ports: readonly number[]): Dial;
  /** Idempotent. */
  close(): void;
}

/** Raises `link-failed`. */
export async function createVmnetLink(network: GuestNetwork, consumer: VmnetConsumer): Promise<VmnetLink> {
  const { gateway, guest } = network;
  const open = new Set<Socket>();
  let strangers = 0;
  const stranger = () => {
    strangers += 1;
  };
  const serve = (accept: (socket: Socket) => void): Server => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      // Fail closed: who else is on that network, the host's own programs too, has no business here.
      if (socket.remoteAddress !== guest) {
        stranger();
        return void socket.resetAndDestroy();
      }
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      accept(socket);
    });
    server.maxConnections = VMNET_LIMITS.connections;
    return server;
  };
  const proxy = serve(consumer.proxy);
  const proxyPort = await listen(proxy, gateway);
  let dns: ResolverSockets;
  try {
    dns = await bindResolver(gateway, () => serve(consumer.dnsStream));
  } catch (error) {
    proxy.close();
    throw error;
  }
  const datagrams = new SourcedDatagrams(dns.datagrams, guest, stranger);
  consumer.dnsDatagrams(datagrams.asDatagramSocket());
  // One connection could not be accepted; those that are open, and the next, can.
  for (const server of [proxy, dns.streams]) server.on('error', () => {});
  let isClosed = false;
  return {
    proxyPort,
    dnsPort: dns.port,
    strangers: () => strangers,
    openWayIn(ports) {
      const published = new Set(ports);
      return async (port) => {
        // Fail closed: only what was published.
        if (!published.has(port)) return { ok: false, detail: 'it is not published' };
        if (isClosed) return { ok: false, detail: 'the guest has ended' };
        return dialGuest(network, port);
      };
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      proxy.close();
      dns.streams.close();
      datagrams.close();
      for (const socket of open) socket.destroy();
    },
  };
}

interface ResolverSockets {
  readonly port: number;
  readonly datagrams: DatagramSocket;
  readonly streams: Server;
}

/** UDP and TCP at one port, which is never 53: that one is the host's own resolver's there. */
async function bindResolver(address: string, makeServer: () => Server): Promise<ResolverSockets> {
  for (let attempt = 1; ; attempt++) {
    const datagrams = createSocket('udp4');
    const streams = makeServer();
    try {
      datagrams.bind({ address, port: 0, exclusive: true });
      await once(datagrams, 'listening');
      const { port } = datagrams.address();
      await listen(streams, address, port);
      return { port, datagrams, streams };
    } catch (error) {
      datagrams.close();
      if (attempt === VMNET_LIMITS.bindAttempts) throw noListener(address, error);
    }
  }
}

async function listen(server: Server, host: string, port = 0): Promise<number> {
  server.listen({ host, port, exclusive: true });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw noListener(host, error);
  }
  return (server.address() as AddressInfo).port;
}

function noListener(address: string, cause: unknown): SandError {
  if (cause instanceof SandError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SandError(
    'link-failed',
    `the guest\u2019s gateway cannot listen at ${address}: ${why}`,
    'look whether a firewall of the host keeps programs from listening; the usual link of the backend needs no listener',
    { cause },
  );
}

function dialGuest({ gateway, guest }: GuestNetwork, port: number): ReturnType<Dial> {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<Dial>>>();
  const socket = connect({ host: guest, port, localAddress: gateway, allowHalfOpen: true });
  const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), VMNET_LIMITS.dialMs);
  const fail = (error: Error) => resolve({ ok: false, detail: error.message });
  socket.once('error', fail);
  socket.once('close', () => clearTimeout(timer));
  socket.once('connect', () => {
    clearTimeout(timer);
    socket.off('error', fail);
    socket.on('error', () => socket.destroy());
    resolve({ ok: true, socket });
  });
  return promise;
}
