/** One run of the apple-container backend on its emulator, from the first call of the tool to the last. The rest is in the `long` project. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld } from './apple-world.ts';

describe.skipIf(!CAN_EMULATE)('sand run --backend apple-container', { timeout: APPLE_MS }, () => {
  let world: AppleWorld;
  beforeAll(() => {
    world = createAppleWorld();
  });
  afterAll(() => world.end(), APPLE_MS);

  it('runs a command in a guest without a network card, records what it tries, and leaves nothing', async () => {
    world.file('word.txt', 'a word\n');
    const script =
      'cat word.txt; ls /sys/class/net | tr "\\n" " "; curl -sS -m 9 http://example.com/; exit 7';
    const { code, stdout } = await world.run([], ['sh', '-c', script]);
    expect([code, stdout]).toEqual([7, expect.stringMatching(/^a word\nlo /)]);
    expect(stdout).toContain('no-rule');
    const events = await world.events();
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'connection', host: 'example.com', verdict: 'deny' }),
    );
    expect(events.at(-1)).toMatchObject({ kind: 'run-end', exitCode: 7 });
    await world.nothingRemains();
  });
});
