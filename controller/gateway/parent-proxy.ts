/**
 * The proxy that the host itself needs: a flag, or the host's own variables, become the parent of each
 * authority. Pure; nothing of it is shown to a guest, and no message repeats a value, which may hold a password.
 */
import { type AddressBits, addressBits, maskBits, parseAddress } from '../../policies/address.ts';
import { parseAuthority, parseHost, parsePort } from '../../policies/hostname.ts';
import type { Authority, Host, IpAddress, Protocol } from '../../policies/model.ts';
import type { ParentProxy } from '../../proxy/context.ts';
import { SandError } from '../errors.ts';

export interface ParentSettings {
  /** For plain HTTP. */
  readonly http: ParentProxy | null;
  /** For everything else: TLS, and bytes that sand does not read. */
  readonly https: ParentProxy | null;
  readonly exceptions: readonly Exception[];
}

/** One entry of `no_proxy`. `port` null: every port. */
export type Exception =
  | { readonly kind: 'every' }
  /** The name itself and every name below it. */
  | { readonly kind: 'suffix'; readonly suffix: string; readonly port: number | null }
  | { readonly kind: 'range'; readonly range: Range; readonly port: number | null };

/** Bits outside the prefix count for nothing. */
interface Range {
  readonly bits: AddressBits;
  readonly length: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A list of exceptions is written by people or a company's script; nobody reads a longer one. */
const LONGEST_LIST = 64 * 1024;

/**
 * `flag` null: what the host's variables say. `none`: no parent, whatever they say. Null where there is no
 * parent at all. Raises `usage` for what cannot be read.
 */
export function readParentSettings(flag: string | null, environ: Environment): ParentSettings | null {
  if (flag === 'none') return null;
  const exceptions = parseExceptions(variable(environ, 'no_proxy')?.value ?? '');
  if (flag !== null) {
    const parent = parseParent('--upstream-proxy', flag);
    return { http: parent, https: parent, exceptions };
  }
  const [http, https] = ['http_proxy', 'https_proxy'].map((name) => {
    const found = variable(environ, name);
    return found === null ? null : parseParent(found.name, found.value);
  });
  if ((http ?? null) === null && (https ?? null) === null) return null;
  return { http: http ?? null, https: https ?? null, exceptions };
}

/** The parent of an authority; null where `no_proxy` covers it. What it resolves to is the proxy's to look at. */
export function parentFor(
  { http, https, exceptions }: ParentSettings,
  authority: Authority,
  protocol: Protocol,
): ParentProxy | null {
  const parent = protocol === 'http' ? http : https;
  if (parent === null || exceptions.some((exception) => covers(exception, authority))) return null;
  return parent;
}

/** `proxy.corp.example:3128`, for people: without credentials. */
export function describeParents({ http, https }: ParentSettings): readonly string[] {
  const places = [http, https].flatMap((parent) => (parent === null ? [] : [formatPlace(parent)]));
  return [...new Set(places)];
}

function formatPlace({ host, port }: ParentProxy): string {
  if (host.kind === 'name') return `${host.name}:${port}`;
  return host.address.includes(':') ? `[${host.address}]:${port}` : `${host.address}:${port}`;
}

/** Lower case counts first, as for curl. An empty variable is none. */
function variable(
  environ: Environment,
  name: string,
): { readonly name: string; readonly value: string } | null {
  for (const spelling of [name, name.toUpperCase()]) {
    const value = environ[spelling]?.trim();
    if (value !== undefined && value !== '') return { name: spelling, value };
  }
  return null;
}

const PORTS = { http: 80, https: 443 } as const;

/** `[http://|https://][user[:password]@]host[:port][/]`. `origin` is what people know the value by. */
function parseParent(origin: string, text: string): ParentProxy {
  const refuse = (reason: string): SandError =>
    new SandError(
      'usage',
      `${origin}: ${reason}`,
      'write http://HOST:PORT, with USER:PASSWORD@ before the host if it asks; `--upstream-proxy none` uses no parent proxy',
    );
  const [, scheme = 'http', rest = ''] = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?([^/?#]*)\/?$/.exec(text) ?? [];
  const kind = scheme.toLowerCase();
  if (rest === '') throw refuse('it is no URL of a proxy');
  if (kind !== 'http' && kind !== 'https') throw refuse('a parent proxy speaks http or https');
  const at = rest.lastIndexOf('@');
  const place = parseAuthority(rest.slice(at + 1), PORTS[kind]);
  if (!place.ok) throw refuse(`its host or port cannot be read: ${place.reason}`);
  const authorization = at === -1 ? null : formatAuthorization(rest.slice(0, at));
  if (at !== -1 && authorization === null) throw refuse('its user name or password cannot be read');
  return { ...place.value, secure: kind === 'https', authorization };
}

/** RFC 7617, in UTF-8. Null for what would end a header line, or the user name early. */
function formatAuthorization(userinfo: string): string | null {
  const colon = userinfo.indexOf(':');
  const parts = colon === -1 ? [userinfo, ''] : [userinfo.slice(0, colon), userinfo.slice(colon + 1)];
  const decoded: string[] = [];
  for (const part of parts) {
    try {
      decoded.push(decodeURIComponent(part));
    } catch {
      return null;
    }
  }
  const [user = '', password = ''] = decoded;
  if (user.includes(':') || /\p{Cc}/u.test(user + password)) return null;
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
}

/**
 * `no_proxy` as curl reads it, and a little more: entries between commas or blanks; `*` alone is everything;
 * a name covers itself and what is below it, with or without a dot or `*.` before it; addresses and ranges
 * cover literals only; an entry may end in a port. What cannot be read covers nothing.
 */
export function parseExceptions(text: string): readonly Exception[] {
  return text
    .slice(0, LONGEST_LIST)
    .split(/[\s,]+/)
    .flatMap((entry) => {
      const parsed = entry === '' ? null : parseException(entry);
      return parsed === null ? [] : [parsed];
    });
}

function parseException(entry: string): Exception | null {
  if (entry === '*') return { kind: 'every' };
  const bare = rangeOf(entry);
  if (bare !== null) return { kind: 'range', range: bare, port: null };
  const [, bracketed, named = '', portText] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [];
  const port = portText === undefined ? null : parsePort(portText);
  if (portText !== undefined && port === null) return null;
  const range = rangeOf(bracketed ?? named);
  if (range !== null) return { kind: 'range', range, port };
  const host = parseHost(named.replace(/^\*?\./, ''));
  return host.ok && host.value.kind === 'name' ? { kind: 'suffix', suffix: host.value.name, port } : null;
}

function rangeOf(text: string): Range | null {
  const [, addressText = '', lengthText] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(addressText);
  if (!address.ok) return null;
  const width = address.value.includes(':') ? 128 : 32;
  const length = Number(lengthText ?? width);
  return length > width ? null : { bits: addressBits(address.value), length };
}

function covers(exception: Exception, { host, port }: Authority): boolean {
  if (exception.kind === 'every') return true;
  if (exception.port !== null && exception.port !== port) return false;
  if (exception.kind === 'suffix') return isBelow(host, exception.suffix);
  return host.kind === 'address' && isWithin(exception.range, host.address);
}

function isBelow(host: Host, suffix: string): boolean {
  return host.kind === 'name' && (host.name === suffix || host.name.endsWith(`.${suffix}`));
}

function isWithin({ bits: base, length }: Range, address: IpAddress): boolean {
  const bits = addressBits(address);
  return bits.family === base.family && maskBits(bits, length) === maskBits(base, length);
}
