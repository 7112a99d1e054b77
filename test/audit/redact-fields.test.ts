/** Secrets that are planted in every text of every kind of event: none of them is in the line. */
import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { encodeLine, FIRST_PREV } from '../../audit/line.ts';
import { FULL_ENTRIES, START_MS } from './samples.ts';

const PLANTED: Readonly<Record<string, { readonly text: string; readonly secret: string }>> = {
  github: { text: 'a ghp_aBcDeFgHiJkLmNoP1234567890 z', secret: 'aBcDeFgHiJkLmNoP1234567890' },
  npm: { text: 'npm_aBcDeFgHiJkLmNoP1234567890', secret: 'aBcDeFgHiJkLmNoP1234567890' },
  stripe: { text: 'x.sk_live_aBcDeFgHiJkLmN.example', secret: 'aBcDeFgHiJkLmN' },
  aws: { text: 'AKIAIOSFODNN7EXAMPLE', secret: 'IOSFODNN7EXAMPLE' },
  jwt: { text: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln', secret: 'hbGciOiJIUzI1NiJ9' },
  userinfo: { text: 'bob:hunter2hunter2@db.example', secret: 'hunter2' },
};
/** What a hostname may look like is taken out of every other text. */
const NOT_IN_NAMES: typeof PLANTED = {
  openai: { text: 'with sk-aBcDeFgHiJkLmNoP1234', secret: 'aBcDeFgHiJkLmNoP1234' },
  url: { text: 'GET https://bob:hunter2@db.example/x?token=hunter2', secret: 'hunter2' },
  bearer: { text: 'authorization: Bearer abcdefgh12345678', secret: 'abcdefgh12345678' },
  cookie: { text: 'cookie: session=abcdefgh12345678', secret: 'abcdefgh12345678' },
  pem: {
    text: '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----',
    secret: 'b3BlbnNzaC1rZXk',
  },
};
const NAMES = /(?:^|\.)(?:host|name|sni|address|answer|destination|peer|layers|id)(?:\.\d+)?$/;
/** What sand makes itself: hashes, closed lists, its own run ids and versions. */
const OWN =
  /(?:^|\.)(?:kind|asker|verdict|reason|disposition|policy|digest|transport|type|rcode|via|protocol|cause|confinement|run|by|key|signature|prev|attribution)$/;

/** Every place of a text in the entry, as a path. */
function texts(value: unknown, path = ''): readonly string[] {
  if (typeof value === 'string') return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => texts(inner, path === '' ? key : `${path}.${key}`));
}

function planted<T>(value: T, [key = '', ...rest]: readonly string[], text: string): T {
  const copy = Array.isArray(value) ? [...value] : { ...value };
  const inner: unknown = Reflect.get(copy as object, key);
  Reflect.set(copy as object, key, rest.length === 0 ? text : planted(inner, rest, text));
  return copy as T;
}

function lineOf(entry: AuditEntry): string {
  return encodeLine(entry, { seq: 1, timeMs: START_MS, guest: 'g1', prev: FIRST_PREV });
}

const TELLING = FULL_ENTRIES.filter((entry) => texts(entry).some((place) => !OWN.test(place)));

describe.each(TELLING.map((entry) => [entry.kind, entry] as const))('a secret in %s', (_, entry) => {
  const places = texts(entry).filter((place) => !OWN.test(place));
  it.each(places)('is not in the line, wherever it stands: %s', (place) => {
    const kinds = NAMES.test(place) ? PLANTED : { ...PLANTED, ...NOT_IN_NAMES };
    for (const [name, { text, secret }] of Object.entries(kinds)) {
      const line = lineOf(planted(entry, place.split('.'), text));
      expect([name, line.includes(secret)]).toEqual([name, false]);
      expect([name, line.includes('[redacted]')]).toEqual([name, true]);
    }
  });
});

describe('what is no secret', () => {
  it.each([
    'sk-prod-cluster-7.example.com',
    'pypi-mirror-internal-eu.corp',
    'registry.example.com',
    'a.b.c.d.e.f',
    '203.0.113.7',
    '2001:db8::1',
  ])('stays in a name: %s', (host) => {
    const line = lineOf({
      ...(FULL_ENTRIES.find(({ kind }) => kind === 'close') as AuditEntry),
      host,
    } as AuditEntry);
    expect(JSON.parse(line).host).toBe(host);
  });

  it.each([
    '/simple/requests/',
    '/repos/a/b/commits/0a1b2c3d4e5f60718293a4b5c6d7e8f901234567',
    '/@scope/pkg@1.2.3',
  ])('stays in a path: %s', (path) => {
    const entry = FULL_ENTRIES.find(({ kind }) => kind === 'connection');
    expect(JSON.parse(lineOf({ ...entry, path } as AuditEntry)).path).toBe(path);
  });

  it('a token that the limit would cut is gone whole', () => {
    const entry = FULL_ENTRIES.find(({ kind }) => kind === 'notice') as AuditEntry;
    const detail = `${'x'.repeat(280)} ghp_${'aB3'.repeat(20)}`;
    expect(lineOf({ ...entry, detail } as AuditEntry)).not.toMatch(/aB3/);
  });
});
