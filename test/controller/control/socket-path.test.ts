import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SOCKET_PATH_BYTES } from '../../../controller/control/protocol.ts';
import { linkedPlace } from '../../../controller/control/short-place.ts';
import { socketPlace } from '../../../controller/control/socket-path.ts';

let root: string;
let far: string;
let short: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'socket-path-')));
  far = join(root, 'deep'.repeat(20), 'deeper'.repeat(20));
  short = join(root, 's');
  mkdirSync(far, { recursive: true, mode: 0o700 });
  mkdirSync(short, { mode: 0o700 });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const linked = (parents: readonly string[]) => (directory: string, descriptor: number, name: string) =>
  linkedPlace(directory, descriptor, name, parents);

it('without /proc a long place is reached by a link that nobody else can change, and that is gone afterwards', async () => {
  const place = socketPlace(far, linked([short]));
  expect(Buffer.byteLength(place.path)).toBeLessThanOrEqual(SOCKET_PATH_BYTES);
  expect(statSync(dirname(dirname(place.path))).mode & 0o777).toBe(0o700);
  const server = createServer((socket) => socket.end('here'));
  server.listen({ path: place.path });
  await once(server, 'listening');
  chmodSync(place.named, 0o600);
  expect(statSync(join(far, 'control.sock')).isSocket()).toBe(true);
  const asked = socketPlace(far, linked([short]));
  const client = connect({ path: asked.path });
  const [answer] = await once(client, 'data');
  expect(String(answer)).toBe('here');
  client.destroy();
  asked.release();
  server.close();
  await once(server, 'close');
  place.release();
  expect(existsSync(join(far, 'control.sock'))).toBe(false);
  expect(readdirSync(short)).toEqual([]);
});

it('the first folder for temporary files that is short enough is taken, else it says what to do', () => {
  const place = socketPlace(far, linked([far, short]));
  expect(place.path.startsWith(`${short}/`)).toBe(true);
  place.release();
  expect(() => socketPlace(far, linked([far]))).toThrow(/set TMPDIR or XDG_STATE_HOME/);
});

it('macOS takes four bytes less', () => {
  const place = socketPlace(short, linked([tmpdir()]), Buffer.byteLength(join(short, 'control.sock')) - 1);
  expect(place.path).not.toBe(place.named);
  place.release();
});

it('a folder that was replaced since it was opened is not used', () => {
  const shorten = (directory: string, descriptor: number, name: string) => {
    rmSync(directory, { recursive: true });
    mkdirSync(directory, { mode: 0o700 });
    return linkedPlace(directory, descriptor, name, [short]);
  };
  expect(() => socketPlace(far, shorten)).toThrow('is another folder than it was');
  expect(readdirSync(short)).toEqual([]);
});
