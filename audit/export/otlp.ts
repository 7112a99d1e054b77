/**
 * Events as OpenTelemetry log records in OTLP/JSON: each line is one ExportLogsServiceRequest of so many records, as
 * a collector's file receiver reads it and `/v1/logs` takes it. Names are those of the semantic conventions where
 * there are any, else they begin with `sand.`. Pure.
 */
import { parseAddress } from '../../policies/address.ts';
import { escapeJson } from '../escape.ts';
import type { AuditEvent } from '../event.ts';
import { describeEvent } from '../event-text.ts';
import { EXPORT_LIMITS } from '../limits.ts';
import { rowVerdict } from '../summary.ts';
import type { EventEncoder, RunStartEvent } from './encoder.ts';

type Value = string | number | boolean | readonly string[] | null | undefined;
type Attributes = Readonly<Record<string, Value>>;

export function createOtlpEncoder(): EventEncoder {
  let start: RunStartEvent | null = null;
  let records: string[] = [];
  let characters = 0;
  const request = (): string => {
    if (records.length === 0) return '';
    const { resource, scope } = originOf(start);
    const scopeLogs = `{"scope":${JSON.stringify(scope)},"logRecords":[${records.join(',')}]}`;
    const text = `{"resourceLogs":[{"resource":${JSON.stringify(resource)},"scopeLogs":[${scopeLogs}]}]}`;
    records = [];
    characters = 0;
    return `${escapeJson(text)}\n`;
  };
  return {
    begin: () => '',
    event(event) {
      if (event.kind === 'run-start') start = event;
      const record = JSON.stringify(recordOf(event));
      records.push(record);
      characters += record.length;
      const isFull =
        records.length >= EXPORT_LIMITS.recordsPerRequest || characters >= EXPORT_LIMITS.requestCharacters;
      return isFull ? request() : '';
    },
    end: request,
  };
}

/** Where the records come from: the run, and sand. */
function originOf(start: RunStartEvent | null) {
  const resource = {
    'service.name': 'sand',
    'service.version': start?.sand,
    'service.instance.id': start?.run,
    'process.command_args': start?.command,
    'process.working_directory': start?.workdir,
    'container.image.name': start?.image?.name,
    'sand.guest': start?.name ?? start?.run,
    'sand.backend': start?.backend,
    'sand.isolation': start?.isolation,
    'sand.confinement': start?.confinement,
    'sand.policy.name': start?.policy.name,
    'sand.policy.mode': start?.policy.mode,
  };
  return {
    resource: { attributes: attributesOf(resource) },
    scope: { name: 'sand.audit', version: start?.sand },
  };
}

function recordOf(event: AuditEvent) {
  const timeUnixNano = `${Date.parse(event.time)}000000`;
  const [severityNumber, severityText] = severityOf(event);
  return {
    timeUnixNano,
    observedTimeUnixNano: timeUnixNano,
    severityNumber,
    severityText,
    eventName: `sand.audit.${event.kind}`,
    body: { stringValue: describeEvent(event) },
    attributes: attributesOf({
      'sand.seq': event.seq,
      'sand.guest': event.guest,
      'sand.kind': event.kind,
      ...decisionAttributes(event),
      ...ownAttributes(event),
    }),
  };
}

/** INFO 9, WARN 13, ERROR 17. */
function severityOf(event: AuditEvent): readonly [number, string] {
  switch (event.kind) {
    case 'dns':
    case 'connection':
    case 'unplanted':
      return rowVerdict(event) === 'allowed' || event.muted === true ? [9, 'INFO'] : [13, 'WARN'];
    case 'inbound':
      return event.disposition === 'forwarded' ? [9, 'INFO'] : [13, 'WARN'];
    case 'close':
      return event.reason === undefined ? [9, 'INFO'] : [13, 'WARN'];
    case 'notice':
      return [13, 'WARN'];
    case 'probe':
      return event.passed ? [9, 'INFO'] : [17, 'ERROR'];
    default:
      return [9, 'INFO'];
  }
}

function decisionAttributes(event: AuditEvent): Attributes {
  if (event.kind !== 'dns' && event.kind !== 'connection' && event.kind !== 'unplanted') return {};
  const { asker, verdict, disposition, reason, rule, policy, muted, detail, suggestion } = event;
  return {
    'sand.asker': asker,
    'sand.verdict': verdict,
    'sand.disposition': disposition,
    'sand.reason': reason,
    'sand.rule.id': rule?.id,
    'sand.rule.file': rule?.file,
    'sand.rule.line': rule?.line,
    'sand.rule.because': rule?.because,
    'sand.policy.digest': policy,
    'sand.muted': muted,
    'sand.detail': detail,
    'sand.suggestion': suggestion,
    'error.type': rowVerdict(event) === 'failed' ? reason : undefined,
  };
}

