import type { Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { SandError } from '../../../../controller/errors.ts';
import type { Cable, CableEnd } from '../../../../controller/links/ethernet/cable.ts';
import type { GuestStream } from '../../../../controller/links/ethernet/guest-stream.ts';
import type { EthernetLimits } from '../../../../controller/links/ethernet/limits.ts';
import { createEthernetLink } from '../../../../controller/links/ethernet/link.ts';
import { framesOf, readTcp, readUdp, synOptions, tcpFrame, udpFrame } from './wire.ts';

/** A cable whose guest is a script. */
class Script {
  readonly sent: Buffer[] = [];
  readonly streams: GuestStream[] = [];
  readonly lost: SandError[] = [];
  dns: DatagramSocket | null = null;
  isFull = false;
  isClosed = false;
  readonly link;
  #end: CableEnd | null = null;

  constructor(limits: Partial<EthernetLimits> = {}) {
    const cable: Cable = {
      connect: (end) => {
        this.#end = end;
      },
      write: (slabs, back) => {
        this.sent.push(...framesOf(slabs));
        for (const slab of slabs) back(slab);
        return !this.isFull;
      },
      close: () => {
        this.isClosed = true;
      },
    };
    this.link = createEthernetLink({
      cable,
      ports: [80],
      limits,
      consumer: {
        stream: (stream) => this.streams.push(stream),
        datagram: (socket) => {
          this.dns = socket;
        },
        lost: (error) => this.lost.push(error),
      },
    });
  }

  get end(): CableEnd {
    if (this.#end === null) throw new Error('not connected');
    return this.#end;
  }

  async say(...frames: readonly Buffer[]): Promise<Buffer[]> {
    for (const frame of frames) {
      this.end.frame(frame, new DataView(frame.buffer, frame.byteOffset, frame.length), 0, frame.length);
    }
    this.end.settled();
    return this.heard();
  }

  async heard(): Promise<Buffer[]> {
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    return this.sent.splice(0);
  }

  async open(to = 80, destination = '203.0.113.7') {
    const spec = { from: 40_000 + this.streams.length, to, destination };
    const [syn] = (
      await this.say(tcpFrame({ ...spec, flags: 'S', seq: 99, options: synOptions(1_460, 7) }))
    ).map(readTcp);
    const other = (syn?.seq ?? 0) + 1;
    await this.say(tcpFrame({ ...spec, flags: 'A', seq: 100, ack: other }));
    const say = (flags: string, seq: number, ack: number, payload = Buffer.alloc(0)) =>
      this.say(tcpFrame({ ...spec, flags, seq: 100 + seq, ack: other + ack, payload }));
    return { stream: this.streams.at(-1), say };
  }
}

function opened(stream: GuestStream | undefined): GuestStream {
  if (stream === undefined) throw new Error('no stream');
  return stream;
}

describe('a stream of the guest', () => {
  it('knows both its ends', async () => {
    const script = new Script();
    const { localAddress, localPort, remoteAddress, remotePort } = opened((await script.open()).stream);
    expect({ localAddress, localPort, remoteAddress, remotePort }).toEqual({
      localAddress: '203.0.113.7',
      localPort: 80,
      remoteAddress: '198.18.0.2',
      remotePort: 40_000,
    });
  });

  it('carries both ways, and ends each side by itself', async () => {
    const script = new Script();
    const { stream: found, say } = await script.open();
    const stream = opened(found);
    const got: string[] = [];
    stream.on('data', (chunk: Buffer) => got.push(chunk.toString()));
    stream.on('end', () => got.push('end'));
    await say('PA', 0, 0, Buffer.from('question'));
    await say('FA', 8, 0);
    expect(got).toEqual(['question', 'end']);
    const closed = once(stream, 'close');
    stream.end('answer');
    expect((await script.heard()).map(readTcp)).toMatchObject([
      { flags: 'FPA', payload: Buffer.from('answer') },
    ]);
    await say('A', 9, 7);
    await closed;
    expect(stream.errored).toBeNull();
    expect(script.link.connections()).toBe(0);
  });

  it('makes writers wait for what the guest has not acknowledged', async () => {
    const script = new Script({ sendBytes: 100_000 });
    const { stream: found, say } = await script.open();
    const stream = opened(found);
    let written = 0;
    while (stream.write(Buffer.alloc(10_000)) && written < 1_000_000) written += 10_000;
    await script.heard();
    while (!stream.writableNeedDrain && written < 1_000_000) {
      stream.write(Buffer.alloc(10_000));
      written += 10_000;
    }
    expect(written).toBeLessThan(300_000);
    const drained = once(stream, 'drain');
    for (let ack = 1_460; stream.writableNeedDrain && ack < 400_000; ack += 1_460) await say('A', 0, ack);
    await drained;
  });

  it('shuts the guest’s window while it is paused, and opens it again', async () => {
    const script = new Script({ receiveBytes: 200_000 });
    const { stream: found, say } = await script.open();
    const stream = opened(found);
    let window = 1;
    let seq = 0;
    for (; window > 0 && seq < 400_000; seq += 1_000) {
      for (const { window: told } of (await say('PA', seq, 0, Buffer.alloc(1_000))).map(readTcp))
        window = told;
    }
    expect(window).toBe(0);
    expect(stream.unread).toBeGreaterThan(190_000);
    expect(stream.unread).toBeLessThanOrEqual(200_000);
    stream.resume();
    const updates = (await script.heard()).map(readTcp);
    expect(updates.at(-1)?.window).toBeGreaterThan(0);
    expect(stream.unread).toBe(0);
  });

  it('ends with an error where the guest resets it, and resets the guest where it is told to', async () => {
    const script = new Script();
    const { stream: first, say } = await script.open();
    const failed = once(opened(first), 'error');
    await say('R', 0, 0);
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    const second = opened((await script.open()).stream);
    second.resetAndDestroy();
    expect((await script.heard()).map(readTcp)).toMatchObject([{ flags: 'RA' }]);
    expect(second.destroyed).toBe(true);
  });

  it('tells of the time without a byte', async () => {
    const stream = opened((await new Script().open()).stream);
    const late = once(stream, 'timeout');
    stream.setTimeout(5);
    expect(stream.timeout).toBe(5);
    await late;
    stream.destroy();
  });
});

describe('the link', () => {
  it('hands over DNS datagrams as a socket does, and answers from whom was asked', async () => {
    const script = new Script();
    script.dns?.on('message', (message, from) => {
      expect(from).toMatchObject({ address: '198.18.0.2', port: 5_353 });
      script.dns?.send(
        Buffer.concat([message.subarray(0, 2), Buffer.from('answer')]),
        from.port,
        from.address,
      );
    });
    const asked = {
      destination: '203.0.113.53',
      from: 5_353,
      to: 53,
      payload: Buffer.from('\x12\x34question'),
    };
    const [answer] = (await script.say(udpFrame(asked))).map(readUdp);
    expect(answer?.ip.source).toBe('203.0.113.53');
    expect(answer?.payload.toString()).toBe('\x12\x34answer');
    script.dns?.send(Buffer.from('\x12\x34again'), 5_353, '198.18.0.2');
    expect(await script.heard()).toEqual([]);
  });

  it('keeps a bounded number of questions, of which the oldest gives way', async () => {
    const script = new Script({ queries: 2 });
    const ask = (id: string) => udpFrame({ from: 5_353, to: 53, payload: Buffer.from(`${id}question`) });
    await script.say(ask('\x00\x01'), ask('\x00\x02'), ask('\x00\x03'));
    for (const id of ['\x00\x01', '\x00\x02', '\x00\x03'])
      script.dns?.send(Buffer.from(`${id}answer`), 5_353, '198.18.0.2');
    const answers = (await script.heard()).map(readUdp);
    expect(answers.map(({ payload }) => payload[1])).toEqual([2, 3]);
  });

  it('serves the proxy auto-config itself, at the gateway alone', async () => {
    const script = new Script();
    const own = await script.open(3_129, '198.18.0.1');
    expect(script.streams).toHaveLength(0);
    const answers = await own.say('PA', 0, 0, Buffer.from('GET /proxy.pac HTTP/1.1\r\nhost: x\r\n\r\n'));
    const text = answers.map((frame) => readTcp(frame).payload.toString()).join('');
    expect(text).toContain("return 'PROXY 198.18.0.1:3128'");
    await script.open(3_129, '203.0.113.7');
    expect(script.streams).toHaveLength(1);
  });

  it('sends nothing while the cable is full, and goes on when it is not', async () => {
    const script = new Script();
    const stream = opened((await script.open()).stream);
    script.isFull = true;
    stream.write('one');
    expect(await script.heard()).toHaveLength(1);
    stream.write('two');
    expect(await script.heard()).toEqual([]);
    script.isFull = false;
    script.end.drained();
    expect((await script.heard()).map((frame) => readTcp(frame).payload.toString())).toEqual(['two']);
  });

  it('dials only what was published, and a guest that is there', async () => {
    const script = new Script();
    const dial = script.link.openWayIn([8_080]);
    expect(await dial(8_080)).toMatchObject({ ok: false, detail: 'the guest has no network yet' });
    await script.open();
    expect(await Promise.race([dial(22), script.heard()])).toMatchObject({ ok: false });
    expect(await script.heard()).toEqual([]);
    const dialled = dial(8_080);
    const [syn] = (await script.heard()).map(readTcp);
    const spec = {
      from: 8_080,
      to: syn?.from ?? 0,
      destination: '198.18.0.1',
      seq: 5,
      ack: (syn?.seq ?? 0) + 1,
    };
    await script.say(tcpFrame({ ...spec, flags: 'SA', options: synOptions(1_460) }));
    const answer = await dialled;
    if (!answer.ok) throw new Error(answer.detail);
    answer.socket.end('hi');
    expect((await script.heard()).map((frame) => readTcp(frame).payload.toString())).toEqual(['hi']);
    const refused = dial(8_080);
    const [again] = (await script.heard()).map(readTcp);
    await script.say(tcpFrame({ ...spec, to: again?.from ?? 0, ack: (again?.seq ?? 0) + 1, flags: 'RA' }));
    expect(await refused).toEqual({ ok: false, detail: 'it refused the connection' });
  });

  it('says that it is lost, and ends what was open', async () => {
    const script = new Script();
    const stream = opened((await script.open()).stream);
    script.end.lost('its other end was closed');
    expect(script.lost).toMatchObject([{ code: 'link-failed' }]);
    expect(script.isClosed).toBe(true);
    await nextTurn();
    expect(stream.destroyed).toBe(true);
    script.link.close();
    expect(script.lost).toHaveLength(1);
  });

  it('resets everything when it is closed, and says nothing of it', async () => {
    const script = new Script();
    await script.open();
    script.link.close();
    expect((await script.heard()).map(readTcp)).toMatchObject([{ flags: 'RA' }]);
    expect(script.lost).toEqual([]);
    expect(await script.link.openWayIn([80])(80)).toMatchObject({ ok: false });
  });
});
