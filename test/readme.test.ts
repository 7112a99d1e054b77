/** The README's policy compiles, and its commands exist. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createPolicyReader } from '../controller/run/policy-reader.ts';
import { compilePolicy } from '../policies/compile.ts';

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const SETUP = readFileSync(new URL('../setup', import.meta.url), 'utf8');

it('each policy in the README compiles', () => {
  const blocks = [...README.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
  expect(blocks.length).toBeGreaterThan(0);
  for (const text of blocks) {
    const compiled = compilePolicy(
      [{ kind: 'text', text, file: 'README.md', directory: '/' }],
      createPolicyReader('/'),
    );
    expect(compiled).toMatchObject({ ok: true });
  }
});

it('each command of ./setup that the README names is one', () => {
  const named = [...README.matchAll(/^\.\/setup (\w+)/gm)].map(([, name]) => name);
  expect(named).toEqual(['demo', 'test']);
  for (const name of named) expect(SETUP).toMatch(new RegExp(`^ {2}${name}\\)`, 'm'));
});
