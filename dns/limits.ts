/** Every bound of the resolver, with its reason. Times in milliseconds unless the name says otherwise, sizes in bytes. */
export interface DnsLimits {
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
  readonly pendingRequests: number;
  readonly namesPerWildcard: number;
  readonly namesUngranted: number;
  readonly refusalBurstMs: number;
  readonly probes: number;
  readonly streamConnections: number;
  readonly streamIdleMs: number;
  readonly streamPipelined: number;
  readonly streamTurn: number;
  readonly streamBacklogBytes: number;
  readonly bindAttempts: number;
  readonly datagramTryMs: number;
  readonly streamTryMs: number;
  readonly secureTryMs: number;
  readonly secureIdleMs: number;
  readonly secureInFlight: number;
  readonly httpsSockets: number;
  readonly passedOverMs: number;
  readonly lookupMs: number;
  readonly secondFamilyMs: number;
  readonly upstreamRounds: number;
  readonly upstreamServers: number;
  readonly forgedDatagrams: number;
  readonly chainAsks: number;
  readonly chainSteps: number;
  readonly addressesPerFamily: number;
  readonly concurrentLookups: number;
  readonly waitingLookups: number;
  readonly cacheEntries: number;
  readonly cacheMaxSeconds: number;
  readonly negativeMaxSeconds: number;
  readonly failureSeconds: number;
}

export const DNS_LIMITS: DnsLimits = {
  /** An `npm ci` of a large tree asks tens of names a second; every request also costs a line of the audit log. */
  requestsPerSecond: 500,
  requestBurst: 2_000,
  /** Requests that wait for an upstream at a time; the rest are refused at once. */
  pendingRequests: 1_024,
  /** Labels under a wildcard can carry data out; no honest build reads thousands of hosts of one zone. */
  namesPerWildcard: 2_000,
  /** In report mode, names that no rule grants: far above any real build, far below the synthetic addresses. */
  namesUngranted: 20_000,
  /** Refused floods are counted, and told once in this time: a guest cannot fill the disk with what it never gets. */
  refusalBurstMs: 1_000,
  /** Names that only the gateway answers; a start asks a handful. */
  probes: 64,
  /** Open TCP clients of one listener: far above any guest's stub resolvers, far below a process's descriptors. */
  streamConnections: 128,
  /** RFC 7766 section 6.2.3 asks for seconds; a client that wants more asks again. */
  streamIdleMs: 10_000,
  /** Queries of one connection that are answered at a time; the others wait unread in the kernel. */
  streamPipelined: 16,
  /** Queries of one connection that are read before other sockets have their turn: about a millisecond of work. */
  streamTurn: 16,
  /** Answers that a client does not read; past this it is not a client. */
  streamBacklogBytes: 256 * 1024,
  /** An ephemeral port must be free for UDP and TCP alike, and be none of the refused ones. */
  bindAttempts: 16,
  /** One try at one server over UDP; stub resolvers wait 5 s in all. */
  datagramTryMs: 1_500,
  /** One try over TCP: a handshake more. */
  streamTryMs: 3_000,
  /** One try over TLS: TCP, a TLS handshake and an answer. */
  secureTryMs: 4_000,
  /** A TLS connection that nothing waits on: the next lookups of a build reuse it, an idle run holds nothing open. */
  secureIdleMs: 10_000,
  /** Questions that wait on one TLS connection: two for each lookup. */
  secureInFlight: 256,
  /** HTTP/1.1 carries one question at a time on each connection. */
  httpsSockets: 16,
  /** A server that gave no answer is asked last for so long: one dead server must not slow down every lookup. */
  passedOverMs: 15_000,
  /** A whole lookup, whatever its servers do; the proxy waits as long. */
  lookupMs: 10_000,
  /** Once one address family has an answer, the other gets this much longer. */
  secondFamilyMs: 500,
  /** Each server is asked with EDNS first, then without: old forwarders know no EDNS. */
  upstreamRounds: 2,
  /** resolv.conf itself stops at three. */
  upstreamServers: 3,
  /** Datagrams from the server's address that answer something else; past this the question goes by TCP. */
  forgedDatagrams: 32,
  /** Further questions for a CNAME chain that the server did not follow itself. */
  chainAsks: 8,
  /** CNAMEs followed in all; real chains stay under ten. */
  chainSteps: 16,
  /** Addresses kept of one family; no client tries more. */
  addressesPerFamily: 32,
  /** Two sockets each. */
  concurrentLookups: 128,
  waitingLookups: 1_024,
  /** About 1 MB. */
  cacheEntries: 4_096,
  /** A day-long TTL must not outlive a fail-over. */
  cacheMaxSeconds: 3_600,
  /** RFC 2308 section 5 suggests one to three hours; a guest that waits for a new name wants less. */
  negativeMaxSeconds: 300,
  /** RFC 9520: a failure is remembered a little, so that a retrying guest does not storm the servers. */
  failureSeconds: 1,
};

/** A query longer than this is refused before it is read: a question takes at most 271 bytes, options the rest. */
export const MAX_QUERY_BYTES = 1_700;

/** Records that may follow the question: OPT and a signature. */
export const MAX_QUERY_ADDITIONALS = 2;

/** The DNS flag day 2020 size: no fragment on any path, and no amplification worth having. */
export const MAX_DATAGRAM_BYTES = 1_232;

/** RFC 1035 section 4.2.1: what a client without EDNS takes. */
export const MIN_DATAGRAM_BYTES = 512;

/** Records of one section of an upstream answer that are read; the largest real ones hold some dozens. */
export const MAX_SECTION_RECORDS = 256;

/** RFC 8467 section 4.1: encrypted questions are padded to a multiple of this. */
export const PADDING_BLOCK_BYTES = 128;

/** The largest DNS message there is, and so the largest body of an answer over HTTPS. */
export const MAX_MESSAGE_BYTES = 65_535;

/** Pointers followed in one name; a name has at most 127 labels and encoders point once. */
export const MAX_POINTERS = 16;

/** Bytes of an extended error's text, so that header, question and OPT always fit 512 bytes. */
export const MAX_ERROR_TEXT_BYTES = 120;

/** Seconds that an answer by sand itself may be cached; the address behind it never changes. */
export const OWN_TTL_SECONDS = 60;

/** Ports that sand never listens on: the host's own resolvers, those of the container tool, and mDNS. */
export const REFUSED_PORTS: ReadonlySet<number> = new Set([53, 1053, 2053, 5353]);
