/** One event of the log as one entry of the page: which fields, in which words. Pure. */
import type { AuditEvent, ConnectionClose, DecisionFacts, ProcessFact } from '../event.ts';
import { formatAuthority } from '../phrases.ts';
import { howOf, rowVerdict } from '../summary.ts';
import type { PageClose, PageEvent } from './model.ts';

/** Every kind but `close`, which is told with the connection that it ends. */
export type EntryEvent = Exclude<AuditEvent, { readonly kind: 'close' }>;

type Fact = readonly [string, string];
type Part = Partial<Omit<PageEvent, 'run' | 'seq' | 'timeMs' | 'kind'>>;

export function entryOf(event: EntryEvent, run: number, close: ConnectionClose | null = null): PageEvent {
  const part = partOf(event);
  return {
    run,
    seq: event.seq,
    timeMs: Date.parse(event.time),
    kind: event.kind,
    verdict: null,
    muted: false,
    asker: null,
    host: '',
    port: null,
    how: event.kind,
    text: '',
    reason: null,
    rule: null,
    count: 1,
    detail: null,
    suggestion: null,
    process: null,
    facts: [],
    ...part,
    ...(close === null ? { close: null } : closed(part.facts ?? [], close)),
  };
}

function partOf(event: EntryEvent): Part {
  switch (event.kind) {
    case 'dns':
      return {
        ...decided(event),
        ...processOf(event),
        host: event.name,
        how: 'dns',
        text: [event.type, event.rcode, ...(event.answer ?? [])].join(' '),
        count: event.count ?? 1,
        facts: [['transport', event.transport], ...policyOf(event)],
      };
    case 'connection':
      return {
        ...decided(event),
        ...processOf(event),
        host: event.host,
        port: event.port,
        how: howOf(event),
        text: event.method === undefined ? '' : `${event.method} ${event.path ?? ''}`.trimEnd(),
        count: event.count ?? 1,
        facts: [
          ['via', event.via],
          ...factOf('vetted address', event.address),
          ...factOf('TLS server name', event.sni),
          ...factOf('ALPN', event.alpn?.join(', ')),
          ...factOf('original destination', event.destination),
          ...policyOf(event),
        ],
      };
    case 'unplanted':
      return {
        ...decided(event),
        host: event.host,
        port: event.port,
        how: event.transport,
        count: event.count,
        facts: policyOf(event),
      };
    case 'inbound':
      return {
        host: event.peer,
        text: `${event.disposition === 'forwarded' ? '' : 'refused: '}${formatAuthority({ host: event.address, port: event.port })} to guest port ${event.guestPort}`,
        reason: event.reason ?? null,
        count: event.count ?? 1,
        detail: event.detail ?? null,
      };
    case 'answer':
      return {
        host: event.host,
        port: event.port,
        text: `${event.answer}, by ${event.by}; ${event.waiting} waited ${event.waitedMs} ms`,
        facts: [
          ['rule', event.rule],
          ['policy', event.policy],
        ],
      };
    default:
      return toldOf(event);
  }
}

/** Of what asks for nothing. */
function toldOf(
  event: Exclude<EntryEvent, { kind: 'dns' | 'connection' | 'unplanted' | 'inbound' | 'answer' }>,
): Part {
  switch (event.kind) {
    case 'run-start':
      return { text: event.command.join(' '), facts: [['policy', event.policy.digest]] };
    case 'probe':
      return { text: `${event.name}: ${event.passed ? 'passed' : 'failed'}`, detail: event.detail };
    case 'phase':
      return {
        text: `${event.phase} begins (${event.by})`,
        facts: [['policy', event.policy]],
      };
    case 'exec':
      return { text: event.command.join(' '), facts: [['command', String(event.exec)]] };
    case 'exec-end':
      return { text: `command ${event.exec} ended with ${event.exitCode} after ${event.durationMs} ms` };
    case 'notice':
      return {
        text: event.code,
        detail: event.detail,
        facts: event.at === undefined ? [] : [['at', `${event.at.file}:${event.at.line}`]],
      };
    case 'run-end':
      return {
        text: `exit code ${event.exitCode} (${event.cause})`,
        facts: [['events', String(event.events)]],
      };
  }
}

function decided(event: DecisionFacts): Part {
  return {
    verdict: rowVerdict(event),
    muted: event.muted === true,
    asker: event.asker,
    reason: event.reason,
    rule: event.rule,
    detail: event.detail ?? null,
    suggestion: event.suggestion ?? null,
  };
}

function processOf(event: { readonly process?: ProcessFact }): Part {
  return { process: event.process ?? null };
}

function policyOf(event: DecisionFacts): readonly Fact[] {
  return [['policy', event.policy]];
}

function factOf(label: string, value: string | undefined): readonly Fact[] {
  return value === undefined ? [] : [[label, value]];
}

function closed(facts: readonly Fact[], close: ConnectionClose): Pick<PageEvent, 'close' | 'facts'> {
  const told: PageClose = {
    bytesOut: close.bytesOut,
    bytesIn: close.bytesIn,
    durationMs: close.durationMs,
    reason: close.reason ?? null,
    detail: close.detail ?? null,
  };
  return {
    close: told,
    facts: [
      ...facts,
      ...factOf('connected to', close.address),
      ...factOf('status', close.status?.toString()),
    ],
  };
}
