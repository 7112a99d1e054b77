import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DOCUMENT_KEYS } from '../../policies/decode.ts';
import { GUEST_LIMIT_TABLE, RULE_LIMIT_TABLE } from '../../policies/decode-limits.ts';
import { ONLY_WITH_ALLOW, RULE_KEYS } from '../../policies/decode-rule.ts';
import { parseDocument } from '../../policies/document.ts';
import type { PolicyNode } from '../../policies/document-tree.ts';
import { hasPolicyShape, policyJsonSchema } from '../../policies/schema.ts';
import { anyPolicy } from './generators.ts';
import { isValid } from './json-schema.ts';
import { compileText } from './reader.ts';

const PUBLISHED = fileURLToPath(new URL('../../policies/policy.schema.json', import.meta.url));
const read = (path: string): string => readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8');
if (process.env.UPDATE_GOLDEN === '1') {
  writeFileSync(PUBLISHED, `${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
}
const schema: unknown = JSON.parse(readFileSync(PUBLISHED, 'utf8'));

function plain(node: PolicyNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
}

function dataOf(yaml: string): unknown {
  const parsed = parseDocument(yaml, 'policy.yaml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return plain(parsed.value);
}

const goldenPolicies = readdirSync(fileURLToPath(new URL('./golden/', import.meta.url))).map((name) => {
  const { policy } = dataOf(read(`./golden/${name}`)) as { policy: string };
  return [name, policy] as const;
});
const examples = [...read('../../docs/policy.md').matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(
  (match, at) => [`example ${at + 1} of docs/policy.md`, match[1] ?? ''] as const,
);
const presets = ['offline', 'strict', 'balanced', 'observe'].map(
  (name) => [`the preset ${name}`, read(`../../policies/presets/${name}.yaml`)] as const,
);
const SAMPLES = [...goldenPolicies, ...examples, ...presets];

/** Every copy of a value with one more key in one of its maps, or with one leaf of another type. */
function* spoiled(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) for (const one of spoiled(item)) yield value.with(at, one);
  } else if (typeof value === 'object' && value !== null) {
    yield { ...value, unheard: 1 };
    for (const [key, one] of Object.entries(value))
      for (const other of spoiled(one)) yield { ...value, [key]: other };
  } else {
    yield { a: 1 };
    yield null;
    yield 1.5;
  }
}

/** The names of phases are free, so one more is no mistake, but a phase of the wrong shape is. */
function isRightBySchemaAlone(data: unknown): boolean {
  return compileText(JSON.stringify(data), COMPANY).ok;
}

const COMPANY = { 'company.yaml': 'version: 1\n' };

describe('the published JSON Schema', () => {
  test('is what the schema in the code says', () => {
    expect(schema).toEqual(policyJsonSchema());
  });

  test('knows the keys that the decoder knows', () => {
    type Maps = {
      readonly properties: Readonly<Record<string, Maps & { readonly items: { anyOf: Maps[] } }>>;
    };
    const { properties } = schema as Maps;
    expect(Object.keys(properties).sort()).toEqual([...DOCUMENT_KEYS.known].sort());
    const rules = properties.rules?.items.anyOf ?? [];
    const keysWith = (verb: string): string[] => [
      ...new Set(
        rules.filter((rule) => verb in rule.properties).flatMap((rule) => Object.keys(rule.properties)),
      ),
    ];
    expect(new Set(['allow', 'deny', 'mute'].flatMap(keysWith))).toEqual(new Set(RULE_KEYS.known));
    expect(keysWith('allow').sort()).toEqual(['allow', 'because', ...ONLY_WITH_ALLOW].sort());
    expect(Object.keys(properties.limits?.properties ?? {}).sort()).toEqual(
      [...GUEST_LIMIT_TABLE.known].sort(),
    );
    const ruleLimits = rules[0]?.properties.limits?.properties ?? {};
    expect(Object.keys(ruleLimits).sort()).toEqual([...RULE_LIMIT_TABLE.known].sort());
  });

  test.each(SAMPLES)('takes %s', (_, yaml) => {
    const data = dataOf(yaml);
    expect(isValid(schema, data)).toBe(true);
  });

  test.each(SAMPLES)('refuses one more key and another type anywhere in %s', (_, yaml) => {
    const data = dataOf(yaml);
    let count = 0;
    for (const wrong of spoiled(data)) {
      // A preset has hundreds of hosts, and each is the same to a schema.
      if (++count > 400) break;
      if (isRightBySchemaAlone(wrong)) continue;
      expect([JSON.stringify(wrong), isValid(schema, wrong)]).toEqual([JSON.stringify(wrong), false]);
    }
    expect(count).toBeGreaterThan(3);
  });

  test('says the same of generated policies as the schema in the code', () => {
    fc.assert(
      fc.property(anyPolicy, fc.nat(), (policy, turn) => {
        expect(isValid(schema, policy)).toBe(true);
        const wrong = [...spoiled(policy)];
        const one = wrong[turn % wrong.length];
        expect(isValid(schema, one)).toBe(hasPolicyShape(one));
      }),
      { numRuns: 200 },
    );
  });
});
