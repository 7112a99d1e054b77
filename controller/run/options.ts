/**
 * The values of `sand run`'s flags: text → typed options, every mistake with what to write instead. Pure.
 */
import type { DnsUpstream } from '../../dns/context.ts';
import { REFUSED_PORTS } from '../../dns/limits.ts';
import { parseUpstreamFlags } from '../../dns/upstream-flag.ts';
import { type GuestUser, ISOLATIONS, type Isolation, SHARES, type Share } from '../backends/backend.ts';
import { LONGEST_GRACE_MS } from '../control/protocol.ts';
import { SandError } from '../errors.ts';

export interface MountFlag {
  readonly source: string;
  /** Null: the same path as on the host. */
  readonly target: string | null;
  readonly writable: boolean;
}

/** `SRC[:DST][:ro|:rw]`. A colon cannot be part of a path here. */
export function parseMountFlag(text: string): MountFlag {
  return parseMount(text, '--mount ');
}

/** `word` is what stands before such a text where it is written, for the messages: `--mount `. */
export function parseMount(text: string, word: string): MountFlag {
  const parts = text.split(':');
  const last = parts.at(-1);
  const access = last === 'ro' || last === 'rw' ? parts.pop() : undefined;
  const [source, target, ...rest] = parts;
  if (source === undefined || source === '' || target === '' || rest.length > 0) {
    throw usage(`${word}${text} does not read as SRC[:DST][:ro]`, `write for example ${word}./data:/data:ro`);
  }
  if (target !== undefined && !target.startsWith('/')) {
    throw usage(
      `${word}${text}: the place in the guest must be an absolute path`,
      `write ${word}${source}:/${target}`,
    );
  }
  return { source, target: target ?? null, writable: access !== 'ro' };
}

export function parseIsolation(text: string): Isolation {
  const isolation = ISOLATIONS.find((one) => one === text);
  if (isolation !== undefined) return isolation;
  throw usage(`--isolation ${text}: there is no such isolation`, `write one of: ${ISOLATIONS.join(', ')}`);
}

/** `WIDTHxHEIGHT`; what reads otherwise the tool would take for none. */
export function parseDisplay(text: string): string {
  if (/^[1-9]\d{2,4}x[1-9]\d{2,4}$/.test(text)) return text;
  throw usage(`--display ${text}: not WIDTHxHEIGHT`, 'write for example --display 1920x1200');
}

export function isVariableName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(text);
}

/** `K=V`, or `K` for the caller's own value. */
export function parseEnvFlag(
  text: string,
  caller: Readonly<Record<string, string | undefined>>,
): { readonly name: string; readonly value: string } {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  if (!isVariableName(name)) {
    throw usage(
      `--env ${name}: not a variable name`,
      'write --env NAME=VALUE, or --env NAME to pass your own value',
    );
  }
  const value = equals < 0 ? caller[name] : text.slice(equals + 1);
  if (value === undefined)
    throw usage(`--env ${name}: the variable is not set here`, `write --env ${name}=VALUE`);
  if (value.includes('\0')) throw usage(`--env ${name}: the value holds a NUL`, 'pass such data as a file');
  return { name, value };
}

/** The last number that is a user's: `nobody`. Beyond it lie ids of containers, and -1, which means none. */
const LAST_ID = 65_534;

/** `UID[:GID]`; the group has the user's number unless told. */
export function parseUserFlag(text: string): GuestUser {
  const [, user, group] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const uid = Number(user ?? Number.NaN);
  const gid = Number(group ?? user ?? Number.NaN);
  if (uid <= LAST_ID && gid <= LAST_ID) return { uid, gid };
  throw usage(
    `--user ${text}: not UID[:GID], each from 0 to ${LAST_ID}`,
    'write for example --user 1000 or --user 0:0',
  );
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
/** setTimeout's own range: a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** `30s`, `10m`, `2h`; a bare number is seconds. Milliseconds. */
export function parseDuration(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const timeoutMs = Math.round(Number(match?.[1]) * (UNITS[match?.[2] ?? 's'] ?? Number.NaN));
  if (!Number.isFinite(timeoutMs) || timeoutMs <= 0 || timeoutMs > LONGEST_MS) {
    throw usage(`${flag} ${text}: not a time`, `write for example ${flag} 90s, ${flag} 10m or ${flag} 2h`);
  }
  return timeoutMs;
}

/** As a duration, or 0 for none. Milliseconds. */
export function parseGrace(text: string): number {
  const graceMs = text === '0' ? 0 : parseDuration('--grace', text);
  if (graceMs <= LONGEST_GRACE_MS) return graceMs;
  throw usage(`--grace ${text}: longer than a day`, 'write for example --grace 1m');
}

export function parseShares(texts: readonly string[]): readonly Share[] {
  const names = texts.flatMap((text) => text.split(','));
  return [...new Set(names)].map((name) => {
    const share = SHARES.find((known) => known === name);
    if (share === undefined)
      throw usage(`--share ${name}: there is no such share`, `write one of: ${SHARES.join(', ')}`);
    return share;
  });
}

/** 0 for any free one. */
export function parseDnsPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port >= 1024 && port <= 65_535) || REFUSED_PORTS.has(port)) {
    throw new SandError(
      'port-refused',
      `--dns-port ${text}: sand never listens there`,
      `write a port from 1024 to 65535 other than ${[...REFUSED_PORTS].join(', ')}, or leave the flag out`,
    );
  }
  return port;
}

/** Every `--dns-upstream`, in order of preference. */
export function parseUpstreams(texts: readonly string[]): readonly DnsUpstream[] {
  const parsed = parseUpstreamFlags(texts);
  if (parsed.ok) return parsed.value;
  throw usage(
    `--dns-upstream ${parsed.at}: ${parsed.reason}`,
    'write for example 192.0.2.53, tls://192.0.2.53#dns.example.com or https://dns.example.com/dns-query',
  );
}

export function usage(message: string, hint: string): SandError {
  return new SandError('usage', message, hint);
}
