/** The program that dials in a guest, run here: its first byte, both halves, and what is in its way; and which way in is taken. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { dialWords, openWayIn } from '../../../../controller/backends/tart/way-in.ts';

const CLOSED_PORT = 1;

describe('the dialling program', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function serve(host: string, handle: (socket: Socket) => void): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, handle);
    servers.push(server);
    await once(server.listen(0, host), 'listening');
    return (server.address() as AddressInfo).port;
  }
  function dial(port: number): ChildProcess {
    const [program = '', ...args] = dialWords(port);
    return spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  }
  async function said(child: ChildProcess): Promise<Buffer> {
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(child, 'close');
    return Buffer.concat(chunks);
  }

  it.each(['127.0.0.1', '::1'])(
    'reaches a server at %s, and passes the end of the caller\u2019s half on',
    async (host) => {
      const port = await serve(host, (socket) => {
        const chunks: Buffer[] = [];
        socket.on('data', (chunk: Buffer) => chunks.push(chunk));
        socket.on('end', () => socket.end(Buffer.concat([Buffer.from('got '), ...chunks])));
      });
      const child = dial(port);
      child.stdin?.end('all of it');
      expect((await said(child)).toString()).toBe('\u0001got all of it');
    },
  );

  it('carries megabytes both ways at one time', async () => {
    const bytes = Buffer.alloc(4 * 1024 * 1024, 'sand');
    const port = await serve('127.0.0.1', (socket) => void socket.pipe(socket));
    const child = dial(port);
    child.stdin?.end(bytes);
    expect((await said(child)).subarray(1).equals(bytes)).toBe(true);
  });

  it('ends with the server, whatever the caller still sends', async () => {
    const port = await serve('127.0.0.1', (socket) => socket.end('bye'));
    expect((await said(dial(port))).toString()).toBe('\u0001bye');
  });

  it('says where nobody listens', async () => {
    expect((await said(dial(CLOSED_PORT))).toString()).toBe('\u0000nobody listens there');
  });
});

describe('the way in', () => {
  it('is the cable wherever that leads to the server', async () => {
    const socket = new PassThrough();
    const way = openWayIn(async () => ({ ok: true, socket }), 'sand-none', [80]);
    expect(await way(80)).toEqual({ ok: true, socket });
  });

  it('tells of the cable\u2019s refusal where neither does, and dials nothing that is not published', async () => {
    const refused = { ok: false, detail: 'it is not published' } as const;
    expect(await openWayIn(async () => refused, 'sand-none', [80])(81)).toEqual(refused);
  });
});
