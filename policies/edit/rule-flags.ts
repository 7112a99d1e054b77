/**
 * The words of a command line → rules to write: hosts, ports, an end in time, a reason. What a host means is decided
 * as in a file; where the rules go is for `edit.ts`.
 */
import { portsFor, splitPort } from '../allow-flag.ts';
import { holdRange, judgeWildcard } from '../decode-rule.ts';
import { IssueList, NOWHERE } from '../issue.ts';
import { POLICY_LIMITS } from '../limits.ts';
import type { IpRange, Parsed, PathPattern, PortRange, Protocol, Rule, Subject } from '../model.ts';
import { parsePathPattern } from '../path-pattern.ts';
import { DEFAULT_PORTS, joinRanges, NO_PORTS, PROTOCOLS, parsePortRange } from '../port-range.ts';
import { parseInstant } from '../rule-values.ts';
import { formatSubject, parseRangeText, parseSubject } from '../subject.ts';
import type { RuleContent } from './rule-text.ts';

export interface RuleFlags {
  readonly verb: Rule['verb'];
  /** `HOST[:PORT]`, each a name, a pattern, an address or a range. */
  readonly hosts: readonly string[];
  /** `5432`, `6000-6010`, several with commas between. */
  readonly ports: Readonly<Record<Protocol, readonly string[]>>;
  readonly methods: readonly string[];
  readonly paths: readonly string[];
  readonly addresses: readonly string[];
  readonly forTime: string | null;
  readonly until: string | null;
  readonly because: string | null;
}

export const NO_FLAGS: Omit<RuleFlags, 'verb' | 'hosts'> = {
  ports: { http: [], https: [], tcp: [] },
  methods: [],
  paths: [],
  addresses: [],
  forTime: null,
  until: null,
  because: null,
};

interface NamedHost {
  readonly subject: Subject;
  readonly port: number | null;
}

