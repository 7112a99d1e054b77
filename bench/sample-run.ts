/**
 * A run such as a build makes, of any length and always the same: lookups, connections and their closes, denials in
 * bursts, a few failures. For benchmarks and tests that want a large log.
 */
import type { AuditEntry, DecisionFacts } from '../audit/event.ts';
import { encodeLine, FIRST_PREV, hashLine } from '../audit/line.ts';

const START_MS = Date.UTC(2026, 10, 21, 20, 15, 0);
const POLICY = `sha256:${'5e'.repeat(32)}`;
const FILE = '/srv/app/sand.policy.yaml';

const ALLOWED_HOSTS = [
  'registry.example.org',
  'cdn.example.org',
  'api.example.com',
  'objects.example.net',
  'proxy.example.dev',
  'static.example.dev',
];
const DENIED_HOSTS = [
  'telemetry.example.net',
  'metrics.vendor.example',
  'gist.example.com',
  'paste.example.net',
  'updates.tool.example',
];

export interface SampleOptions {
  readonly mode?: 'enforce' | 'report';
  /** Nothing is denied and nothing fails. */
  readonly allowedOnly?: boolean;
}

/** Lines of a whole sealed log, of which `events` stand between the first and the last; without newlines. */
export function* sampleLines(run: string, events: number, options: SampleOptions = {}): Generator<string> {
  const mode = options.mode ?? 'enforce';
  let prev = FIRST_PREV;
  let seq = 0;
  const next = (entry: AuditEntry, timeMs: number) => {
    seq += 1;
    const line = encodeLine(entry, { seq, timeMs, guest: run, prev });
    prev = hashLine(line);
    return line;
  };
  yield next(startOf(run, mode), START_MS);
  let at = 0;
  for (; at < events; at += 1) yield next(entryAt(at, mode, options.allowedOnly === true), timeAt(at));
  const durationMs = timeAt(at) - START_MS;
  yield next({ kind: 'run-end', exitCode: 0, cause: 'exit', durationMs, events: seq }, timeAt(at));
}

/** Slow at first and then in waves, as installs go. */
function timeAt(at: number): number {
  return START_MS + 400 + Math.floor(at * 17 + 6_000 * Math.sin(at / 400) ** 2);
}

function startOf(run: string, mode: string): AuditEntry {
  return {
    kind: 'run-start',
    schema: 1,
    run,
    sand: '0.1.0',
    node: '24.21.0',
    backend: 'linux',
    isolation: 'bubblewrap',
    confinement: 'enforced',
    command: ['npm', 'ci', '--no-audit', '--no-fund'],
    policy: { name: 'web-app', digest: POLICY, mode, layers: ['preset:strict', FILE] },
    workdir: '/srv/app',
    attribution: 'process',
  };
}

/** In turns of five: a lookup, a connection and its close, and every so often something that is denied or fails. */
function entryAt(at: number, mode: 'enforce' | 'report', allowedOnly: boolean): AuditEntry {
  const turn = Math.floor(at / 5);
  const host = ALLOWED_HOSTS[(turn * 7 + (turn % 11)) % ALLOWED_HOSTS.length] ?? '';
  const connection = turn * 2 + 1;
  const process = { pid: 20 + (turn % 9), command: `node /usr/lib/npm/cli.js ci ${turn % 9}` };
  switch (at % 5) {
    case 0:
      return {
        kind: 'dns',
        ...allowed(turn),
        disposition: 'answered',
        transport: 'udp',
        name: host,
        type: turn % 3 === 0 ? 'AAAA' : 'A',
        rcode: 'NOERROR',
        answer: turn % 3 === 0 ? [] : [`198.18.0.${1 + (turn % 6)}`],
        process,
      };
    case 1:
      return {
        kind: 'connection',
        ...allowed(turn),
        connection,
        via: 'connect',
        host,
        port: 443,
        protocol: 'https',
        address: '203.0.113.7',
        sni: host,
        alpn: ['h2', 'http/1.1'],
        process,
      };
    case 2:
      return {
        kind: 'close',
        connection,
        host,
        port: 443,
        bytesOut: 700 + (turn % 40) * 13,
        bytesIn: 4_000 + ((turn * 7919) % 900_000),
        durationMs: 20 + (turn % 300),
        address: '203.0.113.7',
      };
    case 3:
      return allowedOnly || turn % 6 !== 0
        ? plainRequest(turn, connection + 1)
        : denial(turn, connection + 1, mode);
    default:
      return allowedOnly || turn % 40 !== 7 ? answered(turn, host) : failure(turn, connection + 1);
  }
}

function plainRequest(turn: number, connection: number): AuditEntry {
  return {
    kind: 'connection',
    ...allowed(turn),
    connection,
    via: 'forward',
    host: 'mirror.example.org',
    port: 80,
    protocol: 'http',
    method: 'GET',
    path: `/pool/main/p/package-${turn % 50}.tar.gz`,
    address: '203.0.113.9',
  };
}

function denial(turn: number, connection: number, mode: 'enforce' | 'report'): AuditEntry {
  const host = DENIED_HOSTS[Math.floor(turn / 6) % DENIED_HOSTS.length] ?? '';
  const rule = {
    id: `web-app/deny:${host}`,
    file: FILE,
    line: 14,
    because: 'user content is no place to send a build to',
  };
  const isRuled = host.startsWith('gist');
  return {
    kind: 'connection',
    asker: 'guest',
    verdict: mode === 'report' && !isRuled ? 'allow' : 'deny',
    reason: mode === 'report' && !isRuled ? 'would-be-denied' : isRuled ? 'deny-rule' : 'no-rule',
    disposition: mode === 'report' && !isRuled ? 'forwarded' : 'refused',
    rule: isRuled ? rule : null,
    policy: POLICY,
    connection,
    via: turn % 2 === 0 ? 'connect' : 'transparent',
    host,
    port: 443,
    protocol: 'https',
    ...(isRuled ? {} : { suggestion: `- allow: ${host}` }),
    process: { pid: 41, command: 'node ./node_modules/vendor/postinstall.js' },
    ...(host.startsWith('metrics') ? { muted: true } : {}),
  };
}

function failure(turn: number, connection: number): AuditEntry {
  return {
    kind: 'connection',
    ...allowed(turn),
    verdict: 'allow',
    reason: 'upstream-refused',
    disposition: 'refused',
    connection,
    via: 'connect',
    host: 'flaky.example.org',
    port: 443,
    protocol: 'https',
    detail: '203.0.113.20: ECONNREFUSED',
  };
}

function answered(turn: number, name: string): AuditEntry {
  return {
    kind: 'dns',
    ...allowed(turn),
    reason: 'dns-type-withheld',
    disposition: 'answered',
    transport: 'udp',
    name,
    type: 'HTTPS',
    rcode: 'NOERROR',
  };
}

function allowed(turn: number): DecisionFacts {
  return {
    asker: 'guest',
    verdict: 'allow',
    reason: 'allowed-by-rule',
    disposition: 'forwarded',
    rule: { id: `web-app/allow:host-${turn % 4}`, file: FILE, line: 5 + (turn % 4) },
    policy: POLICY,
  };
}
