/**
 * Which resolvers sand asks where no flag names any: those of the host's resolv.conf, read again when it changes.
 * Parsing is pure; only `createSystemResolvers` reads a file.
 */
import { readFileSync, statSync } from 'node:fs';
import { parseAddress } from '../policies/address.ts';
import type { PlainUpstream } from './context.ts';
import { DNS_LIMITS } from './limits.ts';
import { parseServerAddress } from './upstream-flag.ts';

const DNS_PORT = 53;

/** resolv.conf is a page of text; more is not one. */
const RESOLV_CONF_BYTES = 64 * 1024;

/**
 * The name servers of a resolv.conf (resolver(5)). An address with a zone (`fe80::1%en0`) is passed over; where
 * none is named the local machine is meant. Loopback stubs are fine: they are the host's own.
 */
export function parseResolvConf(text: string): readonly PlainUpstream[] {
  const servers: PlainUpstream[] = [];
  for (const line of text.split('\n')) {
    const [keyword, value] = line.trim().split(/\s+/);
    if (keyword !== 'nameserver' || value === undefined) continue;
    const address = parseServerAddress(value);
    if (address.ok && servers.length < DNS_LIMITS.upstreamServers) {
      servers.push({ address: address.value, port: DNS_PORT });
    }
  }
  if (servers.length > 0) return servers;
  const local = parseAddress('127.0.0.1');
  return local.ok ? [{ address: local.value, port: DNS_PORT }] : [];
}

/**
 * Gives the host's resolvers; the file is read again when it was replaced or written. It keeps nothing open, and
 * costs a stat: what is no plain file of a page is never read, so that nothing can block here.
 */
export function createSystemResolvers(path = '/etc/resolv.conf'): () => readonly PlainUpstream[] {
  let seen = '';
  let servers: readonly PlainUpstream[] = parseResolvConf('');
  return () => {
    try {
      const stat = statSync(path, { bigint: true });
      const mark = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`;
      if (mark !== seen && stat.isFile() && stat.size <= RESOLV_CONF_BYTES) {
        servers = parseResolvConf(readFileSync(path, 'utf8'));
        seen = mark;
      }
    } catch {
      // A file that is just being replaced: the servers known so far still hold.
    }
    return servers;
  };
}
