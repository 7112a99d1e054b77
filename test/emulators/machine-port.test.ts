import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { carry, type Port, WINDOW } from './machine/port.ts';

/** Each stream that one side opens, as the other has it. */
function createPorts(): { port: Port; connection: Duplex; taken: Duplex[] } {
  const [connection, other] = duplexPair();
  const taken: Duplex[] = [];
  carry(other, (stream) => taken.push(stream));
  return { port: carry(connection, () => {}), connection, taken };
}

async function settle(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await turn();
}

describe('streams over one port of a machine', () => {
  it('carry bytes and half-closes both ways', async () => {
    const { port, taken } = createPorts();
    const stream = port.open(Buffer.from('what for'));
    const sent = Buffer.alloc(5 * WINDOW + 17, 'x');
    stream.end(sent);
    await settle();
    const [other] = taken;
    if (other === undefined) throw new Error('it was not taken');
    expect((await buffer(other)).equals(sent)).toBe(true);
    other.end('answer');
    expect(await text(stream)).toBe('answer');
  });

  it('that nobody reads hold no more than a window, and no other stream up', async () => {
    const { port, taken } = createPorts();
    const slow = port.open(Buffer.alloc(0));
    const quick = port.open(Buffer.alloc(0));
    slow.end(Buffer.alloc(8 * WINDOW));
    quick.end('quick');
    await settle();
    expect(taken[0]?.readableLength).toBeLessThanOrEqual(WINDOW);
    expect(slow.writableFinished).toBe(false);
    expect(await text(taken[1] ?? quick)).toBe('quick');
    expect(await buffer(taken[0] ?? slow)).toHaveLength(8 * WINDOW);
  });

  it('are reset alone', async () => {
    const { port, taken } = createPorts();
    const [one, other] = [port.open(Buffer.alloc(0)), port.open(Buffer.alloc(0))];
    await settle();
    taken[0]?.destroy();
    const [error] = await once(one, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    other.end('still');
    expect(await text(taken[1] ?? other)).toBe('still');
  });

  it('end with the port', async () => {
    const { port, connection } = createPorts();
    const stream = port.open(Buffer.alloc(0));
    const ended = once(stream, 'error');
    connection.destroy();
    expect((await ended)[0]).toMatchObject({ message: 'the machine has ended' });
    await expect(once(port.open(Buffer.alloc(0)), 'never')).rejects.toThrow('the machine has ended');
  });
});
