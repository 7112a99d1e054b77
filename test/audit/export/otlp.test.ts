import { expect, test } from 'vitest';
import type { AuditEntry, AuditEvent } from '../../../audit/event.ts';
import { createOtlpEncoder } from '../../../audit/export/otlp.ts';
import { EXPORT_LIMITS } from '../../../audit/limits.ts';
import { expectGolden } from '../golden.ts';
import { ALLOWED, connection, eventsOf, FULL_ENTRIES, inbound, runStart } from '../samples.ts';

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface LogRecord {
  readonly timeUnixNano: string;
  readonly observedTimeUnixNano: string;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly eventName: string;
  readonly body: { readonly stringValue: string };
  readonly attributes: readonly KeyValue[];
}

interface Request {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeLogs: readonly {
      readonly scope: { readonly name: string };
      readonly logRecords: readonly LogRecord[];
    }[];
  }[];
}

function requestsOf(events: readonly AuditEvent[]): readonly Request[] {
  const encoder = createOtlpEncoder();
  const text = [encoder.begin(), ...events.map(encoder.event), encoder.end()].join('');
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
}

function recordsOf(entries: readonly AuditEntry[]): readonly LogRecord[] {
  return requestsOf(eventsOf(entries)).flatMap(
    ({ resourceLogs }) => resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [],
  );
}

test('a request of the log, field by field', () => {
  const requests = requestsOf(eventsOf(FULL_ENTRIES));
  expect(requests).toHaveLength(1);
  expectGolden('otlp.json', `${JSON.stringify(requests[0], null, 2)}\n`);
});

test('times are nanoseconds in texts, whole numbers are texts, keys stand once', () => {
  for (const record of recordsOf(FULL_ENTRIES)) {
    expect(record.timeUnixNano).toMatch(/^\d{19}$/);
    expect(record.observedTimeUnixNano).toBe(record.timeUnixNano);
    expect(record.eventName).toMatch(/^sand\.audit\.[a-z-]+$/);
    const keys = record.attributes.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    for (const { value } of record.attributes) {
      const [[type, inner] = []] = Object.entries(value);
      expect(Object.keys(value)).toHaveLength(1);
      if (type === 'intValue') expect(inner).toMatch(/^-?\d+$/);
      else expect(['stringValue', 'boolValue', 'doubleValue', 'arrayValue']).toContain(type);
    }
  }
});

test('what was denied warns, what was allowed informs, a failed probe is an error', () => {
  const severities = recordsOf([
    connection(),
    connection({ muted: true }),
    connection(ALLOWED),
    connection({ ...ALLOWED, reason: 'upstream-refused' }),
    { kind: 'probe', name: 'p', passed: false, detail: 'd' },
    inbound({ disposition: 'refused' }),
  ]).map(({ severityNumber, severityText }) => [severityNumber, severityText]);
  expect(severities).toEqual([
    [13, 'WARN'],
    [9, 'INFO'],
    [9, 'INFO'],
    [13, 'WARN'],
    [17, 'ERROR'],
    [13, 'WARN'],
  ]);
});

test('a method beyond the known ones is kept beside the word for it', () => {
  const [record] = recordsOf([connection({ method: 'FOO', path: '/x', protocol: 'http' })]);
  const attributes = Object.fromEntries((record?.attributes ?? []).map(({ key, value }) => [key, value]));
  expect(attributes['http.request.method']).toEqual({ stringValue: '_OTHER' });
  expect(attributes['http.request.method_original']).toEqual({ stringValue: 'FOO' });
});

test('many events are several requests, each with where it comes from', () => {
  const many = Array.from({ length: EXPORT_LIMITS.recordsPerRequest + 1 }, () => connection());
  const requests = requestsOf(eventsOf([runStart(), ...many]));
  expect(requests.map(({ resourceLogs }) => resourceLogs[0]?.scopeLogs[0]?.logRecords.length)).toEqual([
    EXPORT_LIMITS.recordsPerRequest,
    2,
  ]);
  expect(requests[1]?.resourceLogs[0]?.resource).toEqual(requests[0]?.resourceLogs[0]?.resource);
});

test('no line is longer than a collector takes', () => {
  const [one] = eventsOf([connection()]);
  if (one?.kind !== 'connection') throw new Error('no connection');
  const fat = Array.from({ length: 300 }, () => ({ ...one, detail: 'x'.repeat(20_000) }));
  for (const request of requestsOf(fat)) expect(JSON.stringify(request).length).toBeLessThan(4 * 1024 ** 2);
  expect(requestsOf([])).toEqual([]);
});
