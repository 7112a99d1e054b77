/**
 * What the proxy asks about parent proxies: which one an authority goes through, and where that one is. The
 * settings decide the first; the second is the host's own lookup, as its other programs do it.
 */
import { lookup } from 'node:dns/promises';
import { parseAddress } from '../../policies/address.ts';
import type { Hostname } from '../../policies/model.ts';
import type { Lookup, ParentProxies } from '../../proxy/context.ts';
import { type ParentSettings, parentFor } from './parent-proxy.ts';

/** Parents move rarely, and every connection asks; getaddrinfo tells no time to live. */
const ADDRESSES_AGE_MS = 30_000;

export function createParents(settings: ParentSettings): ParentProxies {
  // At most two names: one for plain HTTP, one for the rest.
  const known = new Map<Hostname, { readonly found: Promise<Lookup>; readonly askedAt: number }>();
  return {
    parentOf: (authority, protocol) => parentFor(settings, authority, protocol),
    lookup(name) {
      const last = known.get(name);
      if (last !== undefined && performance.now() - last.askedAt < ADDRESSES_AGE_MS) return last.found;
      const found = lookUp(name);
      known.set(name, { found, askedAt: performance.now() });
      // A failure is not kept: the network may just have come up.
      void found.then(({ kind }) => {
        if (kind !== 'addresses' && known.get(name)?.found === found) known.delete(name);
      });
      return found;
    },
  };
}

/** With the host's search list and its hosts file: a company's proxy is often known by a short name. */
async function lookUp(name: Hostname): Promise<Lookup> {
  try {
    const found = await lookup(name, { all: true, verbatim: true });
    const addresses = found.flatMap(({ address }) => {
      const parsed = parseAddress(address.replace(/%.*$/, ''));
      return parsed.ok ? [parsed.value] : [];
    });
    return { kind: 'addresses', addresses };
  } catch {
    return { kind: 'not-found' };
  }
}
