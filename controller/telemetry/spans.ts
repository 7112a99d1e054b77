/**
 * Audit events in, spans out: the run, each command in it, each connection under OpenTelemetry's names for it. Decides what a
 * span is and what is an error; nothing is in a span that is not in the log. Pure but for the spans that are open.
 */
import type { AuditEntry, ConnectionClose, ConnectionDecision } from '../../audit/event.ts';
import type { Attributes, Span } from './otlp.ts';
import type { TraceParent } from './settings.ts';

/** Open spans: above the connections that a gateway carries at a time. */
const MAX_OPEN = 65_536;

export interface SpanSource {
  /** What has ended with this event. `timeMs` is since the epoch. */
  add(entry: AuditEntry, timeMs: number): readonly Span[];
}

type Opened = Omit<Span, 'endMs' | 'error'>;

/** `randomHex` gives that many characters. */
export function createSpanSource(
  parent: TraceParent | null,
  randomHex: (characters: number) => string,
): SpanSource {
  const traceId = parent?.traceId ?? randomHex(32);
  const runSpan = randomHex(16);
  const connections = new Map<number, Opened>();
  const commands = new Map<number, Opened>();
  let run: Opened | null = null;
  const open = (name: string, kind: Span['kind'], startMs: number, attributes: Attributes): Opened => ({
    traceId,
    spanId: randomHex(16),
    parentSpanId: runSpan,
    name,
    kind,
    startMs,
    attributes,
  });
  return {
    add(entry, timeMs) {
      switch (entry.kind) {
        case 'run-start': {
          const spanId = runSpan;
          run = {
            ...open('sand run', 'internal', timeMs, runAttributes(entry)),
            spanId,
            parentSpanId: parent?.spanId ?? null,
          };
          return [];
        }
        case 'exec': {
          const attributes = { 'process.command_args': entry.command, 'sand.exec': entry.exec };
          if (commands.size < MAX_OPEN)
            commands.set(entry.exec, open('sand exec', 'internal', timeMs, attributes));
          return [];
        }
        case 'exec-end':
          return ended(
            commands,
            entry.exec,
            timeMs,
            { 'process.exit.code': entry.exitCode },
            exitError(entry.exitCode),
          );
        case 'connection': {
          const span = open(nameOf(entry), 'client', timeMs, connectionAttributes(entry));
          if (entry.disposition === 'forwarded') {
            if (connections.size < MAX_OPEN) connections.set(entry.connection, span);
            return [];
          }
          const attributes = { ...span.attributes, 'error.type': entry.reason };
          return [
            {
              ...span,
              attributes,
              endMs: timeMs,
              error: `${entry.reason}${entry.detail === undefined ? '' : `: ${entry.detail}`}`,
            },
          ];
        }
        case 'close':
          return ended(connections, entry.connection, timeMs, closeAttributes(entry), entry.reason ?? null);
        case 'run-end': {
          if (run === null) return [];
          const attributes = {
            ...run.attributes,
            'process.exit.code': entry.exitCode,
            'sand.cause': entry.cause,
          };
          const isError = entry.exitCode !== 0 && entry.cause !== 'stop';
          return [
            {
              ...run,
              attributes,
              endMs: timeMs,
              error: isError ? `${entry.cause}, exit code ${entry.exitCode}` : null,
            },
          ];
        }
        default:
          return [];
      }
    },
  };
}

function ended(
  spans: Map<number, Opened>,
  id: number,
  endMs: number,
  more: Attributes,
  error: string | null,
): readonly Span[] {
  const span = spans.get(id);
  if (span === undefined) return [];
  spans.delete(id);
  const attributes = { ...span.attributes, ...more, ...(error === null ? {} : { 'error.type': error }) };
  return [{ ...span, attributes, endMs, error }];
}

function exitError(exitCode: number): string | null {
  return exitCode === 0 ? null : `exit code ${exitCode}`;
}

/** Of few values, as names of spans are to be: no path and no host. */
function nameOf({ method, via }: ConnectionDecision): string {
  return method === undefined ? via : method.slice(0, 32);
}

function runAttributes(entry: Extract<AuditEntry, { kind: 'run-start' }>): Attributes {
  const { run, name = run, backend, isolation, confinement, command, policy } = entry;
  return {
    'sand.run': run,
    'sand.guest': name,
    'sand.backend': backend,
    'sand.isolation': isolation,
    'sand.confinement': confinement,
    'sand.policy.name': policy.name,
    'sand.policy.digest': policy.digest,
    'sand.policy.mode': policy.mode,
    'process.command_args': command,
  };
}

function connectionAttributes(entry: ConnectionDecision): Attributes {
  const { host, port, protocol, method, path, address, sni, destination, process, rule } = entry;
  return {
    'server.address': host,
    'server.port': port,
    'network.transport': 'tcp',
    ...(protocol === 'http' ? { 'network.protocol.name': 'http' } : {}),
    ...(method === undefined ? {} : { 'http.request.method': method }),
    ...(path === undefined ? {} : { 'url.path': path }),
    ...(sni === undefined ? {} : { 'tls.client.server_name': sni }),
    ...(address === undefined ? {} : { 'network.peer.address': address }),
    ...(destination === undefined ? {} : { 'sand.destination': destination }),
    ...(process === undefined ? {} : { 'process.pid': process.pid, 'process.command_line': process.command }),
    'sand.connection': entry.connection,
    'sand.via': entry.via,
    'sand.verdict': entry.verdict,
    'sand.disposition': entry.disposition,
    'sand.reason': entry.reason,
    ...(rule === null ? {} : { 'sand.rule.id': rule.id }),
    ...(entry.count === undefined ? {} : { 'sand.count': entry.count }),
  };
}

function closeAttributes({ bytesOut, bytesIn, status, address }: ConnectionClose): Attributes {
  return {
    'sand.bytes.out': bytesOut,
    'sand.bytes.in': bytesIn,
    ...(status === undefined ? {} : { 'http.response.status_code': status }),
    ...(address === undefined ? {} : { 'network.peer.address': address }),
  };
}
