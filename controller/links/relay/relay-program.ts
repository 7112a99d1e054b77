/**
 * The words of the guest's relay: the arguments of each of its sub-commands, and what each prints, as values. Pure. What is
 * parsed here came out of a guest: it is bounded, and what does not fit is null, never a throw.
 */

/** Where the relay and the host's sockets lie in a guest: at the top level, since /run is a link in some images. */
export const RELAY_PLACES = {
  folder: '/.sand/bin',
  program: '/.sand/bin/sand-relay',
  proxySocket: '/.sand/proxy.sock',
  dnsSocket: '/.sand/dns.sock',
} as const;

/** Where tools of the guest find their proxy. */
export const RELAY_PROXY = { address: '127.0.0.1', port: 3128 } as const;

/** Bounds that the program holds too (guest/relay.h); beyond them it refuses its arguments. */
export const RELAY_LIMITS = {
  /** Ports planted at a time. */
  ports: 544,
  /** Paths held or protected. */
  paths: 256,
  /** Attempts of one `probe`. */
  attempts: 160,
  /** Characters of one output of the program that are read; `tried` and `probe` stay far below. */
  outputCharacters: 262_144,
  /** Lines of one output. */
  lines: 4_096,
} as const;

export type RelayMode = 'redirect' | 'listen' | 'loopback';

/** In this order they are mounted, so a protected path may lie in a held one. */
export type RelayHold =
  | { readonly path: string; readonly access: 'held' | 'protected' }
  /** A file of the guest that shows at another path of it as well; what is not there is made. */
  | { readonly path: string; readonly access: 'placed'; readonly source: string };

export function serveArguments(plan: {
  readonly ports: readonly number[];
  readonly holds: readonly RelayHold[];
}): readonly string[] {
  return [
    'serve',
    ...plan.ports.flatMap((port) => ['--port', String(port)]),
    ...plan.holds.flatMap(holdArguments),
  ];
}

function holdArguments(hold: RelayHold): readonly string[] {
  if (hold.access === 'placed') return ['--place', hold.source, hold.path];
  return [hold.access === 'held' ? '--hold' : '--protect', hold.path];
}

/** The prefix by which a variable reaches the command and none of the relay's own. */
const VARIABLE_PREFIX = 'SANDENV_';

/** As the guest's process gets them; the program takes the prefix off. */
export function relayEnvironment(
  variables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [VARIABLE_PREFIX + name, value]),
  );
}

export function runArguments(plan: {
  /** 1 to 63 letters, digits, `_`, `.` or `-`. */
  readonly id: string;
  /** `UID`, `UID:GID`, `name`, `name:group`, or empty for root. */
  readonly user: string;
  readonly workdir: string | null;
  readonly command: readonly string[];
}): readonly string[] {
  const workdir = plan.workdir === null ? [] : ['--workdir', plan.workdir];
  return ['run', '--id', plan.id, '--user', plan.user, ...workdir, '--', ...plan.command];
}

export const readyArguments: readonly string[] = ['ready'];
export const modeArguments: readonly string[] = ['mode'];
export const triedArguments: readonly string[] = ['tried'];

export function statusArguments(id: string): readonly string[] {
  return ['status', id];
}

export type RelaySignal =
  | 'HUP'
  | 'INT'
  | 'QUIT'
  | 'TERM'
  | 'KILL'
  | 'USR1'
  | 'USR2'
  | 'TSTP'
  | 'CONT'
  | 'WINCH';

export function signalArguments(id: string, signal: RelaySignal): readonly string[] {
  return ['signal', id, signal];
}

export function plantArguments(ports: readonly number[]): readonly string[] {
  return ['plant', ...ports.map(String)];
}

export function dialArguments(port: number): readonly string[] {
  return ['dial', String(port)];
}

/** `user` as for `run`, from the guest's own passwd. */
export interface RelayPlace {
  readonly path: string;
  readonly mode: number;
  readonly user: string;
}

export function putArguments({ path, mode, user }: RelayPlace): readonly string[] {
  return ['put', path, formatMode(mode), user];
}

export function tmpfsArguments({ path, mode, user }: RelayPlace): readonly string[] {
  return ['tmpfs', path, formatMode(mode), user];
}

function formatMode(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** Prints a file of the guest; an exit code other than 0 says that there is none, or that it is too long. */
export function getArguments(path: string): readonly string[] {
  return ['get', path];
}

export const probeArguments: readonly string[] = ['probe'];

/**
 * One line each: `tcp ADDRESS PORT`, `ask SERVER NAME`, `send PLACE PORT HEX`, `try NAME [ARGUMENT]`, or what is to be listed. A
 * server or place is an address, the guest's own `resolver` or `proxy`, or `name:NAME` as that resolver has it.
 */
export type RelayAttempt =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'ask'; readonly server: string; readonly name: string }
  /** `port` is nothing to `proxy`, which has its own. */
  | { readonly kind: 'send'; readonly place: string; readonly port: number; readonly bytes: Uint8Array }
  /** `argument`: one word, or two with a space between. */
  | { readonly kind: 'try'; readonly name: string; readonly argument: string | null }
  | { readonly kind: 'list'; readonly what: 'interfaces' | 'routes' | 'status' | 'mounts' };

