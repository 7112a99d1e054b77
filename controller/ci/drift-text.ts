/** Drift in words, a line each, for people. What is of a guest is escaped by whoever prints it. Pure. */
import type { Drift } from './drift.ts';
import { magnitudeOf } from './magnitude.ts';

/** One sentence without a full stop. */
export function describeDrift(drift: Drift): string {
  const { recorded, bytes, rules, reason } = drift;
  const by = rules.length === 0 ? 'no rule' : rules.join(', ');
  switch (drift.kind) {
    case 'new-host':
      return `new host: ${authorityOf(drift)}, allowed by ${by}`;
    case 'new-port':
      return `new port of a known host: ${authorityOf(drift)}, allowed by ${by}`;
    case 'new-denial':
      return `new denial: ${authorityOf(drift)}, ${reason}`;
    case 'bytes-out':
      return `sent to ${authorityOf(drift)}: ${recorded} is recorded, and now it was ${formatMagnitude(bytes)}`;
    case 'bytes-in':
      return `received from ${authorityOf(drift)}: ${recorded} is recorded, and now it was ${formatMagnitude(bytes)}`;
    case 'vanished-host':
      return `vanished host: ${authorityOf(drift)}, was allowed by ${by}`;
    case 'unused-rule':
      return `rule no longer used: ${by}`;
    case 'too-many-hosts':
      return 'more distinct hosts than can be compared';
  }
}

function formatMagnitude(bytes: number | null): string {
  return magnitudeOf(bytes ?? 0);
}

/** `https api.example.com:443`; `dns api.example.com` of a name that was only looked up. */
export function authorityOf({ host, port, protocol }: Pick<Drift, 'host' | 'port' | 'protocol'>): string {
  const name = host ?? '';
  const shown = name.includes(':') && !name.startsWith('[') ? `[${name}]` : name;
  return `${protocol} ${shown}${port === null ? '' : `:${port}`}`;
}
