/** The events that sand writes against the schema's own attributes, copied into a fixture. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import type { RunStartEvent } from '../../../audit/export/encoder.ts';
import { createOcsfEncoder, OCSF_VERSION, ocsfEvent } from '../../../audit/export/ocsf.ts';
import { expectGolden } from '../golden.ts';
import {
  ALLOWED,
  close,
  connection,
  dns,
  eventsOf,
  FULL_ENTRIES,
  inbound,
  runStart,
  unplanted,
} from '../samples.ts';

interface Attribute {
  readonly type: string;
  readonly required?: boolean;
  readonly array?: boolean;
  readonly enum?: Readonly<Record<string, string>>;
}

interface Shape {
  readonly constraints: { readonly at_least_one?: readonly string[] };
  readonly attributes: Readonly<Record<string, Attribute>>;
}

const SCHEMA = JSON.parse(readFileSync(new URL('../fixtures/ocsf-1.8.0.json', import.meta.url), 'utf8')) as {
  readonly version: string;
  readonly classes: Readonly<Record<string, Shape>>;
  readonly objects: Readonly<Record<string, Shape>>;
};

/** A caption stands beside its number, under this name. */
const CAPTIONS: Readonly<Record<string, string>> = {
  activity_id: 'activity_name',
  severity_id: 'severity',
  status_id: 'status',
  action_id: 'action',
  disposition_id: 'disposition',
  direction_id: 'direction',
  rcode_id: 'rcode',
  opcode_id: 'opcode',
  type_id: 'type',
};

/** Every fault of a value against its shape. */
function faultsOf(value: object, shape: Shape, at: string): readonly string[] {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  const names = entries.map(([name]) => name);
  const missing = Object.entries(shape.attributes)
    .filter(([name, { required }]) => required === true && !names.includes(name))
    .map(([name]) => `${at}.${name} is missing`);
  const oneOf = shape.constraints.at_least_one;
  const lacks = oneOf !== undefined && !oneOf.some((name) => names.includes(name));
  return [
    ...missing,
    ...(lacks ? [`${at} has none of ${oneOf.join(', ')}`] : []),
    ...entries.flatMap(([name, field]) => {
      const attribute = shape.attributes[name];
      if (attribute === undefined) return [`${at}.${name} is no attribute`];
      const caption = Reflect.get(value, CAPTIONS[name] ?? '');
      return fieldFaults(field, attribute, `${at}.${name}`, caption);
    }),
  ];
}

function fieldFaults(field: unknown, attribute: Attribute, at: string, caption: unknown): readonly string[] {
  if (attribute.array === true) {
    if (!Array.isArray(field)) return [`${at} is no list`];
    return field.flatMap((item, i) => fieldFaults(item, { type: attribute.type }, `${at}[${i}]`, undefined));
  }
  if (attribute.enum !== undefined && typeof field === 'number') {
    const known = attribute.enum[field];
    if (known === undefined) return [`${at} has no ${field}`];
    if (field !== 99 && caption !== undefined && caption !== known)
      return [`${at} ${field} is called ${known}, not ${caption}`];
  }
  if (attribute.type === 'object' || attribute.type === 'json_t') return [];
  const shape = SCHEMA.objects[attribute.type];
  if (shape !== undefined)
    return typeof field === 'object' && field !== null ? faultsOf(field, shape, at) : [`${at} is no object`];
  const wanted = /^(integer|long|timestamp|port)_t$/.test(attribute.type)
    ? 'number'
    : attribute.type === 'boolean_t'
      ? 'boolean'
      : 'string';
  return typeof field === wanted ? [] : [`${at} is ${typeof field}, not ${attribute.type}`];
}

function eventFaults(event: Readonly<Record<string, unknown>>): readonly string[] {
  const shape = SCHEMA.classes[String(event.class_uid)];
  if (shape === undefined) return [`there is no class ${event.class_uid}`];
  const sum = Number(event.class_uid) * 100 + Number(event.activity_id);
  return [
    ...faultsOf(event, shape, String(event.class_name)),
    ...(event.type_uid === sum ? [] : [`type_uid is not ${sum}`]),
  ];
}

const LOG: readonly AuditEntry[] = [
  ...FULL_ENTRIES,
  dns({ name: '-not a name-', rcode: 'BADVERS', count: 12 }),
  dns({ ...ALLOWED, disposition: 'answered', rcode: 'NOERROR', answer: ['198.18.0.1', '198.18.0.2'] }),
  connection({ ...ALLOWED, host: '2001:db8::7', port: 22, protocol: 'tcp', via: 'transparent' }),
  connection({ ...ALLOWED, reason: 'would-be-denied', rule: null }),
  connection({ ...ALLOWED, reason: 'upstream-refused' }),
  connection({ method: 'PROPFIND', path: '/x', protocol: 'http', port: 80, count: 4 }),
  connection({ protocol: null }),
  close({ reason: 'upstream-timeout' }),
  close(),
  unplanted({ transport: 'icmp', port: 0 }),
  unplanted({ transport: 'other', port: 0 }),
  inbound({ peer: '', disposition: 'refused', reason: 'guest-port-closed', count: 9 }),
  inbound({ peer: '[::1]:5000', address: '::1' }),
];

function encode(entries: readonly AuditEntry[]): readonly Readonly<Record<string, unknown>>[] {
  const encoder = createOcsfEncoder();
  const text = [encoder.begin(), ...eventsOf(entries).map(encoder.event), encoder.end()].join('');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('every event has what its class requires and nothing that it does not know', () => {
  expect(SCHEMA.version).toBe(OCSF_VERSION);
  expect(encode(LOG).flatMap(eventFaults)).toEqual([]);
});

test('each check of this test goes red', () => {
  const [event] = encode([connection()]);
  const { metadata, ...less } = event ?? {};
  expect(eventFaults(less)).toEqual(['Network Activity.metadata is missing']);
  expect(eventFaults({ ...event, hostname: 'x' })).toEqual(['Network Activity.hostname is no attribute']);
  expect(eventFaults({ ...event, severity_id: 12 })).toEqual(['Network Activity.severity_id has no 12']);
  expect(eventFaults({ ...event, status: 'Success' })).toHaveLength(1);
  expect(eventFaults({ ...event, time: 'now' })).toEqual([
    'Network Activity.time is string, not timestamp_t',
  ]);
  expect(eventFaults({ ...event, type_uid: 1 })).toHaveLength(1);
  expect(eventFaults({ ...event, dst_endpoint: { port: 1 } })).toHaveLength(1);
  expect(metadata).toBeDefined();
});

test('classes and activities', () => {
  const told = encode(LOG).map(({ type_uid, type_name, status, disposition }) => [
    type_uid,
    type_name,
    status,
    disposition,
  ]);
  expectGolden('ocsf-types.txt', `${told.map((one) => one.map(String).join('  ')).join('\n')}\n`);
});

test('a denied connection, field by field', () => {
  const [start, denied] = eventsOf([runStart({ name: 'web' }), FULL_ENTRIES[2] ?? connection()]);
  if (start?.kind !== 'run-start' || denied === undefined) throw new Error('no events');
  expectGolden(
    'ocsf-event.json',
    `${JSON.stringify(ocsfEvent(denied, start satisfies RunStartEvent), null, 2)}\n`,
  );
});

test('a log without its beginning is exported all the same', () => {
  const [event] = eventsOf([connection()]);
  if (event === undefined) throw new Error('no event');
  expect(eventFaults(ocsfEvent(event, null))).toEqual([]);
});
