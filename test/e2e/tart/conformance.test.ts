/** The cases of the attack catalogue that need a real guest, in a guest of the tart backend on its emulator. */
import { describe } from 'vitest';
import { holdGuestCases, inOneRun } from '../conformance-cases.ts';
import { CAN_EMULATE, createTartWorld, TART } from './tart-world.ts';

/** The emulator's calls are processes of their own, and there are a dozen to a run. */
const DEADLINE_MS = 240_000;

describe.skipIf(!CAN_EMULATE)('from inside a guest of the tart backend', () => {
  holdGuestCases({
    world: createTartWorld,
    ...inOneRun(['run', ...TART], DEADLINE_MS),
  });
});
