/** Every bound of the proxy, with its reason. Times in milliseconds, sizes in bytes. */
export interface ProxyLimits {
  readonly connections: number;
  readonly bytesOut: number | null;
  readonly bytesIn: number | null;
  readonly headBytes: number;
  readonly headTimeoutMs: number;
  readonly clientHelloBytes: number;
  readonly clientHelloTimeoutMs: number;
  readonly lookupTimeoutMs: number;
  readonly dialTimeoutMs: number;
  readonly attemptDelayMs: number;
  readonly idleTimeoutMs: number;
  readonly turnBytes: number;
}

export const PROXY_LIMITS: ProxyLimits = {
  /** Connections of one guest at a time: far above any build, far below the descriptors of a process. */
  connections: 1024,
  bytesOut: null,
  bytesIn: null,
  /** Request line and headers together; Node's own default. */
  headBytes: 16 * 1024,
  /** A client that sends half a head holds a connection no longer than this. */
  headTimeoutMs: 30_000,
  /** TLS allows 2^24; real hellos with post-quantum shares stay under 4 KiB. */
  clientHelloBytes: 16 * 1024 + 5,
  clientHelloTimeoutMs: 10_000,
  lookupTimeoutMs: 10_000,
  dialTimeoutMs: 15_000,
  /** RFC 8305 section 8: the delay between connection attempts. */
  attemptDelayMs: 250,
  /** Long polls and idle database sessions live; forgotten ones end. */
  idleTimeoutMs: 60 * 60_000,
  /** Bytes a socket may read in one turn of the event loop, so that no tunnel starves a new one. */
  turnBytes: 64 * 1024,
};
