/** Ports of a rule: reading them, their canonical order, and what a set of ranges covers. */
import { parsePort } from './hostname.ts';
import type { PortRange, Protocol } from './model.ts';

export const PROTOCOLS: readonly Protocol[] = ['http', 'https', 'tcp'];

/** The web: what a rule grants that names no port. */
export const DEFAULT_PORTS: Readonly<Record<Protocol, readonly PortRange[]>> = {
  http: [{ from: 80, to: 80 }],
  https: [{ from: 443, to: 443 }],
  tcp: [],
};

export const NO_PORTS: Readonly<Record<Protocol, readonly PortRange[]>> = { http: [], https: [], tcp: [] };

/** `5432` or `6000-6010`; null for anything else. */
export function parsePortRange(text: string): PortRange | null {
  const [first = '', second, ...rest] = text.split('-');
  const from = parsePort(first);
  const to = second === undefined ? from : parsePort(second);
  if (from === null || to === null || rest.length > 0 || from > to) return null;
  return { from, to };
}

export function formatPortRange({ from, to }: PortRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}

/** Sorted, with overlapping and adjacent ranges joined. */
export function joinRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const joined: PortRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    const last = joined.at(-1);
    if (last !== undefined && range.from <= last.to + 1) {
      joined[joined.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
    } else {
      joined.push(range);
    }
  }
  return joined;
}

export function holdsPort(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ from, to }) => from <= port && port <= to);
}

/** Number of distinct ports; `ranges` need not be joined. */
export function countPorts(ranges: readonly PortRange[]): number {
  return joinRanges(ranges).reduce((sum, { from, to }) => sum + to - from + 1, 0);
}
