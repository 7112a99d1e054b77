/** Every bound of the proxy, with its reason. Times in milliseconds, sizes in bytes. */
import { DEFAULT_LIMITS } from '../policies/guest-limits.ts';

/** Some hold only where no policy says otherwise: `bounds.ts`. */
export interface ProxyLimits {
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
  readonly bytesOut: number | null;
  readonly bytesIn: number | null;
  readonly headBytes: number;
  readonly bodyBytes: number | null;
  readonly headTimeoutMs: number;
  readonly clientHelloBytes: number;
  readonly clientHelloTimeoutMs: number;
  readonly lookupTimeoutMs: number;
  readonly dialTimeoutMs: number;
  readonly attemptDelayMs: number;
  readonly idleTimeoutMs: number | null;
  readonly totalTimeoutMs: number | null;
  readonly turnBytes: number;
}

export const PROXY_LIMITS: ProxyLimits = {
  connections: DEFAULT_LIMITS.connections,
  requestsPerSecond: DEFAULT_LIMITS.requestsPerSecond,
  /** A client that opens everything at once, such as a browser or a parallel download of a whole lock file. */
  requestBurst: 1000,
  bytesOut: DEFAULT_LIMITS.bytesOut,
  bytesIn: DEFAULT_LIMITS.bytesIn,
  headBytes: DEFAULT_LIMITS.headBytes,
  bodyBytes: DEFAULT_LIMITS.bodyBytes,
  /** A client that sends half a head holds a connection no longer than this. */
  headTimeoutMs: 30_000,
  /** TLS allows 2^24; real hellos with post-quantum shares stay under 4 KiB. */
  clientHelloBytes: 16 * 1024 + 5,
  clientHelloTimeoutMs: 10_000,
  lookupTimeoutMs: 10_000,
  dialTimeoutMs: 15_000,
  /** RFC 8305 section 8: the delay between connection attempts. */
  attemptDelayMs: 250,
  idleTimeoutMs: DEFAULT_LIMITS.idleMs,
  totalTimeoutMs: DEFAULT_LIMITS.totalMs,
  /** Bytes that one of many sockets may read in one turn of the event loop, so that no tunnel starves a new one. */
  turnBytes: 64 * 1024,
};

/** Bounds that nobody has a reason to set, each with its reason. Times in milliseconds, sizes in bytes. */
export const PROXY_BOUNDS = {
  /** As many streams as move at once have `turnBytes` each; fewer have the others' share besides. */
  turnStreams: 8,
  /** Header fields of one request: Node's own default is 2000; browsers send about 20. */
  headFields: 200,
  /** A chunk-size line with its extensions, which nobody sends. */
  chunkLineBytes: 256,
  /** Longest content-length that is exact in every JSON reader: 15 digits. */
  lengthDigits: 15,
  /** Records that carry one ClientHello: OpenSSL's smallest fragments make eight of a large one. */
  helloRecords: 64,
  /** An idle keep-alive connection between two requests; clients open a new one without notice. */
  keepAliveMs: 60_000,
  /** Requests on one connection; the last is answered with `connection: close`. */
  requestsPerConnection: 100_000,
  /** A tunnel of which one side has ended, without a byte from the other. */
  halfOpenMs: 5 * 60_000,
  /** A client that shut its sending side while its answer was due: some are gone, a few only half-close. */
  halfClosedMs: 2_000,
  /** After a refusal the client's remaining bytes are read and dropped this long, so that it can read why. */
  lingerMs: 1_000,
  /** And at most this many of them. */
  lingerBytes: 1024 * 1024,
  /** Connections over the guest's limit that are told so in words; the rest is cut off. */
  toldOverLimit: 32,
  /** Refusals by one limit are told by the first, and then by their number this often. */
  burstMs: 1_000,
  /** A parent proxy's answer to CONNECT; its error pages come behind the head and are not read. */
  parentHeadBytes: 16 * 1024,
  /**
   * A refused stream is looked at this long, to answer in the language that it speaks. A client that speaks
   * first does so within a few milliseconds; one that waits to be greeted is reset then.
   */
  refusalPeekMs: 150,
  /** Addresses of one answer that are tried: RFC 8305 gives no number; nobody waits for more. */
  dialAttempts: 8,
  /** Idle connections kept to one address and port, and in all. */
  idleUpstreamsPerOrigin: 32,
  idleUpstreams: 128,
  /** Below the 5 s after which common origins close an idle connection. */
  idleUpstreamMs: 4_000,
  /** Interim (1xx) answers that are relayed for one request; an origin could send them for ever. */
  interimResponses: 8,
  /** And received: a slow job that tells of its progress each second is under it, a flood soon over. */
  interimReceived: 1_000,
  /** Characters of a guest's text that a refusal or a record repeats: the longest name with its port fits. */
  echoedText: 300,
} as const;
