/** Reads the original destination off what arrives on the namespace link. What is done with it is `arrivals.ts`'s. */
import type { Socket } from 'node:net';
import { parseAddress } from '../../../policies/address.ts';
import { createArrivals, type Destination } from '../../links/arrivals.ts';
import type { LinkConsumer } from '../../links/namespace/link.ts';
import { LINK } from '../../links/namespace/topology.ts';
import type { GatewayPort } from '../backend.ts';

export interface GuestLinkConsumer extends LinkConsumer {
  open(): void;
}

export function createGuestLinkConsumer(gateway: GatewayPort): GuestLinkConsumer {
  const arrivals = createArrivals(gateway, isOwnProxy);
  return {
    open: arrivals.open,
    // The planter's listener is for one port; that of a connection that has ended already is not to be had.
    stream: (socket, port) => arrivals.stream(socket, destinationOf(socket, port)),
    datagram: (socket) => gateway.acceptDnsDatagrams(socket),
    lost: (error) => gateway.lost(error),
  };
}

function isOwnProxy({ address, port }: Destination): boolean {
  return port === LINK.proxyPort && (address === LINK.gateway4 || address === LINK.gateway6);
}

/** A listener on `::` sees IPv4 destinations in their mapped form. */
function destinationOf(socket: Socket, port: number): Destination | null {
  const parsed = parseAddress((socket.localAddress ?? '').replace(/^::ffff:(?=[\d.]+$)/, ''));
  return parsed.ok ? { address: parsed.value, port } : null;
}
