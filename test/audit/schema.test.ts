import { expect, test } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { auditLineSchema, checkAuditEvent } from '../../audit/schema.ts';
import { connection, dns, eventsOf, FULL_ENTRIES, runStart } from './samples.ts';

interface KindSchema {
  readonly type: string;
  readonly properties: Readonly<Record<string, { readonly const?: string; readonly properties?: object }>>;
  readonly required: readonly string[];
}

function kindSchemas(): readonly KindSchema[] {
  return auditLineSchema().oneOf as readonly KindSchema[];
}

function schemaOf(kind: string): KindSchema {
  const found = kindSchemas().find((schema) => schema.properties.kind?.const === kind);
  if (found === undefined) throw new Error(`no schema for ${kind}`);
  return found;
}

test('every kind that is written has a schema, and every schema a kind that is written', () => {
  const written = FULL_ENTRIES.map((entry) => entry.kind).sort();
  expect(
    kindSchemas()
      .map((schema) => schema.properties.kind?.const)
      .sort(),
  ).toEqual(written);
});

test('real lines of every kind fit, and have no field that the schema does not name', () => {
  for (const event of eventsOf(FULL_ENTRIES)) {
    expect(checkAuditEvent(event)).toEqual({ ok: true, event });
    // The samples carry every optional field, so the two lists are the same.
    expect(Object.keys(event).sort()).toEqual(Object.keys(schemaOf(event.kind).properties).sort());
  }
});

test('a line without one of its required fields does not fit, without an optional one it does', () => {
  for (const event of eventsOf(FULL_ENTRIES)) {
    const { required, properties } = schemaOf(event.kind);
    for (const name of Object.keys(properties)) {
      const less = Object.fromEntries(Object.entries(event).filter(([key]) => key !== name));
      expect([event.kind, name, checkAuditEvent(less).ok]).toEqual([
        event.kind,
        name,
        !required.includes(name),
      ]);
    }
  }
});

test('a value of the wrong type does not fit, whatever the field', () => {
  for (const event of eventsOf(FULL_ENTRIES)) {
    for (const name of Object.keys(event)) {
      const wrong = { ...event, [name]: { wrong: true } };
      expect([event.kind, name, checkAuditEvent(wrong).ok]).toEqual([event.kind, name, false]);
    }
  }
});

test('numbers out of range and codes outside the lists do not fit', () => {
  const cases: readonly [AuditEntry, object][] = [
    [connection(), { port: 65_536 }],
    [connection(), { port: 1.5 }],
    [connection(), { protocol: 'quic' }],
    [connection(), { via: '' }],
    [dns(), { reason: 'because' }],
    [dns(), { reason: 'toString' }],
    [dns(), { answer: [1] }],
    [dns(), { rule: { id: 'x' } }],
    [dns(), { seq: 0 }],
    [dns(), { time: '2026-11-21 20:15' }],
    [dns(), { prev: 'AB' }],
    [runStart(), { policy: null }],
  ];
  for (const [entry, wrong] of cases) {
    const [event] = eventsOf([entry]);
    expect(checkAuditEvent(event).ok).toBe(true);
    expect([wrong, checkAuditEvent({ ...event, ...wrong }).ok]).toEqual([wrong, false]);
  }
});

test('the published schema is plain JSON', () => {
  expect(JSON.parse(JSON.stringify(auditLineSchema()))).toEqual(auditLineSchema());
});
