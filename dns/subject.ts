/**
 * Decides what a question is about: a name for the policy to judge, or one of the names that sand answers by
 * itself and never lets out (localhost, reverse names, `*.sand` and other reserved zones). Pure.
 */
import { parseAddress } from '../policies/address.ts';
import { parseHost } from '../policies/hostname.ts';
import type { Hostname, IpAddress } from '../policies/model.ts';
import { HOST_LOOPBACK_NAME } from '../policies/subject.ts';

/** Zone of the names that only the gateway answers. */
export const PROBE_ZONE = 'probe.sand';

/**
 * Zones that never leave the host, whatever a policy says: sand's own, and those that RFC 6761 and RFC 7686 keep
 * out of the public DNS.
 */
const RESERVED_ZONES = ['sand', 'in-addr.arpa', 'ip6.arpa', 'invalid', 'onion'];

export type Subject =
  | { readonly kind: 'name'; readonly name: Hostname }
  | { readonly kind: 'host'; readonly name: Hostname }
  | { readonly kind: 'probe'; readonly name: Hostname }
  | { readonly kind: 'localhost' }
  /** A reverse name; null where it spells no IPv4 address. */
  | { readonly kind: 'reverse'; readonly address: IpAddress | null }
  | { readonly kind: 'reserved' }
  | { readonly kind: 'root' }
  /** No hostname: nothing can allow it. */
  | { readonly kind: 'invalid'; readonly detail: string };

/** `text` comes from a question that passed inspection, or from the proxy. */
export function classifyName(text: string): Subject {
  const lower = text.toLowerCase();
  if (lower === '') return { kind: 'root' };
  if (isWithin(lower, 'localhost')) return { kind: 'localhost' };
  if (isWithin(lower, 'in-addr.arpa')) return { kind: 'reverse', address: parseReverse(lower) };
  const parsed = parseHost(lower);
  if (parsed.ok && parsed.value.kind === 'name') {
    if (lower === HOST_LOOPBACK_NAME) return { kind: 'host', name: parsed.value.name };
    if (lower.endsWith(`.${PROBE_ZONE}`)) return { kind: 'probe', name: parsed.value.name };
    if (!isReserved(lower)) return { kind: 'name', name: parsed.value.name };
  }
  if (isReserved(lower)) return { kind: 'reserved' };
  return { kind: 'invalid', detail: parsed.ok ? 'an address where a name is asked' : parsed.reason };
}

export function isReserved(lower: string): boolean {
  return RESERVED_ZONES.some((zone) => isWithin(lower, zone));
}

function isWithin(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}

function parseReverse(lower: string): IpAddress | null {
  const labels = lower.split('.').slice(0, -2);
  if (labels.length !== 4) return null;
  const parsed = parseAddress(labels.toReversed().join('.'));
  return parsed.ok ? parsed.value : null;
}