export function formatAttempts(attempts: readonly RelayAttempt[]): string {
  return attempts.map((attempt) => `${formatAttempt(attempt)}\n`).join('');
}

export function formatAttempt(attempt: RelayAttempt): string {
  if (attempt.kind === 'tcp') return `tcp ${attempt.address} ${attempt.port}`;
  if (attempt.kind === 'ask') return `ask ${attempt.server} ${attempt.name}`;
  if (attempt.kind === 'send')
    return `send ${attempt.place} ${attempt.port} ${Buffer.from(attempt.bytes).toString('hex')}`;
  if (attempt.kind === 'list') return attempt.what;
  return attempt.argument === null ? `try ${attempt.name}` : `try ${attempt.name} ${attempt.argument}`;
}

/** Null where it is longer than the program ever prints, or does not end with its line. */
export function linesOf(output: string): readonly string[] | null {
  if (output.length > RELAY_LIMITS.outputCharacters) return null;
  if (output === '') return [];
  if (!output.endsWith('\n')) return null;
  const lines = output.slice(0, -1).split('\n');
  return lines.length > RELAY_LIMITS.lines ? null : lines;
}

function onlyLine(output: string): string | null {
  const lines = linesOf(output);
  return lines?.length === 1 ? (lines[0] ?? null) : null;
}

/** Decimal without a sign or leading zeros, up to `most`. */
function parseNumber(text: string | undefined, most: number): number | null {
  if (text === undefined || !/^(0|[1-9]\d{0,15})$/.test(text)) return null;
  const value = Number(text);
  return value <= most ? value : null;
}

function isMode(text: string): text is RelayMode {
  return text === 'redirect' || text === 'listen' || text === 'loopback';
}

export function parseMode(output: string): RelayMode | null {
  const line = onlyLine(output);
  return line !== null && isMode(line) ? line : null;
}

/** The output of `ready`; null where the guest is not. */
export function parseReady(output: string): RelayMode | null {
  const line = onlyLine(output);
  return line?.startsWith('ready ') ? parseMode(`${line.slice('ready '.length)}\n`) : null;
}

export type RelayStatus =
  | { readonly state: 'exited'; readonly code: number }
  | { readonly state: 'running' }
  | { readonly state: 'unknown' };

export function parseStatus(output: string): RelayStatus | null {
  const line = onlyLine(output);
  if (line === 'running' || line === 'unknown') return { state: line };
  if (line === null || !line.startsWith('exited ')) return null;
  const code = parseNumber(line.slice('exited '.length), 255);
  return code === null ? null : { state: 'exited', code };
}

/** The output of `signal`: `sent`, or the command's state where there was nothing to send it to. */
export function parseSignal(output: string): { readonly state: 'sent' } | RelayStatus | null {
  return onlyLine(output) === 'sent' ? { state: 'sent' } : parseStatus(output);
}

/** What a guest tried at an address of the outside that nobody planted; it was refused by the guest's own kernel. */
export interface RelayTried {
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly address: string;
  /** 0 for icmp. */
  readonly port: number;
  readonly count: number;
}

export interface RelayTriedList {
  readonly tried: readonly RelayTried[];
  /** Tries at destinations that the program's table had no room for. */
  readonly others: number;
}

const ADDRESS = /^[0-9a-f.:]{2,45}$/;

export function parseTried(output: string): RelayTriedList | null {
  const tried: RelayTried[] = [];
  let others = 0;
  for (const line of linesOf(output) ?? [' ']) {
    const words = line.split(' ');
    const [protocol, address, port, count] = words;
    if (protocol === 'others' && words.length === 2) {
      const more = parseNumber(address, Number.MAX_SAFE_INTEGER);
      if (more === null) return null;
      others += more;
      continue;
    }
    const portNumber = parseNumber(port, 65_535);
    const times = parseNumber(count, Number.MAX_SAFE_INTEGER);
    if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'icmp') return null;
    if (words.length !== 4 || address === undefined || !ADDRESS.test(address)) return null;
    if (portNumber === null || times === null) return null;
    tried.push({ protocol, address, port: portNumber, count: times });
  }
  return { tried, others };
}

/** What the first bytes of `dial` say; null while there are too few, and of what is neither. */
export type DialOpening =
  | { readonly state: 'connected'; readonly rest: Uint8Array }
  | { readonly state: 'refused'; readonly detail: string }
  | { readonly state: 'invalid' };

const DIAL_DETAIL_BYTES = 1_024;

export function parseDial(bytes: Uint8Array): DialOpening | null {
  if (bytes.length === 0) return null;
  if (bytes[0] === 1) return { state: 'connected', rest: bytes.subarray(1) };
  if (bytes[0] !== 0) return { state: 'invalid' };
  const end = bytes.indexOf(0x0a);
  if (end < 0) return bytes.length > DIAL_DETAIL_BYTES ? { state: 'invalid' } : null;
  const text = Buffer.from(bytes.subarray(1, Math.min(end, DIAL_DETAIL_BYTES))).toString('latin1');
  return { state: 'refused', detail: text.replaceAll(/[^\x20-\x7e]/g, '?') };
}