function ownAttributes(event: AuditEvent): Attributes {
  switch (event.kind) {
    case 'dns':
      return {
        'dns.question.name': event.name,
        'dns.answers': event.answer,
        'network.transport': event.transport,
        'network.protocol.name': 'dns',
        'sand.dns.type': event.type,
        'sand.dns.rcode': event.rcode,
        'sand.count': event.count,
        ...processAttributes(event.process),
      };
    case 'connection':
      return {
        ...serverAttributes(event.host, event.port),
        'network.transport': 'tcp',
        'network.peer.address': event.address,
        'network.peer.port': event.address === undefined ? undefined : event.port,
        'url.scheme': event.protocol === 'tcp' ? undefined : event.protocol,
        'url.path': event.path,
        ...methodAttributes(event.method),
        'sand.protocol': event.protocol,
        'sand.via': event.via,
        'sand.connection': event.connection,
        'sand.tls.server_name': event.sni,
        'sand.tls.alpn': event.alpn,
        'sand.destination': event.destination,
        'sand.count': event.count,
        ...processAttributes(event.process),
      };
    case 'close':
      return {
        ...serverAttributes(event.host, event.port),
        'network.peer.address': event.address,
        'http.response.status_code': event.status,
        'sand.connection': event.connection,
        'sand.bytes_out': event.bytesOut,
        'sand.bytes_in': event.bytesIn,
        'sand.duration_ms': event.durationMs,
        'sand.detail': event.detail,
        'error.type': event.reason,
      };
    case 'unplanted':
      return {
        ...serverAttributes(event.host, event.port),
        'network.transport': event.transport === 'tcp' || event.transport === 'udp' ? event.transport : null,
        'sand.transport': event.transport,
        'sand.count': event.count,
      };
    case 'inbound':
      return {
        'client.address': event.peer === '' ? undefined : event.peer.replace(/:\d+$/, ''),
        'client.port': Number(/:(\d+)$/.exec(event.peer)?.[1] ?? Number.NaN),
        ...serverAttributes(event.address, event.port),
        'network.transport': 'tcp',
        'sand.connection': event.connection,
        'sand.guest_port': event.guestPort,
        'sand.disposition': event.disposition,
        'sand.reason': event.reason,
        'sand.detail': event.detail,
        'sand.count': event.count,
      };
    default:
      return otherAttributes(event);
  }
}

/** The fields as the log names them: what they hold is sand's alone. */
function otherAttributes(event: AuditEvent): Attributes {
  const { seq: _seq, time: _time, guest: _guest, kind: _kind, prev: _prev, ...fields } = event;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [`sand.${name}`, plainValue(value)]),
  );
}

function plainValue(field: unknown): Value {
  if (typeof field === 'string' || typeof field === 'number' || typeof field === 'boolean') return field;
  if (Array.isArray(field) && field.every((item) => typeof item === 'string')) return field;
  return field === null || field === undefined ? undefined : JSON.stringify(field);
}

function serverAttributes(host: string, port: number): Attributes {
  const address = parseAddress(host);
  const type = address.ok ? (host.includes(':') ? 'ipv6' : 'ipv4') : undefined;
  return { 'server.address': host, 'server.port': port > 0 ? port : undefined, 'network.type': type };
}

const METHODS = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE', 'QUERY'];

/** Methods beyond the known ones are `_OTHER`, as the conventions ask. */
function methodAttributes(method: string | undefined): Attributes {
  if (method === undefined) return {};
  if (METHODS.includes(method)) return { 'http.request.method': method };
  return { 'http.request.method': '_OTHER', 'http.request.method_original': method };
}

/** The guest has a PID namespace of its own. */
function processAttributes(
  process: { readonly pid: number; readonly command: string } | undefined,
): Attributes {
  return { 'process.vpid': process?.pid, 'process.command_line': process?.command };
}

function attributesOf(attributes: Attributes): readonly unknown[] {
  return Object.entries(attributes).flatMap(([key, value]) => {
    const shown = anyValue(value);
    return shown === null ? [] : [{ key, value: shown }];
  });
}

/** A whole number is a string in OTLP/JSON, as 64 bits are in the JSON of protocol buffers. */
function anyValue(value: Value): unknown {
  if (value === undefined || value === null || Number.isNaN(value)) return null;
  switch (typeof value) {
    case 'string':
      return { stringValue: value };
    case 'boolean':
      return { boolValue: value };
    case 'number':
      return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
    default:
      return { arrayValue: { values: value.map((item) => ({ stringValue: item })) } };
  }
}
