/**
 * Carries what arrives on a guest's link to its gateway, by original destination. Until the start probes have
 * passed, every connection is greeted with the gateway's nonce and closed.
 */
import type { IpAddress } from '../../policies/model.ts';
import type { GuestSocket } from '../../proxy/reader.ts';
import type { GatewayPort } from '../backends/backend.ts';

export interface Destination {
  readonly address: IpAddress;
  readonly port: number;
}

export interface Arrivals {
  /** The start probes have passed. */
  open(): void;
  /** A TCP connection and where it was going; null: that cannot be told. */
  stream(socket: GuestSocket, destination: Destination | null): void;
}

const DNS_PORT = 53;

/** `isProxy`: whether that destination is where the guest's tools find their proxy. */
export function createArrivals(
  gateway: GatewayPort,
  isProxy: (destination: Destination) => boolean,
): Arrivals {
  let isOpen = false;
  return {
    open() {
      isOpen = true;
    },
    stream(socket, destination) {
      socket.on('error', () => socket.destroy());
      if (destination?.port === DNS_PORT) return gateway.acceptDnsStream(socket);
      if (!isOpen) return greet(socket, gateway.probe.greeting);
      if (destination === null) return void (socket.resetAndDestroy?.() ?? socket.destroy());
      if (isProxy(destination)) return gateway.acceptProxy(socket);
      gateway.acceptStream(socket, destination);
    },
  };
}

function greet(socket: GuestSocket, greeting: string): void {
  socket.end(`${greeting}\n`);
  socket.resume();
}
