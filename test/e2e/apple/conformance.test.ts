/** The cases of the attack catalogue that need a real guest, in a guest of the apple-container backend on its emulator. */
import { describe } from 'vitest';
import { byExec, holdGuestCases, inOneRun } from '../conformance-cases.ts';
import { APPLE, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

/** The emulator's calls are processes of their own, and there are a dozen to a run. */
const DEADLINE_MS = 240_000;

describe.skipIf(!CAN_EMULATE)('from inside a guest of the apple-container backend', () => {
  holdGuestCases({
    world: createAppleWorld,
    ...inOneRun(['run', ...APPLE], DEADLINE_MS),
  });
});

describe.skipIf(!CAN_EMULATE)('by exec into a guest in the background of the apple-container backend', () => {
  holdGuestCases({ world: createAppleWorld, ...byExec([...APPLE], DEADLINE_MS) });
});
