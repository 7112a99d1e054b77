import { describe, expect, test } from 'vitest';
import { bindPair, type Opened } from '../../dns/bind.ts';
import { REFUSED_PORTS } from '../../dns/limits.ts';
import { address } from './world.ts';

const LOOPBACK = address('127.0.0.1');

/** Openers that hand out what the test scripts, and what they have open. */
function scripted(datagrams: readonly Opened[], streams: readonly Opened[]) {
  const open = new Set<string>();
  const taking = (kind: string, script: readonly Opened[]) => {
    const rest = [...script];
    return async (): Promise<Opened> => {
      const next = rest.shift();
      if (next === undefined) throw new Error('the script is over');
      if (!next.ok) return next;
      open.add(`${kind} ${next.port}`);
      return { ...next, close: () => open.delete(`${kind} ${next.port}`) };
    };
  };
  return { open, datagram: taking('udp', datagrams), stream: taking('tcp', streams) };
}

function listening(port: number, at = '127.0.0.1'): Opened {
  return { ok: true, address: at, port, close: () => {} };
}

const TAKEN: Opened = { ok: false, inUse: true, detail: 'EADDRINUSE' };

describe('bindPair', () => {
  test('never listens on a refused port that was asked for', async () => {
    for (const port of REFUSED_PORTS) {
      expect(await bindPair(LOOPBACK, port, scripted([], []), 4)).toMatchObject({
        ok: false,
        code: 'port-refused',
      });
    }
    expect([...REFUSED_PORTS]).toEqual([53, 1053, 2053, 5353]);
  });

  test('never keeps a refused port that the kernel hands out', async () => {
    const openers = scripted([listening(5353), listening(2053), listening(40_001)], [listening(40_001)]);
    expect(await bindPair(LOOPBACK, 0, openers, 4)).toEqual({ ok: true, address: LOOPBACK, port: 40_001 });
    expect([...openers.open]).toEqual(['udp 40001', 'tcp 40001']);
  });

  test('gives up when the kernel hands out nothing else', async () => {
    const openers = scripted([listening(5353), listening(5353)], []);
    expect(await bindPair(LOOPBACK, 0, openers, 2)).toMatchObject({ ok: false, code: 'port-refused' });
    expect(openers.open.size).toBe(0);
  });

  test('tries another port where TCP does not get the one that UDP has', async () => {
    const openers = scripted([listening(40_001), listening(40_002)], [TAKEN, listening(40_002)]);
    expect(await bindPair(LOOPBACK, 0, openers, 4)).toMatchObject({ ok: true, port: 40_002 });
    expect([...openers.open]).toEqual(['udp 40002', 'tcp 40002']);
  });

  test('a given port that is taken is an error at once', async () => {
    const openers = scripted([listening(40_001)], [TAKEN]);
    expect(await bindPair(LOOPBACK, 40_001, openers, 4)).toMatchObject({ ok: false, code: 'port-in-use' });
    expect(openers.open.size).toBe(0);
  });

  test('keeps nothing that listens elsewhere than it was asked to', async () => {
    const openers = scripted([listening(40_001)], [listening(40_001, '::')]);
    expect(await bindPair(LOOPBACK, 0, openers, 4)).toMatchObject({ ok: false, code: 'bind-failed' });
    expect(openers.open.size).toBe(0);
  });

  test.each(['0.0.0.0', '::', '192.0.2.1', '2001:db8::1'])('never binds %s', async (text) => {
    expect(await bindPair(address(text), 0, scripted([], []), 4)).toMatchObject({ code: 'address-refused' });
  });
});
