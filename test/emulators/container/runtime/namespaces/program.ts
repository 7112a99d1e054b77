/** Builds entry.c, and other programs of guests, once for each of their texts, into the checkout's cache, and says where they are. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTool } from '../../host-tool.ts';

const SOURCE = fileURLToPath(new URL('entry.c', import.meta.url));
const CACHE = fileURLToPath(
  new URL('../../../../../node_modules/.cache/container-emulator', import.meta.url),
);

export function entryProgram(): string {
  return compiledProgram(SOURCE, 'entry', []);
}

export function compiledProgram(source: string, name: string, options: readonly string[]): string {
  const digest = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const program = join(CACHE, `${name}-${digest}`);
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const half = `${program}.${process.pid}`;
  runTool('cc', '-O1', ...options, '-o', half, source);
  renameSync(half, program);
  return program;
}
