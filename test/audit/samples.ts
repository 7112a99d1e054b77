/** One entry of every kind with every field, and small ways to vary them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type {
  AuditEntry,
  AuditEvent,
  ConnectionClose,
  ConnectionDecision,
  DecisionFacts,
  DnsDecision,
  InboundConnection,
  RunEnd,
  RunStart,
  UnplantedAttempt,
} from '../../audit/event.ts';
import { encodeLine, FIRST_PREV, hashLine } from '../../audit/line.ts';

export const START_MS = Date.UTC(2026, 10, 21, 20, 15, 0);
export const POLICY = `sha256:${'ab'.repeat(32)}`;

export const NO_RULE: DecisionFacts = {
  asker: 'guest',
  verdict: 'deny',
  reason: 'no-rule',
  disposition: 'refused',
  rule: null,
  policy: POLICY,
};

export const ALLOWED: DecisionFacts = {
  asker: 'guest',
  verdict: 'allow',
  reason: 'allowed-by-rule',
  disposition: 'forwarded',
  rule: { id: 'web-app/allow:api.example.com', file: '/srv/app/sand.policy.yaml', line: 5 },
  policy: POLICY,
};

export function runStart(more: Partial<RunStart> = {}): RunStart {
  return {
    kind: 'run-start',
    schema: 1,
    run: '20261121-201500-k3f9',
    sand: '0.1.0',
    node: '24.21.0',
    backend: 'linux',
    isolation: 'bubblewrap',
    confinement: 'enforced',
    command: ['npm', 'ci'],
    policy: { name: 'web-app', digest: POLICY, mode: 'enforce', layers: ['preset:strict', './company.yaml'] },
    workdir: '/srv/app',
    ...more,
  };
}

export function dns(more: Partial<DnsDecision> = {}): DnsDecision {
  return {
    kind: 'dns',
    ...NO_RULE,
    transport: 'udp',
    name: 'evil.example',
    type: 'A',
    rcode: 'NXDOMAIN',
    ...more,
  };
}

export function connection(more: Partial<ConnectionDecision> = {}): ConnectionDecision {
  return {
    kind: 'connection',
    ...NO_RULE,
    connection: 1,
    via: 'connect',
    host: 'evil.example',
    port: 443,
    protocol: 'https',
    ...more,
  };
}

export function close(more: Partial<ConnectionClose> = {}): ConnectionClose {
  return {
    kind: 'close',
    address: '203.0.113.7',
    detail: 'the parent proxy of the host does not allow it (403)',
    connection: 1,
    host: 'api.example.com',
    port: 443,
    bytesOut: 1500,
    bytesIn: 2_000_000,
    durationMs: 120,
    ...more,
  };
}

export function inbound(more: Partial<InboundConnection> = {}): InboundConnection {
  return {
    kind: 'inbound',
    connection: 7,
    peer: '127.0.0.1:51234',
    address: '127.0.0.1',
    port: 8080,
    guestPort: 80,
    disposition: 'forwarded',
    ...more,
  };
}

export function unplanted(more: Partial<UnplantedAttempt> = {}): UnplantedAttempt {
  return {
    kind: 'unplanted',
    ...NO_RULE,
    reason: 'port-not-planted',
    transport: 'tcp',
    host: '203.0.113.9',
    port: 25,
    count: 3,
    ...more,
  };
}

export function runEnd(more: Partial<RunEnd> = {}): RunEnd {
  return { kind: 'run-end', exitCode: 0, cause: 'exit', durationMs: 12_345, events: 0, ...more };
}

const PROCESS = { pid: 17, command: 'curl https://evil.example/' };

const TOTALS = {
  denied: 2,
  wouldBeDenied: 0,
  failed: 1,
  allowed: 40,
  muted: 0,
  bytesOut: 1_000,
  bytesIn: 2_000,
  topDenied: [{ host: 'evil.example', port: 443, count: 2 }],
};

/** Every kind, each once with all its optional fields. */
export const FULL_ENTRIES: readonly AuditEntry[] = [
  runStart({
    name: 'web',
    image: { name: './app.tar', digest: 'sha256:0a' },
    before: ['npm ci --token=[redacted]'],
    secrets: ['deploy-key'],
    attribution: 'process',
    key: 'f'.repeat(64),
  }),
  { kind: 'probe', name: 'raw-ip-tcp', passed: true, detail: 'refused by the gateway' },
  dns({
    muted: true,
    detail: 'did you mean **.example?',
    suggestion: '- allow: evil.example',
    rule: { id: 'a/deny:b', file: 'a.yaml', line: 3, because: 'user content' },
    answer: ['198.18.0.1'],
    count: 1,
    process: PROCESS,
  }),
  connection({
    ...ALLOWED,
    muted: false,
    detail: 'd',
    suggestion: 's',
    method: 'GET',
    path: '/v1/items',
    address: '203.0.113.7',
    sni: 'api.example.com',
    alpn: ['h2', 'http/1.1'],
    destination: '198.18.0.1:443',
    count: 1,
    process: PROCESS,
  }),
  close({ reason: 'limit-time', status: 200 }),
  unplanted({ muted: false, detail: 'd', suggestion: 's' }),
  inbound({ disposition: 'refused', reason: 'guest-port-closed', detail: 'd', count: 1 }),
  { kind: 'phase', phase: 'run', number: 2, policy: POLICY, by: 'control' },
  { kind: 'exec', exec: 1, command: ['sh', '-c', 'ls'] },
  { kind: 'exec-end', exec: 1, exitCode: 3, durationMs: 250 },
  {
    kind: 'answer',
    host: 'new.example',
    port: 443,
    protocol: 'https',
    answer: 'once',
    by: 'terminal',
    rule: 'ask/allow:new.example:443',
    policy: POLICY,
    waiting: 2,
    waitedMs: 1200,
  },
  { kind: 'notice', code: 'policy-file-touched', detail: 'd', at: { file: 'a.yaml', line: 1, column: 2 } },
  runEnd({ totals: TOTALS, signature: 'c2lnbmVk' }),
];

/** Entries as the log would give them back: one second apart, chained. */
export function eventsOf(entries: readonly AuditEntry[]): readonly AuditEvent[] {
  return linesOf(entries).map((line) => JSON.parse(line) as AuditEvent);
}

export function linesOf(entries: readonly AuditEntry[]): readonly string[] {
  let prev = FIRST_PREV;
  return entries.map((entry, i) => {
    const ended = entry.kind === 'run-end' ? { ...entry, events: i } : entry;
    const line = encodeLine(ended, { seq: i + 1, timeMs: START_MS + i * 1000, guest: 'g1', prev });
    prev = hashLine(line);
    return line;
  });
}

/** A directory that goes when the test ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sand-audit-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
