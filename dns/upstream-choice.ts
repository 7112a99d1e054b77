/**
 * Carries a question by the protocol that its server speaks, and never by another. Finds the address of a server
 * that is known by name alone; the protocols themselves are files of their own.
 */
import type { SecureContext } from 'node:tls';
import type { Hostname, IpAddress } from '../policies/model.ts';
import type { DnsUpstream, HttpsUpstream } from './context.ts';
import type { DnsLimits } from './limits.ts';
import type { Resolution } from './plan.ts';
import type { PlacedHttpsUpstream } from './upstream-https.ts';
import { createTlsTransport } from './upstream-tls.ts';
import { createPlainTransport, type TransportReply, type UpstreamTransport } from './upstream-transport.ts';
import { createTrust } from './upstream-trust.ts';

export interface TransportOptions {
  readonly limits: DnsLimits;
  /** Ends every kept connection. */
  readonly closing: AbortSignal;
  /** The servers known from the start: what they need is loaded at once, before anybody waits for it. */
  readonly known: readonly DnsUpstream[];
  /** Asks the system's resolvers for the name of a server. */
  readonly find: (name: Hostname, signal: AbortSignal) => Promise<Resolution>;
  /** PEM certificates to believe; absent: Node's, the host's and those of NODE_EXTRA_CA_CERTS. */
  readonly authorities?: readonly string[];
}

export function createTransport(options: TransportOptions): UpstreamTransport {
  const { limits, closing } = options;
  let loaded: SecureContext | null = null;
  const trust = (): SecureContext => {
    loaded ??= createTrust(options.authorities);
    return loaded;
  };
  const plain = createPlainTransport(limits);
  const tls = createTlsTransport(limits, trust, closing);
  const loadHttps = once(async () => {
    const { createHttpsTransport } = await import('./upstream-https.ts');
    return createHttpsTransport(limits, trust, closing);
  });
  const places = createPlaces(options.find);
  if (options.known.some(({ protocol }) => protocol === 'tls' || protocol === 'https')) trust();
  // A failure to load is told to each question; here nobody would hear it.
  if (options.known.some(({ protocol }) => protocol === 'https')) loadHttps().catch(() => {});

  async function askHttps(
    server: HttpsUpstream,
    question: Parameters<UpstreamTransport>[1],
    signal: AbortSignal,
  ): Promise<TransportReply> {
    const found = await places.place(server, signal);
    if (found.kind === 'failed') return found;
    const https = await loadHttps();
    const reply = await https(found.server, question, signal);
    if (reply.kind === 'failed' && !signal.aborted) places.forget(server, found.server.address);
    return reply;
  }

  return (server, question, signal) => {
    switch (server.protocol) {
      case 'tls':
        return tls(server, question, signal);
      case 'https':
        return askHttps(server, question, signal);
      default:
        return plain(server, question, signal);
    }
  };
}

type Placed =
  | { readonly kind: 'placed'; readonly server: PlacedHttpsUpstream }
  | { readonly kind: 'failed'; readonly detail: string };

interface Places {
  place(server: HttpsUpstream, signal: AbortSignal): Promise<Placed>;
  /** The address gave no answer: the next question takes another, or asks for the name again. */
  forget(server: HttpsUpstream, address: IpAddress): void;
}

/** The address of a named server is found once and kept while it answers. */
function createPlaces(find: TransportOptions['find']): Places {
  const found = new Map<Hostname, readonly IpAddress[]>();
  return {
    async place(server, signal) {
      const { address } = server;
      if (address !== null) return { kind: 'placed', server: { ...server, address } };
      const name = server.serverName as Hostname;
      const [known] = found.get(name) ?? [];
      if (known !== undefined) return { kind: 'placed', server: { ...server, address: known } };
      const resolution = await find(name, signal);
      const [first] = resolution.kind === 'addresses' ? resolution.addresses : [];
      if (resolution.kind !== 'addresses' || first === undefined) {
        const why = resolution.kind === 'failed' ? ` (${resolution.detail})` : '';
        const detail = `the system's resolvers do not find ${name}${why}; name its address, https://${name}/dns-query#ADDRESS`;
        return { kind: 'failed', detail };
      }
      found.set(name, resolution.addresses);
      return { kind: 'placed', server: { ...server, address: first } };
    },
    forget(server, address) {
      const name = server.serverName as Hostname;
      const known = found.get(name);
      if (known?.[0] !== address) return;
      const rest = known.slice(1);
      if (rest.length > 0) found.set(name, rest);
      else found.delete(name);
    },
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}
