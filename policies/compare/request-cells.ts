/**
 * The requests to one host that stand for all others: every time, port, protocol, method and path at which the rules
 * that cover the host can change their mind. What the policies say of them is for `request-comparison.ts`.
 */
import type { HttpRequest, PathPattern, Protocol, Rule } from '../model.ts';
import { matchesPath } from '../path-pattern.ts';
import { holdsPort, PROTOCOLS } from '../port-range.ts';
import { AMBIGUOUS_TARGET, PATHS, readTarget, sequenceOfPath, targetOfSequence } from './languages.ts';
import { sequenceCells } from './sequence-cells.ts';

export interface AskedRequest {
  readonly method: string;
  readonly target: string;
  readonly http: HttpRequest;
}

export interface Asked {
  readonly port: number;
  readonly protocol: Protocol;
  /** Null where no rule looks at it. */
  readonly request: AskedRequest | null;
  readonly atMs: number;
}

/** The web's own, and what belongs together, first: that is what a person expects to read. */
const WEB_PORTS: readonly number[] = [443, 80];
const LAST_PORT = 65_535;
const NATURAL: Readonly<Record<number, readonly Protocol[]>> = { 80: ['http', 'https', 'tcp'] };
const USUAL_ORDER: readonly Protocol[] = ['https', 'http', 'tcp'];
const USUAL_METHODS: readonly string[] = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'];
/** RFC 9110 section 9.1 has a method be any token; rules name at most 64 each, so one of these is in none. */
const OTHER_METHOD = 'OTHER';

/** `rules`: all allow rules of either side that cover the host. */
export function requestsTo(rules: readonly Rule[], nowMs: number): readonly Asked[] {
  const requests = httpRequests(rules);
  return timesOf(rules, nowMs).flatMap((atMs) =>
    portsOf(rules).flatMap((port) =>
      protocolsOn(port, rules).flatMap((protocol): readonly Asked[] =>
        (protocol === 'http' ? requests : [null]).map((request) => ({ port, protocol, request, atMs })),
      ),
    ),
  );
}

/** All of them, those first that a rule names for the port. */
function protocolsOn(port: number, rules: readonly Rule[]): readonly Protocol[] {
  const usual = NATURAL[port] ?? USUAL_ORDER;
  const isNamed = (protocol: Protocol): boolean =>
    rules.some(({ ports }) => holdsPort(ports[protocol], port));
  return [...usual.filter(isNamed), ...usual.filter((protocol) => !isNamed(protocol))];
}

/** Now, and each moment from then on at which a rule ends. */
function timesOf(rules: readonly Rule[], nowMs: number): readonly number[] {
  const ends = rules.flatMap(({ untilMs }) => (untilMs !== undefined && untilMs > nowMs ? [untilMs] : []));
  return [...new Set([nowMs, ...ends])].sort((a, b) => a - b);
}

/** Where a range begins, and where it has ended; of ports that no rule tells apart, the first. */
function portsOf(rules: readonly Rule[]): readonly number[] {
  const ranges = rules.flatMap(({ ports }) => PROTOCOLS.flatMap((protocol) => ports[protocol]));
  const edges = [...ranges.map(({ from }) => from), ...ranges.map(({ to }) => to + 1), 1];
  const ports = [...WEB_PORTS, ...edges].filter((port) => port <= LAST_PORT);
  return firstOfEach(ports, (port) =>
    rules.map(({ ports: own }) =>
      PROTOCOLS.map((protocol) => Number(holdsPort(own[protocol], port))).join(''),
    ),
  );
}

function httpRequests(rules: readonly Rule[]): readonly (AskedRequest | null)[] {
  if (rules.every(({ methods, paths }) => methods === undefined && paths === undefined)) return [null];
  const named = rules.flatMap(({ methods }) => methods ?? []);
  const other = firstFree(OTHER_METHOD, new Set(named));
  const methods = firstOfEach([...USUAL_METHODS, ...named, other], (method) =>
    rules.map((rule) => Number(rule.methods?.includes(method) ?? true)),
  );
  const targets = targetsOf(rules);
  return methods.flatMap((method) =>
    targets.map((target) => ({ method, target, http: { method, path: readTarget(target) } })),
  );
}

function firstFree(text: string, taken: ReadonlySet<string>): string {
  return taken.has(text) ? firstFree(`${text}X`, taken) : text;
}

/** One for each set of rules that some path satisfies; and one that is ambiguous, which satisfies no pattern. */
function targetsOf(rules: readonly Rule[]): readonly string[] {
  const patterns = new Map<string, PathPattern>();
  for (const { paths } of rules) for (const path of paths ?? []) patterns.set(path.text, path);
  if (patterns.size === 0) return ['/'];
  const cells = sequenceCells([...patterns.values()].map(sequenceOfPath), null, PATHS);
  const targets = cells.map(({ elements }) => targetOfSequence(elements));
  return firstOfEach([...targets, AMBIGUOUS_TARGET], (target) => {
    const path = readTarget(target);
    return rules.map(({ paths }) =>
      Number(
        paths === undefined || (path.ok && paths.some((pattern) => matchesPath(pattern, path.segments))),
      ),
    );
  });
}

/** Of values that are told apart by nothing, the first. */
export function firstOfEach<T>(
  values: readonly T[],
  tellApart: (value: T) => readonly unknown[],
): readonly T[] {
  const first = new Map<string, T>();
  for (const value of values) {
    const mark = tellApart(value).join(' ');
    if (!first.has(mark)) first.set(mark, value);
  }
  return [...first.values()];
}
