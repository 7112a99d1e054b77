/**
 * The files of this repository that people write, as the house rules see them. Walks the folder instead of
 * asking git, so that the rules hold in an unpacked archive as well.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export interface SourceFile {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

export const ROOT = new URL('../../', import.meta.url).pathname;

/** What tools write: none of it is in the repository. */
const MADE: readonly string[] = ['node_modules', '.git', 'dist', 'build', 'coverage', '.vitest'];

/** Folders of the program itself; everything in them is held to every rule. */
export const SOURCE_AREAS = ['policies', 'audit', 'dns', 'proxy', 'controller'] as const;
export type SourceArea = (typeof SOURCE_AREAS)[number];

/** Every file with text in it. */
export function readTree(): readonly SourceFile[] {
  const found: SourceFile[] = [];
  const open = [ROOT];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!MADE.includes(entry.name)) open.push(path);
      } else if (entry.isFile()) {
        const text = readFileSync(path, 'utf8');
        if (!text.includes('\0')) found.push({ path: relative(ROOT, path), text });
      }
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function areaOf(path: string): SourceArea | null {
  return SOURCE_AREAS.find((area) => path.startsWith(`${area}/`)) ?? null;
}

/** TypeScript and JavaScript of the program, its library entry included. */
export function isSource(path: string): boolean {
  return isCode(path) && (areaOf(path) !== null || path === 'index.ts');
}

/** As `isSource`, with the scripts, the benchmarks and the GitHub Action beside it. */
export function isProgram(path: string): boolean {
  return isSource(path) || (isCode(path) && /^(scripts|bench|action)\//.test(path));
}

export function isTest(path: string): boolean {
  return isCode(path) && path.startsWith('test/');
}

function isCode(path: string): boolean {
  return /\.(ts|js|mjs)$/.test(path);
}
