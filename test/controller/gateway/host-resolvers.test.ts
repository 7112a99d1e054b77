import { describe, expect, it } from 'vitest';
import { createMacResolvers } from '../../../controller/gateway/host-resolvers.ts';

const conf = (address: string) => `DNS configuration\n\nresolver #1\n  nameserver[0] : ${address}\n`;

/** A clock and a scutil that answers when it is told to. */
function world(first: string | null) {
  const state = { nowMs: 0, runs: 0, pending: [] as ((text: string | null) => void)[] };
  const resolvers = createMacResolvers({
    readAtOnce: () => {
      state.runs += 1;
      return first;
    },
    read: () =>
      new Promise((resolve) => {
        state.runs += 1;
        state.pending.push(resolve);
      }),
    now: () => state.nowMs,
  });
  const ask = () => resolvers('example.com').map(({ address }) => address);
  const answer = async (text: string | null) => {
    state.pending.shift()?.(text);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { state, ask, answer };
}

describe('what scutil says', () => {
  it('is asked once for many questions', () => {
    const { state, ask } = world(conf('192.0.2.1'));
    for (let count = 0; count < 100; count++) expect(ask()).toEqual(['192.0.2.1']);
    expect(state.runs).toBe(1);
  });

  it('is read again after some seconds, one at a time, and no question waits for it', async () => {
    const { state, ask, answer } = world(conf('192.0.2.1'));
    ask();
    state.nowMs = 6_000;
    for (let count = 0; count < 100; count++) expect(ask()).toEqual(['192.0.2.1']);
    expect(state.runs).toBe(2);
    await answer(conf('192.0.2.2'));
    expect(ask()).toEqual(['192.0.2.2']);
    expect(state.runs).toBe(2);
  });

  it('holds on where it cannot be read any more, and is asked again later', async () => {
    const { state, ask, answer } = world(conf('192.0.2.1'));
    ask();
    state.nowMs = 6_000;
    ask();
    await answer(null);
    expect(ask()).toEqual(['192.0.2.1']);
    expect(state.runs).toBe(2);
    state.nowMs = 12_000;
    ask();
    expect(state.runs).toBe(3);
  });

  it('is nothing where it never could be read', () => {
    const { ask } = world(null);
    expect(ask()).toEqual([]);
  });
});
