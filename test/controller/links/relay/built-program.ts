/**
 * Builds the guest's relay once for all tests, where its sources are newer than what is built. Without compilers the tests of
 * the program are skipped with that reason; in CI that is a failure.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

const ROOT = new URL('../../../..', import.meta.url).pathname;
const SOURCES = join(ROOT, 'controller/links/relay/guest');
const BUILD = join(SOURCES, 'build');

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the built programs, or why there is none. */
    readonly relayBuild: { readonly folder: string | null; readonly reason: string };
  }
}

function isFresh(): boolean {
  const digests = join(BUILD, 'digests.json');
  if (!existsSync(digests)) return false;
  const built = statSync(digests).mtimeMs;
  return readdirSync(SOURCES)
    .filter((name) => /\.[ch]$/.test(name))
    .every((name) => statSync(join(SOURCES, name)).mtimeMs <= built);
}

export function setup(project: TestProject): void {
  try {
    if (!isFresh()) {
      execFileSync(process.execPath, [join(ROOT, 'scripts/build-relay.ts')], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    }
    project.provide('relayBuild', { folder: BUILD, reason: '' });
  } catch (error) {
    if (process.env.CI) throw error;
    const reason = 'the guest relay cannot be built here: ./setup test installs its compilers';
    console.log(`skipped: ${reason}`);
    project.provide('relayBuild', { folder: null, reason });
  }
}
