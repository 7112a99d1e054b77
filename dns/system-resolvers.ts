/**
 * Which resolvers sand asks: those of the host's resolv.conf, read again when it changes, or those that a flag
 * names. Parsing is pure; only `createSystemResolvers` reads a file.
 */
import { readFileSync, statSync } from 'node:fs';
import { parseAddress } from '../policies/address.ts';
import type { DnsUpstream } from './context.ts';
import { DNS_LIMITS } from './limits.ts';

const DNS_PORT = 53;

/** resolv.conf is a page of text; more is not one. */
const RESOLV_CONF_BYTES = 64 * 1024;

export type UpstreamFlag =
  | { readonly ok: true; readonly value: DnsUpstream }
  | { readonly ok: false; readonly reason: string };

/** `1.2.3.4`, `1.2.3.4:5300`, `::1`, `[::1]` or `[::1]:5300`. */
export function parseUpstreamFlag(text: string): UpstreamFlag {
  const match = /^(?:\[(?<v6>[^\]]*)\]|(?<v4>[^:[\]]*))(?::(?<port>\d{1,5}))?$/.exec(text);
  const addressText = match?.groups?.v6 ?? match?.groups?.v4 ?? text;
  const port = Number(match?.groups?.port ?? DNS_PORT);
  const address = parseAddress(addressText);
  if (!address.ok || (match?.groups?.v6 !== undefined && !address.value.includes(':'))) {
    return { ok: false, reason: 'write an IP address, or ADDRESS:PORT with IPv6 in brackets' };
  }
  if (port < 1 || port > 65_535) return { ok: false, reason: 'write a port from 1 to 65535' };
  return { ok: true, value: { address: address.value, port } };
}

/**
 * The name servers of a resolv.conf (resolver(5)). An address with a zone (`fe80::1%en0`) is passed over; where
 * none is named the local machine is meant. Loopback stubs are fine: they are the host's own.
 */
export function parseResolvConf(text: string): readonly DnsUpstream[] {
  const servers: DnsUpstream[] = [];
  for (const line of text.split('\n')) {
    const [keyword, value] = line.trim().split(/\s+/);
    if (keyword !== 'nameserver' || value === undefined) continue;
    const address = parseAddress(value);
    if (address.ok && servers.length < DNS_LIMITS.upstreamServers) {
      servers.push({ address: address.value, port: DNS_PORT });
    }
  }
  if (servers.length > 0) return servers;
  const local = parseAddress('127.0.0.1');
  return local.ok ? [{ address: local.value, port: DNS_PORT }] : [];
}

/** Gives the host's resolvers; the file is read again when it was replaced or written. It keeps nothing open. */
export function createSystemResolvers(path = '/etc/resolv.conf'): () => readonly DnsUpstream[] {
  let seen = '';
  let servers: readonly DnsUpstream[] = parseResolvConf('');
  return () => {
    try {
      const stat = statSync(path, { bigint: true });
      const mark = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`;
      if (mark !== seen && stat.size <= RESOLV_CONF_BYTES) {
        servers = parseResolvConf(readFileSync(path, 'utf8'));
        seen = mark;
      }
    } catch {
      // A file that is just being replaced: the servers known so far still hold.
    }
    return servers;
  };
}
