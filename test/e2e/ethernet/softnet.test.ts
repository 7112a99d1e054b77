/** sand's program in the place of softnet, started as tart starts it: a datagram socket as standard input, control on 1. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { softnetWrapper } from '../../../controller/links/ethernet/softnet/wrapper.ts';
import { why } from './needs.ts';

const PARENT = fileURLToPath(new URL('./datagram-parent.py', import.meta.url));
const PROGRAM = fileURLToPath(
  new URL('../../../controller/links/ethernet/softnet/softnet.ts', import.meta.url),
);
const missing = why();

function prefixed(text: string): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(text.length);
  return Buffer.concat([head, Buffer.from(text)]);
}

function collect(stream: NodeJS.ReadableStream, length: number): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  let got = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    got = Buffer.concat([got, chunk]);
    if (got.length >= length) resolve(got);
  });
  return promise;
}

describe.skipIf(missing !== null)('softnet', () => {
  let folder: string;
  let tart: ChildProcess;
  let supervisor: Socket;
  let pid: number;
  let told: AsyncIterator<string>;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'softnet-'));
    const socket = join(folder, "it's a cable.sock");
    const wrapper = join(folder, 'softnet');
    writeFileSync(wrapper, softnetWrapper({ node: process.execPath, program: PROGRAM, socket }));
    chmodSync(wrapper, 0o755);
    const server = createServer().listen(socket);
    await once(server, 'listening');
    tart = spawn('python3', [PARENT, wrapper], { stdio: ['pipe', 'pipe', 'pipe'] });
    const connected = once(server, 'connection');
    told = createInterface({ input: tart.stderr ?? process.stdin })[Symbol.asyncIterator]();
    pid = Number((await told.next()).value);
    [supervisor] = (await connected) as [Socket];
    server.close();
  });

  afterEach(() => {
    tart.kill('SIGKILL');
    supervisor.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  it('passes frames both ways, their bounds kept', async () => {
    const frames = Array.from({ length: 500 }, (_, at) => prefixed(`frame ${at} ${'x'.repeat(at % 1_400)}`));
    const whole = Buffer.concat(frames);
    tart.stdin?.write(whole);
    expect((await collect(supervisor, whole.length)).equals(whole)).toBe(true);
    supervisor.write(whole);
    if (tart.stdout === null) throw new Error('no output');
    expect((await collect(tart.stdout, whole.length)).equals(whole)).toBe(true);
  });

  it('answers on the control socket, and ends with 0 when it is interrupted', async () => {
    expect(JSON.parse(String((await told.next()).value))).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: { allow: [], block: [], revision: '0' },
    });
    const ended = once(tart, 'exit');
    process.kill(pid, 'SIGINT');
    expect(await ended).toEqual([0, null]);
  });

  it('ends when tart is gone, and when the supervisor is', async () => {
    const closed = once(supervisor, 'close');
    supervisor.resume();
    tart.kill('SIGKILL');
    await closed;
    const deadline = performance.now() + 10_000;
    while (isRunning(pid) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isRunning(pid)).toBe(false);
  });

  it('ends with a failure when the supervisor is gone', async () => {
    const ended = once(tart, 'exit');
    supervisor.destroy();
    expect(await ended).toEqual([1, null]);
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
