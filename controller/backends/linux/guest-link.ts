/**
 * Carries what arrives on the namespace link to the gateway, by original destination. Until the start probes
 * have passed, every connection is greeted with the gateway's nonce and closed.
 */
import type { Socket } from 'node:net';
import { parseAddress } from '../../../policies/address.ts';
import type { IpAddress } from '../../../policies/model.ts';
import type { LinkConsumer } from '../../links/namespace/link.ts';
import { LINK } from '../../links/namespace/topology.ts';
import type { GatewayPort } from '../backend.ts';

export interface GuestLinkConsumer extends LinkConsumer {
  open(): void;
}

export function createGuestLinkConsumer(gateway: GatewayPort): GuestLinkConsumer {
  let isOpen = false;
  return {
    open() {
      isOpen = true;
    },
    stream(socket, port) {
      socket.on('error', () => socket.destroy());
      const address = destinationOf(socket);
      if (port === 53) return gateway.acceptDnsStream(socket);
      if (!isOpen) return greet(socket, gateway.probe.greeting);
      if (address === null) return void socket.resetAndDestroy();
      const own = address === LINK.gateway4 || address === LINK.gateway6;
      if (own && port === LINK.proxyPort) return gateway.acceptProxy(socket);
      gateway.acceptStream(socket, { address, port });
    },
    datagram: (socket) => gateway.acceptDnsDatagrams(socket),
    lost: (error) => gateway.lost(error),
  };
}

/** A listener on `::` sees IPv4 destinations in their mapped form. */
function destinationOf(socket: Socket): IpAddress | null {
  const parsed = parseAddress((socket.localAddress ?? '').replace(/^::ffff:(?=[\d.]+$)/, ''));
  return parsed.ok ? parsed.value : null;
}

function greet(socket: Socket, greeting: string): void {
  socket.end(`${greeting}\n`);
  socket.resume();
}
