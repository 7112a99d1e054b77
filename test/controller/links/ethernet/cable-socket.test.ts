import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CableSocket, listenForCable } from '../../../../controller/links/ethernet/cable-socket.ts';

let folder = '';
let cable: CableSocket;
const sockets: Socket[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sand-cable-'));
  cable = await listenForCable(folder);
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  cable.close();
  rmSync(folder, { recursive: true });
});

function dial(): Socket {
  const socket = createConnection(cable.path);
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

describe('where a guest\u2019s cable comes', () => {
  it('takes the first that comes, and no second', async () => {
    const first = dial();
    const taken = await cable.connected;
    const second = dial();
    await closed(second);
    expect(first.destroyed).toBe(false);
    const frames: number[] = [];
    await new Promise<void>((resolve) => {
      taken.connect({
        frame: (_bytes, _view, start, end) => void frames.push(end - start),
        settled: () => resolve(),
        drained: () => {},
        lost: () => {},
      });
      first.write(Buffer.from([0, 0, 0, 3, 1, 2, 3]));
    });
    expect(frames).toEqual([3]);
    taken.close();
    await closed(first);
  });

  it('says of a path that is too long what to do', async () => {
    await expect(listenForCable(join(folder, 'x'.repeat(120)))).rejects.toMatchObject({
      code: 'link-failed',
      hint: expect.stringContaining('XDG_STATE_HOME'),
    });
  });
});
