import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasPolicyShape, policyJsonSchema } from '../../policies/schema.ts';
import { anyPolicy } from './generators.ts';
import { compileText } from './reader.ts';

/** Plain data that is often nearly a policy. */
const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    1,
    2,
    80,
    443,
    65535,
    65536,
    -1,
    1.5,
    '',
    '443',
    '1-2',
    '1MiB',
    '2GB',
    'a.example',
    'enforce',
    'enforced',
    'x',
    [],
    {},
  ),
  fc.array(fc.constantFrom<unknown>(1, 443, '443', '6000-6010', 'a.example', '10.0.0.0/8', null, true), {
    maxLength: 2,
  }),
  fc.record({
    setup: fc.constantFrom<unknown>({}, { rules: [] }, { rules: [{ deny: 'a.example' }] }, { rule: [] }, 1),
  }),
  fc.record({ confinement: fc.constantFrom<unknown>('enforced', 'none', null) }),
  fc.record({ isolation: fc.constantFrom<unknown>('namespaces', 'gvisor', 'vm', 'none', null, 1) }),
  fc.record({
    connections: fc.constantFrom<unknown>(1, 0, '1', null),
    bytesOut: fc.constantFrom<unknown>(1, '1KiB', '1KB'),
  }),
  fc.record({
    idle: fc.constantFrom<unknown>('30s', '1h', '999h', '30', 30),
    headBytes: fc.constantFrom<unknown>('4KiB', 4096, 10, '1MiB'),
  }),
);
const key = fc.constantFrom(
  'version',
  'name',
  'extends',
  'mode',
  'rules',
  'requires',
  'limits',
  'phases',
  'rule',
);
const ruleKey = fc.constantFrom(
  'allow',
  'deny',
  'mute',
  'http',
  'https',
  'tcp',
  'addresses',
  'metadata',
  'until',
  'because',
  'methods',
  'paths',
  'limits',
  'report',
  'port',
);
const rule = fc.oneof(value, fc.dictionary(ruleKey, value, { maxKeys: 3, noNullPrototype: true }));
const document = fc.oneof(
  anyPolicy,
  fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true }).map((data) => ({ version: 1, ...data })),
  fc.array(rule, { minLength: 1, maxLength: 2 }).map((rules) => ({ version: 1, rules })),
  value,
);

describe('the schema', () => {
  test('takes every document that the decoder takes', () => {
    fc.assert(
      fc.property(document, (data) => {
        const text = JSON.stringify(data);
        if (compileText(text, files).ok) expect([text, hasPolicyShape(data)]).toEqual([text, true]);
      }),
      { numRuns: 1000 },
    );
  });

  test('refuses what the decoder refuses for its shape', () => {
    fc.assert(
      fc.property(document, (data) => {
        const text = JSON.stringify(data);
        const compiled = compileText(text, files);
        if (compiled.ok || compiled.issues.some(({ message }) => !isAboutShape(message))) return;
        expect([text, compiled.issues[0]?.message, hasPolicyShape(data)]).toEqual([
          text,
          compiled.issues[0]?.message,
          false,
        ]);
      }),
      { numRuns: 1000 },
    );
  });

  test('is a JSON Schema that knows the keys and no others', () => {
    expect(policyJsonSchema()).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      required: ['version'],
      additionalProperties: false,
      properties: { mode: { enum: ['enforce', 'report'] } },
    });
  });
});

const files = { 'a.example': 'version: 1\n' };

/** What a schema cannot say: what names and ranges mean, and what keys demand of each other. */
function isAboutShape(message: string): boolean {
  return !/host name|range of addresses|port by port|no name|no path|plain HTTP|never relayed|names or for addresses|deny rule only|metadata|preset or group|no file|owner|ports, and sand|leads back|empty label|outside its bounds/.test(
    message,
  );
}
