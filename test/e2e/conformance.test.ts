/**
 * The cases of the attack catalogue that need a real guest, each way that a guest of this kernel takes a command: by
 * `run`, by `exec` into one in the background, and in the root of an image.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { byExec, holdGuestCases, inOneRun } from './conformance-cases.ts';
import { buildImageRoot } from './image-root.ts';
import { CALLERS, createWorld } from './sand.ts';

describe.each(CALLERS)('from inside a guest of the %s', (who) => {
  holdGuestCases({ world: () => createWorld(who), ...inOneRun(['run']) });
});

describe.each(CALLERS)('by exec into a guest in the background of the %s', (who) => {
  holdGuestCases({ world: () => createWorld(who), ...byExec([]) });
});

describe('in the root of an image', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sand-image-'));
    buildImageRoot(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe.each(CALLERS)('from inside a guest of the %s', (who) => {
    holdGuestCases({
      world: () => createWorld(who),
      perform: (...given) => inOneRun(['run', '--image', folder]).perform(...given),
    });
  });
});
