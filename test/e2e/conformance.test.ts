/**
 * The cases of the attack catalogue that need a real guest, each way that a guest of this kernel takes a command: by
 * `run`, by `exec` into one in the background, and in the root of an image.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { endGuests } from './background.ts';
import { allOf, holdGuestCases, inOneRun } from './conformance-cases.ts';
import { buildImageRoot } from './image-root.ts';
import { CALLERS, createWorld, type World } from './sand.ts';

/** Commands at one time in the guest; each runs its share of the cases. */
const COMMANDS = 4;

describe.each(CALLERS)('from inside a guest of the %s', (who) => {
  holdGuestCases({ world: () => createWorld(who), ...inOneRun(['run']) });
});

describe.each(CALLERS)('by exec into a guest in the background of the %s', (who) => {
  holdGuestCases({ world: () => createWorld(who), perform: byExec });
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

/** The guest is started without a command: all that runs in it came by `exec`. */
async function byExec(world: World, flags: readonly string[], scripts: readonly string[]): Promise<string> {
  const sand = async (...args: readonly string[]): Promise<string> => {
    const output = await world.sand(args);
    expect(output.code, `sand ${args[0]}: ${output.stderr}`).toBe(0);
    return allOf(output);
  };
  try {
    await sand('run', '-d', '--name', 'held', ...flags);
    const shares = Array.from({ length: COMMANDS }, (_, share) =>
      scripts.filter((_script, at) => at % COMMANDS === share).join('\n'),
    );
    const printed = await Promise.all(shares.map((share) => sand('exec', 'held', '--', 'sh', '-c', share)));
    await sand('stop', 'held');
    return printed.join('');
  } finally {
    await endGuests(world);
  }
}
