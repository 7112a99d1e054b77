/** Builds entry.c once for each of its texts, into the checkout's cache, and says where the program is. */
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
  const digest = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const program = join(CACHE, `entry-${digest}`);
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const half = `${program}.${process.pid}`;
  runTool('cc', '-O1', '-o', half, SOURCE);
  renameSync(half, program);
  return program;
}
