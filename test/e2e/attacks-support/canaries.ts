/** Servers on the host that no guest may ever reach: each counts who came. */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';

export interface Canaries {
  /** Address and port; TCP and UDP of one address share a port. */
  readonly places: readonly (readonly [string, number])[];
  /** Name of an abstract Unix socket. */
  readonly abstract: string;
  /** What reached any of them. */
  readonly visits: readonly string[];
  close(): Promise<void>;
}

/** On loopback and on the host's own interface addresses; link-local ones need a scope that a guest cannot know. */
export async function createCanaries(): Promise<Canaries> {
  const visits: string[] = [];
  const servers: Server[] = [];
  const sockets: DatagramSocket[] = [];
  const places: [string, number][] = [];
  for (const address of ['127.0.0.1', '::1', ...interfaceAddresses()]) {
    const server = createServer((client) => {
      visits.push(`tcp ${address}`);
      client.end('canary\n');
    });
    const port = await listen(server, { host: address, port: 0 });
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', () => visits.push(`udp ${address}`));
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.bind(port, address, resolve);
    });
    servers.push(server);
    sockets.push(socket);
    places.push([address, port]);
  }
  const abstract = `sand-e2e-${process.pid}-${places[0]?.[1] ?? 0}`;
  const local = createServer(() => visits.push('abstract'));
  await listen(local, { path: `\0${abstract}` });
  servers.push(local);
  return {
    places,
    abstract,
    visits,
    async close() {
      for (const socket of sockets) socket.close();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

function interfaceAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
    .map(({ address }) => address);
}

function listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(where, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : 0);
    });
  });
}