/** One rule for all hosts of a kind on the same ports, in the order of the command line. */
export function readRuleFlags(flags: RuleFlags, nowMs: number): Parsed<readonly RuleContent[]> {
  const issues = new IssueList(`sand policy ${flags.verb}`);
  const hosts = flags.hosts.flatMap((text) => readHost(text, flags.verb, issues));
  const terms = readTerms(flags, nowMs, issues);
  const named = readNamedPorts(flags, issues);
  if (flags.verb !== 'allow') refuseTerms(flags, issues);
  const groups = new Map<string, { ports: RuleContent['ports']; subjects: Subject[] }>();
  for (const { subject, port } of hosts) {
    if (named !== null && port !== null) {
      issues.error(
        NOWHERE,
        `${formatSubject(subject)} has a port, and flags name others`,
        'Name the ports once.',
      );
    }
    if (subject.kind === 'host-loopback' && flags.verb === 'allow' && port === null && named === null) {
      issues.error(NOWHERE, 'host.sand is opened port by port', 'Write host.sand:5432.');
    }
    const ports = flags.verb === 'allow' ? (named ?? portsFor(port)) : NO_PORTS;
    const key = `${subject.kind} ${JSON.stringify(ports)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ports, subjects: [subject] });
    else if (!group.subjects.some((one) => formatSubject(one) === formatSubject(subject))) {
      group.subjects.push(subject);
    }
  }
  if (issues.failed) return { ok: false, issues: issues.issues };
  const rules = [...groups.values()].map((group) => ({
    verb: flags.verb,
    metadata: false,
    ...terms,
    ...group,
  }));
  return { ok: true, value: rules, warnings: issues.issues };
}

function readHost(text: string, verb: Rule['verb'], issues: IssueList): readonly NamedHost[] {
  const { host, port } = splitPort(text);
  const subject = parseSubject(host);
  if (!subject.ok) {
    issues.error(NOWHERE, subject.message, subject.hint);
    return [];
  }
  if (verb !== 'allow' && port !== null) {
    issues.error(NOWHERE, `${verb} covers every port of ${host}`, 'Write the host without a port.');
  }
  judgeWildcard({ value: subject.value, at: NOWHERE }, issues);
  if (subject.value.kind === 'range' && verb === 'allow')
    holdRange(subject.value.range, NOWHERE, false, issues);
  return [{ subject: subject.value, port }];
}

type Terms = Pick<RuleContent, 'addresses' | 'because' | 'untilMs' | 'methods' | 'paths'>;

function readTerms(flags: RuleFlags, nowMs: number, issues: IssueList): Terms {
  const untilMs = readEnd(flags, nowMs, issues);
  const paths = flags.paths.flatMap((text) => readPath(text, issues));
  for (const method of flags.methods) {
    if (!/^[A-Z][A-Z0-9-]{0,31}$/.test(method))
      issues.error(NOWHERE, `"${method}" is no method`, 'Write it in capitals: --method GET.');
  }
  return {
    addresses: flags.addresses.length === 0 ? null : readAddresses(flags.addresses, issues),
    because: readReason(flags.because, issues),
    ...(untilMs === null ? {} : { untilMs }),
    ...(flags.methods.length === 0 ? {} : { methods: [...new Set(flags.methods)] }),
    ...(paths.length === 0 ? {} : { paths }),
  };
}

function readPath(text: string, issues: IssueList): readonly PathPattern[] {
  const pattern = parsePathPattern(text);
  if (pattern.ok) return [pattern.value];
  issues.error(NOWHERE, pattern.message, pattern.hint);
  return [];
}

function readAddresses(texts: readonly string[], issues: IssueList): readonly IpRange[] {
  const ranges = texts.flatMap((text) => {
    const range = parseRangeText(text);
    if (range.ok) return [range.value];
    issues.error(NOWHERE, range.message, range.hint);
    return [];
  });
  return [...new Set(ranges)].sort();
}

/** Null where no flag names a port. */
function readNamedPorts(flags: RuleFlags, issues: IssueList): RuleContent['ports'] | null {
  if (PROTOCOLS.every((protocol) => flags.ports[protocol].length === 0)) {
    // Methods and paths are read of plain HTTP only, so nothing else is meant.
    return flags.methods.length + flags.paths.length === 0 ? null : { ...NO_PORTS, http: DEFAULT_PORTS.http };
  }
  const of = (protocol: Protocol): readonly PortRange[] =>
    joinRanges(
      flags.ports[protocol].flatMap((text) =>
        text.split(',').flatMap((part) => {
          const range = parsePortRange(part.trim());
          if (range !== null) return [range];
          const hint = `Write --${protocol} 8443, or --${protocol} 6000-6010.`;
          issues.error(NOWHERE, `"${part}" is no port from 1 to 65535`, hint);
          return [];
        }),
      ),
    );
  return { http: of('http'), https: of('https'), tcp: of('tcp') };
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Longer than a year is for ever, which needs no flag. */
const LONGEST_MS = 366 * 86_400_000;

/** In whole seconds, as `until` is written. */
function readEnd({ forTime, until }: RuleFlags, nowMs: number, issues: IssueList): number | null {
  if (forTime !== null && until !== null) {
    issues.error(NOWHERE, '--for and --until both say when it ends', 'Write one of them.');
    return null;
  }
  if (forTime !== null) {
    const match = /^(\d{1,9})([smhd])$/.exec(forTime);
    const ms = Number(match?.[1]) * (UNITS_MS[match?.[2] ?? ''] ?? Number.NaN);
    if (ms > 0 && ms <= LONGEST_MS) return Math.floor((nowMs + ms) / 1000) * 1000;
    issues.error(
      NOWHERE,
      `--for ${forTime} is no time up to a year`,
      'Write for example --for 30m or --for 7d.',
    );
    return null;
  }
  if (until === null) return null;
  const ms = parseInstant(until);
  if (ms === null) {
    issues.error(
      NOWHERE,
      `"${until}" is no point in time`,
      'Write it as 2027-01-31T18:00:00Z, with a time zone.',
    );
  } else if (ms <= nowMs) {
    issues.error(NOWHERE, `${until} has passed, so the rule would allow nothing`, 'Name a time to come.');
  }
  return ms;
}

function readReason(text: string | null, issues: IssueList): string | null {
  if (text === null) return null;
  const most = POLICY_LIMITS.becauseCharacters;
  if (text === '' || text.length > most || /[\p{C}\p{Zl}\p{Zp}]/u.test(text)) {
    issues.error(
      NOWHERE,
      `--because is one line of 1 to ${most} visible characters`,
      'Write a short reason.',
    );
  }
  return text;
}

function refuseTerms(flags: RuleFlags, issues: IssueList): void {
  const given: readonly (readonly [string, boolean])[] = [
    ['--for', flags.forTime !== null],
    ['--until', flags.until !== null],
    ['--method', flags.methods.length > 0],
    ['--path', flags.paths.length > 0],
    ['--address', flags.addresses.length > 0],
    ...PROTOCOLS.map((protocol) => [`--${protocol}`, flags.ports[protocol].length > 0] as const),
  ];
  for (const [flag, isGiven] of given) {
    if (isGiven)
      issues.error(
        NOWHERE,
        `${flag} belongs to allow; ${flags.verb} covers everything`,
        `Leave ${flag} out.`,
      );
  }
}
