/**
 * From a request head to the authority that is meant and the path that is sent on. Pure. A target that names
 * one host in its line and another in its Host field is refused; whether the host is allowed is not asked here.
 */
import { parseAuthority } from '../policies/hostname.ts';
import type { Authority } from '../policies/model.ts';
import { type HeadFault, malformed, type RequestHead } from './head.ts';

export interface RequestTarget {
  readonly authority: Authority;
  /** What stands in the request line that is sent upstream: path and query, or `*`. */
  readonly path: string;
}

export type TargetResult =
  | { readonly ok: true; readonly target: RequestTarget }
  | { readonly ok: false; readonly fault: HeadFault };

const HTTP_PORT = 80;
const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;

function refuse(detail: string, status = 400): TargetResult {
  return { ok: false, fault: malformed(detail, status) };
}

/** The authority of a CONNECT (RFC 9112 section 3.2.3); its port is never implied. */
export function parseConnectTarget(head: RequestHead): TargetResult {
  const authority = readAuthority(head.target, null);
  if (!authority.ok) return refuse(`the CONNECT target is not HOST:PORT: ${authority.reason}`);
  if (head.host !== null) {
    const host = readAuthority(head.host, authority.value.port);
    if (!host.ok) return refuse(`the Host field cannot be read: ${host.reason}`);
    if (!isSameAuthority(host.value, authority.value)) return mismatch();
  }
  return { ok: true, target: { authority: authority.value, path: '' } };
}

/**
 * A request as proxies get it (absolute-form), or, with `inside`, as origins get it: then origin-form and
 * asterisk-form are read too, and a request without Host means `inside`.
 */
export function parseRequestTarget(head: RequestHead, inside: Authority | null): TargetResult {
  if (head.target.includes('#')) return refuse('the target has a fragment');
  const scheme = SCHEME.exec(head.target);
  if (scheme !== null) return parseAbsolute(head, scheme[0]);
  if (inside === null) {
    return refuse('this is a proxy: the request line wants a whole http:// URL, or CONNECT HOST:PORT');
  }
  const isAsterisk = head.target === '*' && head.method === 'OPTIONS';
  if (!isAsterisk && !head.target.startsWith('/')) return refuse('the target is neither a path nor a URL');
  if (head.host === null) return { ok: true, target: { authority: inside, path: head.target } };
  const host = readAuthority(head.host, HTTP_PORT);
  if (!host.ok) return refuse(`the Host field cannot be read: ${host.reason}`);
  return { ok: true, target: { authority: host.value, path: head.target } };
}

function parseAbsolute(head: RequestHead, prefix: string): TargetResult {
  const scheme = prefix.slice(0, -3).toLowerCase();
  if (scheme === 'https') return refuse('an https:// URL needs a CONNECT tunnel');
  if (scheme !== 'http') return refuse('only http:// URLs are forwarded');
  const rest = head.target.slice(prefix.length);
  const end = rest.search(/[/?]/);
  const text = end < 0 ? rest : rest.slice(0, end);
  if (text.includes('@')) return refuse('the URL carries a user name');
  const authority = readAuthority(text, HTTP_PORT);
  if (!authority.ok) return refuse(`the host of the URL cannot be read: ${authority.reason}`);
  if (head.host !== null) {
    const host = readAuthority(head.host, HTTP_PORT);
    if (!host.ok) return refuse(`the Host field cannot be read: ${host.reason}`);
    if (!isSameAuthority(host.value, authority.value)) return mismatch();
  }
  return {
    ok: true,
    target: { authority: authority.value, path: pathOf(head, end < 0 ? '' : rest.slice(end)) },
  };
}

/** RFC 9112 section 3.2: an empty path is `/`, and `*` for OPTIONS. */
function pathOf(head: RequestHead, path: string): string {
  if (path === '') return head.method === 'OPTIONS' ? '*' : '/';
  return path.startsWith('?') ? `/${path}` : path;
}

/** Bytes above ASCII could be Latin-1 or UTF-8, two different names; a name that needs them comes as `xn--`. */
function readAuthority(text: string, defaultPort: number | null): ReturnType<typeof parseAuthority> {
  if (/[^\x21-\x7e]/.test(text)) return { ok: false, reason: 'it holds bytes that are not ASCII' };
  return parseAuthority(text, defaultPort);
}

function mismatch(): TargetResult {
  return {
    ok: false,
    fault: { status: 400, reason: 'host-mismatch', detail: 'the Host field names another authority' },
  };
}

export function isSameAuthority(a: Authority, b: Authority): boolean {
  if (a.port !== b.port) return false;
  if (a.host.kind === 'name') return b.host.kind === 'name' && a.host.name === b.host.name;
  return b.host.kind === 'address' && a.host.address === b.host.address;
}

/** Text of a target that did not parse, less what can carry secrets: user names, passwords, queries. */
export function recordableTarget(target: string): string {
  const withoutQuery = target.split(/[?#]/)[0] ?? '';
  return withoutQuery.replace(/^([A-Za-z][A-Za-z0-9+.-]*:\/\/)?[^/]*@/, '$1');
}
