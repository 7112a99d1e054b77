/** The relay's resolver port: questions by UDP and TCP to any server, and answers of every size. */
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RelayHeader } from './proxy-host.ts';
import { reasonToSkip, startGuest, type TestGuest } from './test-guest.ts';

const reason = reasonToSkip();

/** Answers each framed message with its own identifier and as many bytes as the question's first label says. */
function answerFramed(seen: RelayHeader[]) {
  return (socket: Socket, header: RelayHeader, first: Buffer) => {
    seen.push(header);
    let bytes = first;
    const take = () => {
      if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return;
      const question = bytes.subarray(2, 2 + bytes.readUInt16BE(0));
      bytes = bytes.subarray(2 + question.length);
      const wanted = /size-(\d+)/.exec(question.toString('latin1'))?.[1];
      const body = Buffer.alloc(Number(wanted ?? 64), 0x61);
      question.copy(body, 0, 0, 2);
      if (question.includes('wrong-id')) body.writeUInt16BE((question.readUInt16BE(0) + 1) & 0xffff, 0);
      if (question.includes('never')) return;
      const frame = Buffer.concat([Buffer.from([body.length >> 8, body.length & 255]), body]);
      if (question.includes('half')) return void socket.end(frame.subarray(0, 20));
      // In pieces: the answer is complete only with the last.
      socket.write(frame.subarray(0, 1));
      setImmediate(() => {
        socket.write(frame.subarray(1, 30));
        setImmediate(() => socket.write(frame.subarray(30)));
      });
    };
    take();
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      take();
    });
    socket.on('end', () => socket.end());
  };
}

/** Asks by UDP and prints `LENGTH ADDRESS PORT` of the answer, or `none`. */
const ask = (server: string, text: string, waitMs = 4_000, times = 1) => `
  const socket = require('dgram').createSocket('${server.includes(':') ? 'udp6' : 'udp4'}');
  const question = Buffer.concat([Buffer.from('123401000001000000000000', 'hex'), Buffer.from(${JSON.stringify(text)})]);
  let left = ${times};
  const timer = setTimeout(() => { console.log('none'); process.exit(); }, ${waitMs});
  socket.on('message', (answer, from) => {
    if (answer.readUInt16BE(0) !== 0x1234) throw new Error('another id');
    if (--left > 0) return;
    console.log(answer.length, from.address, from.port);
    process.exit();
  });
  for (let at = 0; at < ${times}; at++) socket.send(question, 53, '${server}');
`;

describe.skipIf(reason !== null)(`dns${reason === null ? '' : ` (${reason})`}`, () => {
  const seen: RelayHeader[] = [];
  let guest: TestGuest;
  beforeAll(async () => {
    guest = await startGuest({ dns: answerFramed(seen), proxy: (socket) => socket.destroy() });
  });
  afterAll(() => guest?.close());

  it('answers a question to 127.0.0.1, and to any other server from that server', async () => {
    for (const server of ['127.0.0.1', '8.8.8.8', '::1', '2001:db8:5::53']) {
      expect((await guest.node(ask(server, 'plain'))).stdout).toBe(`64 ${server} 53\n`);
    }
    expect(seen.map(({ transport }) => transport)).toEqual(Array(4).fill('datagram'));
    expect(seen[0]).toMatchObject({ to: '127.0.0.1:53' });
  });

  it('brings a big answer back in one datagram', async () => {
    expect((await guest.node(ask('9.9.9.9', 'size-4096'))).stdout).toBe('4096 9.9.9.9 53\n');
    expect((await guest.node(ask('9.9.9.9', 'size-60000'))).stdout).toBe('60000 9.9.9.9 53\n');
  });

  it('answers a hundred questions at once', async () => {
    expect((await guest.node(ask('9.9.9.9', 'plain', 8_000, 100))).stdout).toBe('64 9.9.9.9 53\n');
  });

  it('drops an answer with another identifier, a half one, and a question that is none', async () => {
    expect((await guest.node(ask('9.9.9.9', 'wrong-id', 300))).stdout).toBe('none\n');
    expect((await guest.node(ask('9.9.9.9', 'half', 300))).stdout).toBe('none\n');
    const before = seen.length;
    expect((await guest.node(ask('9.9.9.9', 'x'.repeat(1_400), 300))).stdout).toBe('none\n');
    await guest.node(
      `require('dgram').createSocket('udp4').send('tiny', 53, '9.9.9.9', () => process.exit())`,
    );
    expect(seen.length).toBe(before);
  });

  it('goes on when more questions hang than it keeps', async () => {
    expect((await guest.node(ask('9.9.9.9', 'never', 300, 400))).stdout).toBe('none\n');
    const { stdout } = await guest.relay(['mode']);
    expect(stdout).toBe('redirect\n');
  });

  it('passes TCP on as a stream, and frames of every size through', async () => {
    const before = seen.length;
    const { stdout } = await guest.node(`
      const socket = require('net').connect(53, '9.9.9.9');
      const question = Buffer.concat([Buffer.from('123401000001000000000000', 'hex'), Buffer.from('size-65535')]);
      let length = 0;
      socket.on('data', (chunk) => { length += chunk.length; if (length === 65537) { console.log(length); socket.end(); } });
      socket.write(Buffer.concat([Buffer.from([0, question.length]), question]));
    `);
    expect(stdout).toBe('65537\n');
    expect(seen.slice(before)).toContainEqual(
      expect.objectContaining({ transport: 'stream', to: '127.0.0.1:53' }),
    );
  });
});
