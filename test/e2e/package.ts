/**
 * Builds the package once for all end-to-end tests and lays it, with the Node that runs the tests, where an
 * ordinary user can read it: what is tested is what is shipped.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, linkSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

const ROOT = new URL('../..', import.meta.url).pathname;

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the unpacked package. */
    readonly sandPackage: string;
    /** The Node executable beside it. */
    readonly sandNode: string;
  }
}

export function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'sand-package-'));
  chmodSync(folder, 0o755);
  const place = join(folder, 'package');
  mkdirSync(join(place, 'controller'), { recursive: true });
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.ts'), join(place, 'dist')], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for (const name of ['package.json', 'README.md', 'LICENSE', 'NOTICE', 'controller/bin']) {
    cpSync(join(ROOT, name), join(place, name), { recursive: true });
  }
  mkdirSync(join(folder, 'bin'));
  const node = join(folder, 'bin', 'node');
  try {
    linkSync(process.execPath, node);
  } catch {
    cpSync(process.execPath, node);
  }
  project.provide('sandPackage', place);
  project.provide('sandNode', node);
  return () => rmSync(folder, { recursive: true, force: true });
}
