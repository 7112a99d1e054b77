/**
 * Listeners of the host's for the time of the start probes, of which a guest is asked which it reaches: one at each address
 * of the host's that it may or may not get to. What is meant by an answer is the verdicts' business.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';

export interface Canary {
  readonly address: string;
  readonly port: number;
}

export interface Canaries {
  readonly places: readonly Canary[];
  /** The line that they greet with: nobody else knows it. */
  readonly greeting: string;
  close(): void;
}

/** Of one host's addresses: more tell nothing that the first do not. */
const MOST = 4;

/** An address at which none can listen has none. Each listens at its own address, on a port that was free. */
export async function openCanaries(addresses: readonly string[]): Promise<Canaries> {
  const greeting = `sand-canary ${randomBytes(16).toString('hex')}`;
  const servers: Server[] = [];
  const places: Canary[] = [];
  for (const address of addresses.slice(0, MOST)) {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.resume();
      socket.end(`${greeting}\n`);
    });
    server.listen({ host: address, port: 0, exclusive: true });
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.on('error', () => {});
    servers.push(server);
    places.push({ address, port: (server.address() as AddressInfo).port });
  }
  return {
    places,
    greeting,
    close: () => {
      for (const server of servers) server.close();
    },
  };
}
