import { describe, expect, it } from 'vitest';
import { dial, orderAddresses } from '../../proxy/dial.ts';
import { addressOf, Rig } from './rig.ts';

const OPTIONS = { attemptDelayMs: 20, timeoutMs: 5_000 };
const addresses = (...texts: string[]) => texts.map(addressOf);

describe('the order of addresses', () => {
  it('takes the families in turn, beginning with the first, and has an end', () => {
    expect(orderAddresses(addresses('::1', '::2', '10.0.0.1', '::3'))).toEqual([
      '::1',
      '10.0.0.1',
      '::2',
      '::3',
    ]);
    expect(orderAddresses(Array.from({ length: 100 }, (_, i) => addressOf(`10.0.0.${i}`))).length).toBe(8);
  });
});

describe('a dial', () => {
  it('goes on to the next address when one refuses', async () => {
    await using rig = new Rig();
    const port = await rig.serve(() => {});
    const { signal } = new AbortController();
    const dialled = await dial(addresses('127.0.0.2', '127.0.0.1'), port, { ...OPTIONS, signal });
    expect(dialled).toMatchObject({ ok: true, address: '127.0.0.1' });
    if (dialled.ok) dialled.socket.destroy();
  });

  it('does not wait for a silent address before it tries the next', async () => {
    await using rig = new Rig();
    const port = await rig.serve(() => {});
    const { signal } = new AbortController();
    // Documentation addresses answer nothing, or an error; either way the second wins.
    const dialled = await dial(addresses('192.0.2.1', '127.0.0.1'), port, { ...OPTIONS, signal });
    expect(dialled).toMatchObject({ ok: true, address: '127.0.0.1' });
    if (dialled.ok) dialled.socket.destroy();
  });

  it('tells a refusal, and that there was nothing to dial', async () => {
    const { signal } = new AbortController();
    const rig = new Rig();
    const port = await rig.serve(() => {});
    await rig[Symbol.asyncDispose]();
    expect(await dial(addresses('127.0.0.1'), port, { ...OPTIONS, signal })).toMatchObject({
      ok: false,
      reason: 'upstream-refused',
    });
    expect(await dial([], port, { ...OPTIONS, signal })).toMatchObject({
      ok: false,
      reason: 'upstream-failed',
    });
  });

  it('never resolves: what is no address literal is not dialled', async () => {
    await using rig = new Rig();
    const port = await rig.serve(() => {});
    const { signal } = new AbortController();
    const dialled = await dial(['localhost' as never], port, { ...OPTIONS, signal });
    expect(dialled).toMatchObject({ ok: false, reason: 'upstream-failed' });
  });

  it('ends with its signal', async () => {
    const controller = new AbortController();
    const dialled = dial(addresses('192.0.2.1'), 9, { ...OPTIONS, signal: controller.signal });
    controller.abort();
    expect(await dialled).toMatchObject({ ok: false });
  });
});
