/**
 * The ethernet link against a kernel over a cable that loses, doubles, delays and reorders, both ways, by a seed, and with
 * a tiny MTU: bytes arrive as they were sent, in both directions, and connections end.
 */
import { describe, expect, it } from 'vitest';
import { createCabledGuest } from './cabled-guest.ts';
import { why } from './needs.ts';
import type { Roughness } from './rough-cable.ts';
import { CLIENT, createTransfers, digestOf, TRANSFER_PORTS } from './transfers.ts';

const missing = why();
const TIMEOUT_MS = 240_000;
const USUAL_LENGTH = 2 * 1024 * 1024;
/** Of packets of 300 bytes a loss is seen late, and each costs the kernel a fifth of a second and more. */
const TINY_LENGTH = 256 * 1024;

const WEATHER: readonly (readonly [string, number, Roughness])[] = [
  ['loss', 1_500, { seed: 1, loss: 0.02 }],
  ['reordering', 1_500, { seed: 2, delayMs: 5, reorder: 0.1, reorderMs: 3 }],
  ['duplication', 1_500, { seed: 3, duplicate: 0.1 }],
  ['all of it', 1_500, { seed: 4, delayMs: 3, loss: 0.01, duplicate: 0.02, reorder: 0.05 }],
  ['a tiny MTU', 300, { seed: 5 }],
  ['a tiny MTU and loss', 300, { seed: 6, loss: 0.005 }],
  ['a large MTU', 9_000, { seed: 7 }],
];

describe.skipIf(missing !== null)('over a cable with', () => {
  it.each(WEATHER)('%s, bytes arrive as they were sent', { timeout: TIMEOUT_MS }, async (_, mtu, rough) => {
    const length = mtu < 576 ? TINY_LENGTH : USUAL_LENGTH;
    await using guest = await createCabledGuest({
      ports: TRANSFER_PORTS,
      serve: createTransfers(),
      mtu,
      rough,
    });
    const client = async (...argv: readonly string[]): Promise<unknown> => {
      const { stdout } = await guest.run([...CLIENT, ...argv], { timeoutMs: TIMEOUT_MS });
      return JSON.parse(stdout);
    };
    expect(await client('down', String(length))).toEqual({ count: length, digest: digestOf(length) });
    expect(await client('up', String(length))).toEqual({ answer: `${length} ${digestOf(length)}` });
    expect(await client('echo', '30', '20000')).toEqual({ done: 30, failed: 0 });
  });
});
