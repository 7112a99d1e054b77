/**
 * What a person may name as a resolver for sand to ask: text → an upstream, or what to write instead. Pure;
 * reading the host's own list is `system-resolvers.ts`'s, asking is the transports'.
 */
import { addressBits, parseAddress } from '../policies/address.ts';
import { parseAuthority, parseHost } from '../policies/hostname.ts';
import type { Hostname, IpAddress } from '../policies/model.ts';
import type { DnsUpstream } from './context.ts';
import { DNS_LIMITS } from './limits.ts';

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

const PLAIN_PORT = 53;
const TLS_PORT = 853;
const HTTPS_PORT = 443;
const DEFAULT_PATH = '/dns-query';
const PATH = /^\/[A-Za-z0-9._~/-]{0,200}$/;

const WRITE_PLAIN = 'write an IP address, or ADDRESS:PORT with IPv6 in brackets';
const WRITE_TLS = 'write tls://ADDRESS or tls://ADDRESS:PORT, and #NAME for the name in its certificate';
const WRITE_HTTPS = 'write https://NAME/dns-query, and #ADDRESS for the address to connect to';

/**
 * `ADDRESS[:PORT]`, `tls://ADDRESS[:PORT][#NAME]` or `https://HOST[:PORT][/PATH][#ADDRESS]`. IPv6 stands in
 * brackets where a port follows.
 */
export function parseUpstreamFlag(text: string): Parsed<DnsUpstream> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text);
  if (scheme === null) return parsePlace(text, PLAIN_PORT, WRITE_PLAIN);
  const rest = text.slice(scheme[0].length);
  switch (scheme[1]?.toLowerCase()) {
    case 'tls':
      return parseTls(rest);
    case 'https':
      return parseHttps(rest);
    default:
      return refuse('write ADDRESS, tls://ADDRESS#NAME or https://NAME/dns-query');
  }
}

/** All that a person named, in order of preference; `at` is the one that is wrong. None means the system's own. */
export function parseUpstreamFlags(
  texts: readonly string[],
):
  | { readonly ok: true; readonly value: readonly DnsUpstream[] }
  | { readonly ok: false; readonly reason: string; readonly at: string } {
  const upstreams: DnsUpstream[] = [];
  for (const text of texts) {
    const parsed = parseUpstreamFlag(text);
    if (!parsed.ok) return { ...parsed, at: text };
    if (upstreams.length >= DNS_LIMITS.upstreamServers) {
      return { ok: false, reason: `write at most ${DNS_LIMITS.upstreamServers} resolvers`, at: text };
    }
    // Fail closed: a plain server beside an encrypted one would get its questions in clear text whenever that fails.
    if (isPlain(parsed.value) !== isPlain(upstreams[0] ?? parsed.value)) {
      return {
        ok: false,
        reason: 'a plain resolver beside an encrypted one would be asked in clear text: write one kind',
        at: text,
      };
    }
    upstreams.push(parsed.value);
  }
  return { ok: true, value: upstreams };
}

/** How people know a server: in audit details. */
export function formatUpstream(server: DnsUpstream): string {
  switch (server.protocol) {
    case 'tls':
      return `tls://${formatAny(server.address)}${server.serverName === server.address ? '' : `#${server.serverName}`}`;
    case 'https':
      return `https://${formatAny(server.serverName)}`;
    default:
      return server.address;
  }
}

/** Tells one server from another, all that matters to a connection included. */
export function upstreamKey(server: DnsUpstream): string {
  const { address, port } = server;
  switch (server.protocol) {
    case 'tls':
      return `tls ${address} ${port} ${server.serverName}`;
    case 'https':
      return `https ${address} ${port} ${server.serverName} ${server.path}`;
    default:
      return `plain ${address} ${port}`;
  }
}

/** An address to ask; an IPv4-mapped one (`::ffff:192.0.2.1`) is the IPv4 address that it means. */
export function parseServerAddress(text: string): Parsed<IpAddress> {
  const parsed = parseAddress(text);
  if (!parsed.ok) return parsed;
  const { family, bits } = addressBits(parsed.value);
  if (family === 4 || bits >> 32n !== 0xffffn) return parsed;
  const octets = [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn);
  return parseAddress(octets.join('.'));
}

function isPlain(server: DnsUpstream): boolean {
  return server.protocol === undefined || server.protocol === 'plain';
}

function parsePlace(
  text: string,
  defaultPort: number,
  write: string,
): Parsed<{ readonly address: IpAddress; readonly port: number }> {
  const match = /^(?:\[(?<v6>[^\]]*)\]|(?<v4>[^:[\]]*))(?::(?<port>\d{1,5}))?$/.exec(text);
  const addressText = match?.groups?.v6 ?? match?.groups?.v4 ?? text;
  const port = Number(match?.groups?.port ?? defaultPort);
  const address = parseServerAddress(addressText);
  if (!address.ok || (match?.groups?.v6 !== undefined && !addressText.includes(':'))) return refuse(write);
  if (port < 1 || port > 65_535) return refuse('write a port from 1 to 65535');
  return { ok: true, value: { address: address.value, port } };
}

function parseTls(text: string): Parsed<DnsUpstream> {
  const { before, after } = splitFragment(text);
  const place = parsePlace(before, TLS_PORT, WRITE_TLS);
  if (!place.ok) return place;
  if (after === null)
    return { ok: true, value: { protocol: 'tls', ...place.value, serverName: place.value.address } };
  const name = parseServerName(after);
  if (name === null) return refuse(WRITE_TLS);
  return { ok: true, value: { protocol: 'tls', ...place.value, serverName: name } };
}

function parseHttps(text: string): Parsed<DnsUpstream> {
  const { before, after } = splitFragment(text);
  const slash = before.indexOf('/');
  const path = slash === -1 ? DEFAULT_PATH : before.slice(slash);
  if (!PATH.test(path)) return refuse(`${WRITE_HTTPS}; a path has no query and no template`);
  const authority = parseAuthority(slash === -1 ? before : before.slice(0, slash), HTTPS_PORT);
  if (!authority.ok) return refuse(WRITE_HTTPS);
  const { host, port } = authority.value;
  if (host.kind === 'address') {
    const address = parseServerAddress(host.address);
    if (after !== null || !address.ok) return refuse('write an address once: https://ADDRESS/dns-query');
    return {
      ok: true,
      value: { protocol: 'https', address: address.value, port, serverName: address.value, path },
    };
  }
  const address = after === null ? null : parseServerAddress(after.replace(/^\[(.*)\]$/, '$1'));
  if (address !== null && !address.ok) return refuse(WRITE_HTTPS);
  return {
    ok: true,
    value: { protocol: 'https', address: address?.value ?? null, port, serverName: host.name, path },
  };
}

function splitFragment(text: string): { readonly before: string; readonly after: string | null } {
  const hash = text.indexOf('#');
  return hash === -1
    ? { before: text, after: null }
    : { before: text.slice(0, hash), after: text.slice(hash + 1) };
}

function parseServerName(text: string): Hostname | null {
  const host = parseHost(text);
  return host.ok && host.value.kind === 'name' ? host.value.name : null;
}

function formatAny(host: Hostname | IpAddress): string {
  return host.includes(':') ? `[${host}]` : host;
}

function refuse(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}
