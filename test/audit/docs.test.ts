import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditLineSchema } from '../../audit/schema.ts';
import { FULL_ENTRIES, linesOf, temporaryDirectory } from './samples.ts';

const page = readFileSync(new URL('../../docs/audit.md', import.meta.url), 'utf8');

function block(language: string): string {
  const found = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(page)?.[1];
  if (found === undefined) throw new Error(`docs/audit.md has no ${language} block`);
  return found;
}

function has(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}

const whole = linesOf(FULL_ENTRIES);
const changed = whole.map((line, i) => (i === 2 ? line.replace('evil', 'good') : line));

/** Runs it beside a log of these lines; true when it found nothing. */
function passes(program: string, script: string, lines: readonly string[]): boolean {
  const cwd = temporaryDirectory();
  writeFileSync(join(cwd, 'audit.jsonl'), lines.map((line) => `${line}\n`).join(''));
  return spawnSync(program, ['-c', script], { cwd }).status === 0;
}

test.skipIf(!has('sha256sum'))('the shell lines of the page check the chain', () => {
  expect(passes('sh', block('sh'), whole)).toBe(true);
  expect(passes('sh', block('sh'), changed)).toBe(false);
  expect(passes('sh', block('sh'), whole.slice(1))).toBe(false);
});

test.skipIf(!has('python3'))('the Python lines of the page check the chain', () => {
  expect(passes('python3', block('python'), whole)).toBe(true);
  expect(passes('python3', block('python'), changed)).toBe(false);
});

test('the page names every field of every kind', () => {
  const kinds = auditLineSchema().oneOf as readonly {
    readonly properties: Readonly<Record<string, unknown>>;
  }[];
  for (const { properties } of kinds) {
    for (const field of Object.keys(properties)) expect(page).toContain(`\`${field}\``);
    expect(page).toContain(`\`${(properties.kind as { const: string }).const}\``);
  }
});
