/**
 * How verdicts, places and quantities are written, whether in a terminal or on a page. Imports nothing of Node, so
 * that a browser can run it. Pure.
 */
import type { RuleFact } from './event.ts';
import type { RowVerdict } from './summary.ts';

export const VERDICT_TEXT: Readonly<Record<RowVerdict, string>> = {
  denied: 'denied',
  'would-be-denied': 'would be denied',
  failed: 'failed',
  allowed: 'allowed',
};

/** `host:port`, IPv6 in brackets. */
export function formatAuthority(at: { readonly host: string; readonly port: number | null }): string {
  if (at.port === null) return at.host;
  return at.host.includes(':') ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`;
}

/** `file:line`; a flag or preset without lines is its name alone. */
export function formatRulePlace(rule: RuleFact | null): string {
  if (rule === null) return '-';
  return rule.line > 0 ? `${rule.file}:${rule.line}` : rule.file;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1] ?? ''}`;
}
