/**
 * What a run is known to use of the network: hosts, ports, protocols, the rules that allowed them and the order of
 * magnitude of their bytes, and what was denied. Decides what of a run is recorded; how it stands in a file is
 * `baseline-text.ts`, how another run differs is `drift.ts`. Pure.
 */
import type { Row } from '../../audit/summary.ts';
import { OTHER_HOSTS } from '../../audit/summary.ts';
import { type Use, usageOf } from '../../audit/usage.ts';
import { parseHost } from '../../policies/hostname.ts';
import type { HostPattern } from '../../policies/model.ts';
import { parsePattern } from '../../policies/pattern.ts';
import { type Magnitude, magnitudeOf } from './magnitude.ts';

export const BASELINE_VERSION = 1;

/** A destination that was used: what the policy allowed, or let pass in report mode. */
export interface BaselineHost {
  /** A name, an address, or a pattern that a person has written for names that change from run to run. */
  readonly host: string;
  readonly port: number;
  readonly protocol: string;
  /** Ids, sorted; none where it passed because the policy only reports. */
  readonly rules: readonly string[];
  readonly bytesOut: Magnitude;
  readonly bytesIn: Magnitude;
}

export interface BaselineDenial {
  readonly host: string;
  /** Null for a name that was only looked up. */
  readonly port: number | null;
  readonly protocol: string;
  readonly reason: string;
}

export interface Baseline {
  readonly version: typeof BASELINE_VERSION;
  readonly hosts: readonly BaselineHost[];
  readonly denied: readonly BaselineDenial[];
}

/** What a run used, in full. */
export interface RunUsage {
  /** Connections that the policy let pass, whatever came of them; what was only looked up moved nothing. */
  readonly used: readonly Use[];
  readonly denied: readonly BaselineDenial[];
  /** More distinct requests than a summary tells apart: then this is not all. */
  readonly isCut: boolean;
}

/** Of rows as `Summary.rows` gives them, without what is muted. */
export function usageOfRun(rows: readonly Row[]): RunUsage {
  const guests = rows.filter(({ asker, muted }) => asker === 'guest' && !muted);
  const passed = guests.filter(({ verdict, port }) => verdict !== 'denied' && port !== null);
  const refused = guests.filter(({ verdict }) => verdict === 'denied');
  return {
    used: usageOf(passed),
    denied: uniqueDenials(refused),
    isCut: guests.some(({ host }) => host === OTHER_HOSTS),
  };
}

/** The baseline of a run. Patterns of `before` that the run came by stay, in the place of the names that they cover. */
export function baselineOf(usage: RunUsage, before: Baseline | null = null): Baseline {
  const hosts = Map.groupBy(usage.used, (use) => coveringHost(before, use) ?? use.host);
  const denied = usage.denied.map((one) => ({ ...one, host: coveringDenial(before, one) ?? one.host }));
  return sortBaseline({
    version: BASELINE_VERSION,
    hosts: [...hosts].flatMap(([host, uses]) => foldUses(host, uses)),
    denied: [...new Map(denied.map((one) => [keyOf(one), one])).values()],
  });
}

function foldUses(host: string, uses: readonly Use[]): readonly BaselineHost[] {
  return [...Map.groupBy(uses, keyOf).values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined || first.port === null) return [];
    const { port, protocol } = first;
    return [{ host, port, protocol, ...totalOf(same) }];
  });

  function keyOf({ port, protocol }: Use): string {
    return `${port}\n${protocol}`;
  }
}

function totalOf(uses: readonly Use[]): Pick<BaselineHost, 'rules' | 'bytesOut' | 'bytesIn'> {
  return {
    rules: [...new Set(uses.flatMap(({ rules }) => rules))].sort(),
    bytesOut: magnitudeOf(sum(uses.map(({ bytesOut }) => bytesOut))),
    bytesIn: magnitudeOf(sum(uses.map(({ bytesIn }) => bytesIn))),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

/** The order in which it is written: the same run gives the same text. */
export function sortBaseline({ hosts, denied, ...rest }: Baseline): Baseline {
  return { ...rest, hosts: hosts.toSorted(byKey), denied: denied.toSorted(byKey) };
}

type Keyed = Pick<BaselineHost, 'host' | 'protocol'> & {
  readonly port: number | null;
  readonly reason?: string;
};

/** What makes two entries the same. */
export function keyOf({ host, port, protocol, reason }: Keyed): string {
  return [host, port ?? '', protocol, reason ?? ''].join('\n');
}

function byKey(a: Keyed, b: Keyed): number {
  return (
    compareText(a.host, b.host) ||
    (a.port ?? 0) - (b.port ?? 0) ||
    compareText(a.protocol, b.protocol) ||
    compareText(a.reason ?? '', b.reason ?? '')
  );
}

/** By code unit: the same everywhere, whatever the locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function uniqueDenials(rows: readonly Row[]): readonly BaselineDenial[] {
  const denials = rows.map(({ host, port, how, reason }) => {
    return { host, port, protocol: how.find((one) => one !== 'dns') ?? 'dns', reason };
  });
  return [...new Map(denials.map((one) => [keyOf(one), one])).values()].sort(byKey);
}

/** The recorded host that a use belongs to: its own, else the first pattern that covers it; null: none. */
export function coveringHost(baseline: Baseline | null, use: Keyed): string | null {
  return coverOf(baseline?.hosts ?? [], use);
}

export function coveringDenial(baseline: Baseline | null, denial: BaselineDenial): string | null {
  const sameReason = (baseline?.denied ?? []).filter(({ reason }) => reason === denial.reason);
  return coverOf(sameReason, denial);
}

function coverOf(entries: readonly Keyed[], { host, port, protocol }: Keyed): string | null {
  const alike = entries.filter((entry) => entry.port === port && entry.protocol === protocol);
  if (alike.some((entry) => entry.host === host)) return host;
  return alike.find((entry) => matchesName(entry.host, host))?.host ?? null;
}

function matchesName(pattern: string, host: string): boolean {
  const parsed = patternOf(pattern);
  const name = parsed === null ? null : parseHost(host);
  return (
    parsed !== null && name?.ok === true && name.value.kind === 'name' && parsed.matches(name.value.name)
  );
}

/** Null for a plain name or address. */
export function patternOf(text: string): HostPattern | null {
  if (!text.includes('*')) return null;
  const parsed = parsePattern(text);
  return parsed.ok ? parsed.value : null;
}
