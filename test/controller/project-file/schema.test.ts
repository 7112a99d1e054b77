import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PROJECT_KEYS } from '../../../controller/project-file/decode.ts';
import { projectJsonSchema } from '../../../controller/project-file/schema.ts';
import { parseDocument } from '../../../policies/document.ts';
import type { PolicyNode } from '../../../policies/document-tree.ts';
import { isValid } from '../../policies/json-schema.ts';
import { EVERYTHING, issuesOf } from './samples.ts';

const PUBLISHED = fileURLToPath(
  new URL('../../../controller/project-file/sand.schema.json', import.meta.url),
);
if (process.env.UPDATE_GOLDEN === '1') {
  writeFileSync(PUBLISHED, `${JSON.stringify(projectJsonSchema(), null, 2)}\n`);
}
const schema: unknown = JSON.parse(readFileSync(PUBLISHED, 'utf8'));

function plain(node: PolicyNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
}

function dataOf(text: string): unknown {
  const parsed = parseDocument(text, 'sand.yaml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return plain(parsed.value);
}

const examples = [
  ...readFileSync(new URL('../../../docs/sand-yaml.md', import.meta.url), 'utf8').matchAll(
    /^```yaml\n([\s\S]*?)^```$/gm,
  ),
].map(([, text = '']) => text);
const SAMPLES = [EVERYTHING, 'version: 1\nenvironment: [TOKEN, A=1]\ncommand: [sh]\n', ...examples];

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
    yield 'some words';
  }
}

describe('the published JSON Schema of sand.yaml', () => {
  it('is what the code says', () => {
    expect(schema).toEqual(projectJsonSchema());
  });

  it('knows the keys that the decoder knows', () => {
    const { properties } = schema as { readonly properties: object };
    expect(Object.keys(properties).sort()).toEqual([...PROJECT_KEYS.known].sort());
  });

  it.each(SAMPLES)('takes what the decoder takes: %s', (text) => {
    expect(issuesOf(text)).toEqual([]);
    expect(isValid(schema, dataOf(text))).toBe(true);
  });

  it.each(SAMPLES)('refuses nothing that the decoder takes, of what is nearly %s', (text) => {
    let count = 0;
    for (const near of spoiled(dataOf(text))) {
      const written = JSON.stringify(near);
      if (issuesOf(written).length === 0) expect([written, isValid(schema, near)]).toEqual([written, true]);
      count += 1;
    }
    expect(count).toBeGreaterThan(3);
  });

  it.each([
    { version: 2 },
    { version: 1, mount: '.' },
    { version: 1, build: {} },
    { version: 1, build: { file: './Dockerfile', target: 'x' } },
    { version: 1, volumes: './node_modules' },
    { version: 1, volumes: [] },
    { version: 1, policy: [] },
    { version: 1, mounts: ['~/x'] },
    { version: 1, mounts: [{ target: '/x' }] },
    { version: 1, environment: { 'A-B': '1' } },
    { version: 1, environment: { A: null } },
    { version: 1, shares: ['docker'] },
    { version: 1, resources: { cpu: 1 } },
    { version: 1, command: 'npm test' },
    { version: 1, cache: 'yes' },
    { version: 1, name: '-x' },
    {},
  ])('refuses what the decoder refuses: %j', (data) => {
    expect(issuesOf(JSON.stringify(data))).not.toEqual([]);
    expect(isValid(schema, data)).toBe(false);
  });
});
