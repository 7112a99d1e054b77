/**
 * Which resolvers macOS asks for which names, from what `scutil --dns` prints: the usual ones, and those of a domain alone, as a VPN
 * adds them. Its /etc/resolv.conf knows only the first. Pure; who runs scutil, and how often, is the controller's.
 */
import type { PlainUpstream } from './context.ts';
import { DNS_LIMITS } from './limits.ts';
import { parseServerAddress } from './upstream-flag.ts';

const DNS_PORT = 53;
/** A VPN of a large firm names some dozens of domains. */
const RESOLVERS = 512;

export interface MacResolvers {
  readonly usual: readonly PlainUpstream[];
  /** In lower case, without a dot at either end. */
  readonly domains: readonly { readonly domain: string; readonly servers: readonly PlainUpstream[] }[];
}

interface Block {
  readonly values: Map<string, string>;
  readonly nameservers: string[];
}

/**
 * Of the first part: the later ones hold what is asked through one interface alone, by programs that bind to it. What is for
 * multicast, cannot be reached, or has a zone (`fe80::1%en0`) is passed over. No search list is ever used: names are absolute.
 */
export function parseMacResolvers(text: string): MacResolvers {
  const blocks = blocksOf(text)
    .filter(({ values }) => !/\bmdns\b/.test(values.get('options') ?? ''))
    .filter(({ values }) => !/Not Reachable/.test(values.get('reach') ?? ''))
    .map(({ values, nameservers }) => ({
      domain: domainOf(values.get('domain')),
      isSupplemental: /\bSupplemental\b/.test(values.get('flags') ?? ''),
      order: Number.parseInt(values.get('order') ?? '0', 10) || 0,
      servers: serversOf(nameservers, values.get('port')),
    }))
    .filter(({ servers }) => servers.length > 0)
    .sort((a, b) => a.order - b.order);
  const domains = new Map<string, PlainUpstream[]>();
  for (const { domain, servers } of blocks)
    if (domain !== null) domains.set(domain, [...(domains.get(domain) ?? []), ...servers]);
  const usual = blocks.find(({ domain, isSupplemental }) => domain === null && !isSupplemental);
  return {
    usual: bounded(usual?.servers ?? []),
    domains: [...domains].map(([domain, servers]) => ({ domain, servers: bounded(servers) })),
  };
}

/** Those of the longest domain that the name is in; the usual ones where it is in none, and where no name is given. */
export function serversFor({ usual, domains }: MacResolvers, name?: string): readonly PlainUpstream[] {
  if (name === undefined) return usual;
  const holding = domains
    .filter(({ domain }) => name === domain || name.endsWith(`.${domain}`))
    .sort((a, b) => b.domain.length - a.domain.length);
  return holding[0]?.servers ?? usual;
}

function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  for (const line of text.split('\n')) {
    if (/^DNS configuration \(/.test(line)) break;
    if (/^resolver #/.test(line)) {
      if (blocks.length >= RESOLVERS) break;
      blocks.push({ values: new Map(), nameservers: [] });
      continue;
    }
    const [, key, value] = /^\s+(\S[^:]*?)\s*:\s*(.*?)\s*$/.exec(line) ?? [];
    const block = blocks.at(-1);
    if (block === undefined || key === undefined || value === undefined) continue;
    if (key.startsWith('nameserver[')) block.nameservers.push(value);
    else block.values.set(key, value);
  }
  return blocks;
}

function domainOf(value: string | undefined): string | null {
  const domain = (value ?? '')
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/\.$/, '');
  // A resolver for the root is one for everything.
  return domain === '' ? null : domain;
}

function serversOf(nameservers: readonly string[], port: string | undefined): readonly PlainUpstream[] {
  const number = port === undefined ? DNS_PORT : Number(port);
  if (!Number.isSafeInteger(number) || number < 1 || number > 65_535) return [];
  return nameservers.flatMap((text) => {
    const address = parseServerAddress(text);
    return address.ok ? [{ address: address.value, port: number }] : [];
  });
}

function bounded(servers: readonly PlainUpstream[]): readonly PlainUpstream[] {
  const seen = new Map(servers.map((server) => [`${server.address} ${server.port}`, server]));
  return [...seen.values()].slice(0, DNS_LIMITS.upstreamServers);
}
