/**
 * The one canonical form of a host and of an authority: what a guest, a policy or a TLS name says is parsed
 * here and nowhere else. What is ambiguous is refused, never repaired.
 */
import { domainToASCII } from 'node:url';
import { parseAddress, type Read } from './address.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { Authority, Host, Hostname } from './model.ts';

const LABEL = /^[a-z0-9_-]{1,63}$/;
const LONGEST_NAME = 253;
/** Control, format, unassigned and private characters, surrogates, separators and every kind of space. */
const UNPRINTABLE = /[\p{C}\p{Z}]/u;
/** IDNA folds the case of such a name and nothing else, but for labels that are punycode already. */
const PLAIN_ASCII = /^[A-Za-z0-9._-]+$/;
const ASCII_OUTSIDE_NAMES = /[^A-Za-z0-9._\-\u0080-\u{10ffff}]/u;

/**
 * A host as it stands in a URL or a request: a name, a strict dotted quad, or an IPv6 literal in brackets.
 * Names are folded by IDNA, lower-cased, and lose one trailing dot.
 */
export function parseHost(text: string): Read<Host> {
  if (text.startsWith('[')) return parseBracketed(text);
  if (text === '') return refuse('it is empty');
  if (text.length > POLICY_LIMITS.hostCharacters) return refuse('it is longer than any name');
  const isPlain = PLAIN_ASCII.test(text) && !text.toLowerCase().includes('xn--');
  if (!isPlain) {
    if (UNPRINTABLE.test(text)) return refuse('it holds a space or an invisible character');
    if (text.includes(':')) return refuse('it holds a colon: an IPv6 address stands in brackets');
    const stray = ASCII_OUTSIDE_NAMES.exec(text);
    if (stray !== null) return refuse(`"${stray[0]}" does not stand in a name`);
  }
  if (endsInNumber(text)) return parseQuad(text);
  const absolute = text.endsWith('.') ? text.slice(0, -1) : text;
  if (absolute === '' || absolute.split('.').includes('')) return refuse('it has an empty label');
  return parseName(isPlain ? absolute : domainToASCII(absolute));
}

/**
 * `host:port`, or a host alone where there is a default port. `port` is decimal, without sign or leading zero.
 */
export function parseAuthority(text: string, defaultPort: number | null): Read<Authority> {
  const end = text.startsWith('[') ? text.indexOf(']') + 1 : text.lastIndexOf(':');
  const hasPort = text.startsWith('[') ? end > 0 && end < text.length : end !== -1;
  const host = parseHost(hasPort ? text.slice(0, end) : text);
  if (!host.ok) return host;
  if (!hasPort) {
    if (defaultPort === null) return refuse('it names no port');
    return { ok: true, value: { host: host.value, port: defaultPort } };
  }
  if (text[end] !== ':') return refuse('something other than a port follows the address');
  const port = parsePort(text.slice(end + 1));
  if (port === null) return refuse('its port is not a number from 1 to 65535');
  return { ok: true, value: { host: host.value, port } };
}

/** A port as decimal text without sign, space or leading zero; null for anything else. */
export function parsePort(text: string): number | null {
  if (!/^[1-9]\d{0,4}$/.test(text)) return null;
  const port = Number(text);
  return port <= 65_535 ? port : null;
}

/** What `parseHost` reads back: IPv6 in brackets. */
export function formatHost(host: Host): string {
  if (host.kind === 'name') return host.name;
  return host.address.includes(':') ? `[${host.address}]` : host.address;
}

export function formatAuthority({ host, port }: Authority): string {
  return `${formatHost(host)}:${port}`;
}

function parseName(ascii: string): Read<Host> {
  const name = ascii.toLowerCase();
  if (name === '') return refuse('it is no name that IDNA admits');
  if (name.length > LONGEST_NAME) return refuse(`it has more than ${LONGEST_NAME} characters`);
  // Folding can produce what was refused before it: full-width digits become a number, an ideographic full
  // stop a dot, so the result is held to the same rules again.
  if (endsInNumber(name)) return refuse('it reads as a number, and an address is four decimal numbers');
  for (const label of name.split('.')) {
    if (label === '') return refuse('it has an empty label');
    if (!LABEL.test(label)) return refuse('a label has 1 to 63 letters, digits, "-" or "_"');
  }
  return { ok: true, value: { kind: 'name', name: name as Hostname } };
}

/** WHATWG URL, "ends in a number": browsers and libraries read such a host as an IPv4 address in some base. */
function endsInNumber(text: string): boolean {
  const last = (text.endsWith('.') ? text.slice(0, -1) : text).split('.').at(-1) ?? '';
  return /^(\d+|0x[0-9a-f]*)$/i.test(last);
}

function parseQuad(text: string): Read<Host> {
  const address = parseAddress(text);
  if (!address.ok) return refuse('it reads as a number, and an address is four decimal numbers');
  return { ok: true, value: { kind: 'address', address: address.value } };
}

function parseBracketed(text: string): Read<Host> {
  if (!text.endsWith(']') || !text.includes(':'))
    return refuse('brackets hold an IPv6 address and nothing else');
  const address = parseAddress(text.slice(1, -1));
  if (!address.ok) return address;
  return { ok: true, value: { kind: 'address', address: address.value } };
}

function refuse(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}
