/**
 * The cases of the attack catalogue that need a real guest, each way that a guest of this kernel takes a command: by
 * `run`, by `exec` into one in the background, and in the root of an image.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { endGuests } from './background.ts';
import { allOf, holdGuestCases, inOneRun } from './conformance-cases.ts';
import { buildImageRoot } from './image-root.ts';
import { CALLERS, createWorld, type RunOutput, type World } from './sand.ts';

/** A process a case, on a busy machine. */
const EXEC_MS = 180_000;

describe.each(CALLERS)('from inside a guest of the %s', (who) => {
  holdGuestCases({ world: () => createWorld(who), ...inOneRun(['run']) });
});

describe.each(CALLERS)('by exec into a guest in the background of the %s', (who) => {
  holdGuestCases({ world: () => createWorld(who), perform: byExec, deadlineMs: EXEC_MS });
});

describe.each(CALLERS)('from inside a guest of an image, of the %s', (who) => {
  const folder = mkdtempSync(join(tmpdir(), 'sand-image-'));
  beforeAll(() => buildImageRoot(folder));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  holdGuestCases({ world: () => createWorld(who), ...inOneRun(['run', '--image', folder]) });
});

/** The guest is started without a command: all that runs in it came by `exec`. */
async function byExec(world: World, flags: readonly string[], scripts: readonly string[]): Promise<string> {
  const expectFine = async (args: readonly string[]): Promise<RunOutput> => {
    const output = await world.sand(args);
    if (output.code !== 0) throw new Error(`sand ${args[0]} ended with ${output.code}: ${output.stderr}`);
    return output;
  };
  try {
    await expectFine(['run', '-d', '--name', 'held', ...flags]);
    const printed: string[] = [];
    for (const script of scripts) {
      printed.push(allOf(await expectFine(['exec', 'held', '--', 'sh', '-c', script])));
    }
    await expectFine(['stop', 'held']);
    return printed.join('');
  } finally {
    await endGuests(world);
  }
}
