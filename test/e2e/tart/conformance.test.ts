/** The cases of the attack catalogue that need a real guest, in a guest of the tart backend on its emulator, as root in it: its user may become that. */
import { describe } from 'vitest';
import { allOf, holdGuestCases, type Way } from '../conformance-cases.ts';
import { CAN_EMULATE, createTartWorld, TART } from './tart-world.ts';

/** The emulator's calls are processes of their own, and there are a dozen to a run. */
const DEADLINE_MS = 240_000;

describe.skipIf(!CAN_EMULATE)('from inside a guest of the tart backend', () => {
  holdGuestCases({
    world: createTartWorld,
    perform: asRoot,
    deadlineMs: DEADLINE_MS,
    certificates: '/opt/certificates',
  });
});

async function asRoot(...[world, flags, scripts]: Parameters<Way['perform']>): Promise<string> {
  const command = ['sudo', '-n', '-E', 'sh', '-c', scripts.join('\n')];
  const run = ['run', ...TART, ...flags, '--', ...command];
  return allOf(await world.sand(run, { deadlineMs: DEADLINE_MS }));
}