export type RelayObservation =
  | {
      readonly kind: 'tcp';
      readonly address: string;
      readonly port: number;
      readonly outcome: 'nobody' | 'silent' | 'answered' | 'timeout' | 'died';
      /** With control characters and all that is not ASCII as `\xHH`. */
      readonly answer: string;
    }
  | {
      readonly kind: 'ask';
      readonly server: string;
      readonly name: string;
      readonly outcome: 'answered' | 'not-found' | 'refused' | 'timeout' | 'died';
      readonly addresses: readonly string[];
    }
  | {
      readonly kind: 'send';
      readonly outcome: 'nobody' | 'silent' | 'answered' | 'timeout' | 'died';
      /** As of `tcp`. */
      readonly answer: string;
    }
  | {
      readonly kind: 'try';
      readonly name: string;
      /** As it was asked for; null where it takes none. */
      readonly argument: string | null;
      /** `worked` is the finding; an errno says how it was refused. */
      readonly outcome: 'worked' | 'failed' | 'timeout' | 'died';
      readonly errno: number;
    }
  | { readonly kind: 'interface' | 'route' | 'mount'; readonly text: string }
  | { readonly kind: 'status'; readonly name: string; readonly value: string };

/** Null where the output is cut short, or any line of it is not one that the program prints. */
export function parseProbe(output: string): readonly RelayObservation[] | null {
  const lines = linesOf(output);
  if (lines === null || lines.at(-1) !== 'end') return null;
  const found = lines.slice(0, -1).map(parseObservation);
  return found.every((observation) => observation !== null) ? found : null;
}

export function parseObservation(line: string): RelayObservation | null {
  if (!/^[\x20-\x7e]{1,4095}$/.test(line)) return null;
  const [kind] = line.split(' ', 1);
  if (kind === 'tcp') return parseConnect(line);
  if (kind === 'ask') return parseAsk(line);
  if (kind === 'send') return parseSend(line);
  if (kind === 'try') return parseTry(line);
  const text = line.slice((kind?.length ?? 0) + 1);
  if (text === '') return null;
  if (kind === 'interface' || kind === 'route' || kind === 'mount') return { kind, text };
  const status = /^status (\w+) (.*)$/.exec(line);
  return status === null ? null : { kind: 'status', name: status[1] ?? '', value: (status[2] ?? '').trim() };
}

function parseConnect(line: string): RelayObservation | null {
  const match = /^tcp (\S+) (\d+) (nobody|silent|answered|timeout|died)(?: (.*))?$/.exec(line);
  const port = parseNumber(match?.[2], 65_535);
  const outcome = match?.[3];
  if (match === null || port === null || !ADDRESS.test(match[1] ?? '')) return null;
  if (outcome !== 'answered' && match[4] !== undefined) return null;
  return {
    kind: 'tcp',
    address: match[1] ?? '',
    port,
    outcome: outcome as 'nobody' | 'silent' | 'answered' | 'timeout' | 'died',
    answer: match[4] ?? '',
  };
}

function parseAsk(line: string): RelayObservation | null {
  const [, server = '', name = '', outcome = '', ...addresses] = line.split(' ');
  const known = ['answered', 'not-found', 'refused', 'timeout', 'died'] as const;
  const found = known.find((one) => one === outcome);
  if (found === undefined || !ADDRESS.test(server) || !addresses.every((one) => ADDRESS.test(one)))
    return null;
  if ((found === 'answered') !== addresses.length > 0) return null;
  return { kind: 'ask', server, name, outcome: found, addresses };
}

/** One that did not end by itself is told by its own line. */
function parseSend(line: string): RelayObservation | null {
  const match = /^send (?:(nobody|silent|answered)(?: (.*))?|\S+ \d+ [0-9a-f]* (timeout|died))$/.exec(line);
  if (match === null || (match[1] !== 'answered' && match[2] !== undefined)) return null;
  const outcome = (match[1] ?? match[3]) as 'nobody' | 'silent' | 'answered' | 'timeout' | 'died';
  return { kind: 'send', outcome, answer: match[2] ?? '' };
}

function parseTry(line: string): RelayObservation | null {
  const match = /^try ([a-z0-9-]+)(?: (\S+))?(?: \S+)? (?:(ok)|errno (\d+)|(timeout|died))$/.exec(line);
  if (match === null) return null;
  const what = { kind: 'try', name: match[1] ?? '', argument: match[2] ?? null } as const;
  if (match[3] !== undefined) return { ...what, outcome: 'worked', errno: 0 };
  if (match[5] !== undefined) return { ...what, outcome: match[5] as 'timeout' | 'died', errno: 0 };
  const errno = parseNumber(match[4], 4_095);
  return errno === null || errno === 0 ? null : { ...what, outcome: 'failed', errno };
}
