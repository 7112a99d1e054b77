/**
 * The header fields that a request carries upstream. Pure: Host comes from what was judged, framing from what
 * was read, and what belongs to the hop between guest and sand stays there (RFC 9110 section 7.6.1).
 */
import { formatHost } from '../policies/hostname.ts';
import type { Authority } from '../policies/model.ts';
import type { ParentProxy } from './context.ts';
import type { RequestHead } from './head.ts';

const NOT_SENT = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export type OutgoingFields = Record<string, string | string[]>;

/** Names as the client wrote them; repeated fields stay repeated, in their order. */
export function formatRequestFields(head: RequestHead, authority: Authority): OutgoingFields {
  const grouped = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (const { name, key, value } of head.fields) {
    if (NOT_SENT.has(key) || head.connection.has(key)) continue;
    const group = grouped.get(key);
    if (group === undefined) grouped.set(key, { name, values: [value] });
    else group.values.push(value);
  }
  const fields: OutgoingFields = { Host: formatHostField(authority) };
  for (const { name, values } of grouped.values()) {
    const [only] = values;
    fields[name] = values.length === 1 && only !== undefined ? only : values;
  }
  if (head.framing.kind === 'length') fields['Content-Length'] = String(head.framing.bytes);
  if (head.framing.kind === 'chunked') fields['Transfer-Encoding'] = 'chunked';
  if (head.upgrade !== null) {
    fields.Connection = 'Upgrade';
    fields.Upgrade = head.upgrade;
  }
  return fields;
}

/** Field names of a client in any case make way for these. */
export function formatParentFields({ authorization }: ParentProxy): OutgoingFields {
  return authorization === null ? {} : { 'Proxy-Authorization': authorization };
}

/** The absolute form that a proxy is asked with (RFC 9112 section 3.2.2); `OPTIONS *` has no path there. */
export function formatParentTarget(authority: Authority, path: string): string {
  return `http://${formatHostField(authority)}${path === '*' ? '' : path}`;
}

/** Without the port that http implies. */
function formatHostField({ host, port }: Authority): string {
  return port === 80 ? formatHost(host) : `${formatHost(host)}:${port}`;
}
