/** Every bound of the ethernet link, with its reason. One guest owns one link, so each is per guest. */

export interface EthernetLimits {
  /** Largest IPv4 packet in either direction. What a virtual card carries where nobody says otherwise. */
  readonly mtu: number;
  /** Open TCP connections; beyond them a reset. Above what the proxy carries, which judges first. */
  readonly connections: number;
  /** Handshakes that the guest has not finished; the oldest gives way, so a flood costs only the flooder. */
  readonly halfOpen: number;
  /** Closed connections that wait out their end; the oldest gives way. */
  readonly timeWaits: number;
  /** Nothing comes late by more than this on a cable within one machine. */
  readonly timeWaitMs: number;
  /** Without progress: how long the guest may leave its side open, or its window shut, once nobody reads it any more. */
  readonly finWaitMs: number;
  /** Received and not yet read by the proxy, of one connection: the receive window. */
  readonly receiveBytes: number;
  /** The same of all connections together; past it each connection gets no more than `receiveScantBytes`. */
  readonly receiveTotalBytes: number;
  readonly receiveScantBytes: number;
  /** Out-of-order segments that one connection keeps. */
  readonly heldSegments: number;
  /** Of all connections together: a segment costs more than its bytes. */
  readonly heldTotalSegments: number;
  /** Written by the proxy and not yet acknowledged, of one connection, before it is told to wait. */
  readonly sendBytes: number;
  /** The cable is a queue within one machine, so the first flight may be longer than RFC 6928's ten segments. */
  readonly initialSegments: number;
  readonly congestionBytes: number;
  /** RFC 6298 wants a second, for paths that cross the world; the kernels on this one delay an acknowledgement 40 ms at most. */
  readonly minRtoMs: number;
  readonly firstRtoMs: number;
  readonly maxRtoMs: number;
  /** RFC 1122 wants at least 100 s before a connection is given up. */
  readonly retransmissions: number;
  /** Of a SYN, or of the answer to one: 31 s with the backing off. */
  readonly handshakeRetransmissions: number;
  readonly delayedAckMs: number;
  /** At the beginning each segment is acknowledged at once: the guest's window is still growing. */
  readonly quickAcks: number;
  /** RFC 5961 section 10: challenge acknowledgements a second, of all connections together. */
  readonly challengeAcks: number;
  /** Distinct refused destinations that are counted; past it only the first are told. */
  readonly refusedDestinations: number;
  /** DNS datagrams without an answer; the oldest is forgotten. */
  readonly queries: number;
  /** Frames that wait for the cable; past it frames are dropped, which TCP recovers from. */
  readonly cableBytes: number;
  /** What one connection sends before the next one's turn. */
  readonly turnBytes: number;
  readonly leaseSeconds: number;
}

export const ETHERNET_LIMITS: EthernetLimits = {
  mtu: 1_500,
  connections: 8_192,
  halfOpen: 4_096,
  timeWaits: 1_024,
  timeWaitMs: 10_000,
  finWaitMs: 120_000,
  receiveBytes: 512 * 1024,
  receiveTotalBytes: 64 * 1024 * 1024,
  receiveScantBytes: 16 * 1024,
  heldSegments: 1_024,
  heldTotalSegments: 32_768,
  sendBytes: 512 * 1024,
  initialSegments: 64,
  congestionBytes: 4 * 1024 * 1024,
  minRtoMs: 200,
  firstRtoMs: 1_000,
  maxRtoMs: 60_000,
  retransmissions: 11,
  handshakeRetransmissions: 4,
  delayedAckMs: 20,
  quickAcks: 16,
  challengeAcks: 100,
  refusedDestinations: 4_096,
  queries: 1_024,
  cableBytes: 1024 * 1024,
  turnBytes: 64 * 1024,
  leaseSeconds: 86_400,
};
