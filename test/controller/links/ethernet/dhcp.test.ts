import { describe, expect, it } from 'vitest';
import { Bench, GUEST_MAC, readUdp, udpFrame } from './wire.ts';

interface Asked {
  readonly type: number;
  readonly mac?: string;
  readonly flags?: number;
  readonly clientAddress?: string;
  readonly options?: readonly (readonly [number, readonly number[]])[];
  readonly destination?: string;
}

const GATEWAY = [198, 18, 0, 1];
const GUEST = [198, 18, 0, 2];

function dhcp({
  type,
  mac = GUEST_MAC,
  flags = 0,
  clientAddress = '0.0.0.0',
  options = [],
  destination,
}: Asked): Buffer {
  const fixed = Buffer.alloc(240);
  fixed.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
  fixed.writeUInt16BE(flags, 10);
  fixed.set(clientAddress.split('.').map(Number), 12);
  Buffer.from(mac, 'hex').copy(fixed, 28);
  fixed.writeUInt32BE(0x6382_5363, 236);
  const all = [[53, [type]] as const, ...options];
  const encoded = all.flatMap(([code, value]) => [code, value.length, ...value]);
  const payload = Buffer.concat([fixed, Buffer.from([...encoded, 255])]);
  const to = destination ?? '255.255.255.255';
  return udpFrame({
    source: clientAddress,
    destination: to,
    from: 68,
    to: 67,
    payload,
    ...(to === '255.255.255.255' ? { mac: 'ffffffffffff' } : {}),
  });
}

function readAnswer(frame: Buffer | undefined) {
  if (frame === undefined) return null;
  const { ip, from, to, payload } = readUdp(frame);
  expect([from, to]).toEqual([67, 68]);
  expect(payload.toString('hex', 4, 8)).toBe('deadbeef');
  const options = new Map<number, number[]>();
  for (let at = 240; payload[at] !== 255; at += 2 + (payload[at + 1] ?? 0)) {
    options.set(payload[at] ?? 0, [...payload.subarray(at + 2, at + 2 + (payload[at + 1] ?? 0))]);
  }
  return {
    mac: frame.toString('hex', 0, 6),
    destination: ip.destination,
    yours: [...payload.subarray(16, 20)],
    type: options.get(53)?.[0],
    options,
  };
}

describe('DHCP', () => {
  it('offers the one address, with all that a guest has to know', () => {
    const answer = readAnswer(
      new Bench().send(
        dhcp({
          type: 1,
          options: [
            [55, [1, 3, 6, 252]],
            [61, [1, 2, 3]],
          ],
        }),
      )[0],
    );
    expect(answer).toMatchObject({ type: 2, yours: GUEST, mac: GUEST_MAC, destination: '198.18.0.2' });
    const { options } = answer ?? { options: new Map<number, number[]>() };
    expect(options.get(1)).toEqual([255, 255, 255, 252]);
    expect(options.get(3)).toEqual(GATEWAY);
    expect(options.get(6)).toEqual(GATEWAY);
    expect(options.get(26)).toEqual([0x05, 0xdc]);
    expect(options.get(51)).toEqual([0, 1, 0x51, 0x80]);
    expect(options.get(54)).toEqual(GATEWAY);
    expect(options.get(61)).toEqual([1, 2, 3]);
    expect(Buffer.from(options.get(252) ?? []).toString()).toBe('http://198.18.0.1:3129/proxy.pac');
  });

  it('names the proxy only to whom asks for it', () => {
    expect(readAnswer(new Bench().send(dhcp({ type: 1 }))[0])?.options.has(252)).toBe(false);
  });

  it('answers by broadcast where the client cannot hear otherwise', () => {
    const answer = readAnswer(new Bench().send(dhcp({ type: 1, flags: 0x8000 }))[0]);
    expect(answer).toMatchObject({ mac: 'ffffffffffff', destination: '255.255.255.255' });
  });

  it('gives the address, and again when it is renewed', () => {
    const bench = new Bench();
    const chosen = dhcp({
      type: 3,
      options: [
        [50, GUEST],
        [54, GATEWAY],
      ],
    });
    expect(readAnswer(bench.send(chosen)[0])).toMatchObject({ type: 5, yours: GUEST });
    const renewed = dhcp({ type: 3, clientAddress: '198.18.0.2', destination: '198.18.0.1' });
    expect(readAnswer(bench.send(renewed)[0])).toMatchObject({
      type: 5,
      yours: GUEST,
      destination: '198.18.0.2',
    });
  });

  it('refuses an address of another network, and leaves another server its client', () => {
    const bench = new Bench();
    const remembered = dhcp({ type: 3, options: [[50, [192, 168, 1, 5]]] });
    expect(readAnswer(bench.send(remembered)[0])).toMatchObject({
      type: 6,
      yours: [0, 0, 0, 0],
      mac: 'ffffffffffff',
    });
    expect(
      bench.send(
        dhcp({
          type: 3,
          options: [
            [50, GUEST],
            [54, [192, 168, 1, 1]],
          ],
        }),
      ),
    ).toEqual([]);
  });

  it('has one lease: another station gets it only once it is given back, or over', () => {
    const bench = new Bench([], { leaseSeconds: 60 });
    const other = dhcp({ type: 1, mac: '0a0000000009' });
    bench.send(dhcp({ type: 3, options: [[50, GUEST]] }));
    expect(bench.send(other)).toEqual([]);
    expect(bench.stack.drops().get('second-lease')).toBe(1);
    bench.nowMs += 61_000;
    expect(readAnswer(bench.send(other)[0])?.type).toBe(2);
    bench.send(dhcp({ type: 3, options: [[50, GUEST]] }));
    bench.send(dhcp({ type: 7, clientAddress: '198.18.0.2', destination: '198.18.0.1' }));
    expect(readAnswer(bench.send(other)[0])?.type).toBe(2);
  });

  it('gives settings without a lease to whom has an address', () => {
    const answer = readAnswer(new Bench().send(dhcp({ type: 8, clientAddress: '198.18.0.2' }))[0]);
    expect(answer).toMatchObject({ type: 5, yours: [0, 0, 0, 0] });
    expect(answer?.options.has(51)).toBe(false);
    expect(answer?.options.get(6)).toEqual(GATEWAY);
  });

  it('says nothing to what is none of it', () => {
    const bench = new Bench();
    const cut = dhcp({ type: 1, options: [[55, [1]]] });
    const short = udpFrame({
      from: 68,
      to: 67,
      destination: '198.18.0.1',
      source: '0.0.0.0',
      payload: Buffer.alloc(30),
    });
    const stray = dhcp({ type: 1, destination: '203.0.113.67' });
    expect(bench.send(short, stray, dhcp({ type: 4 }), dhcp({ type: 99 }))).toEqual([]);
    expect(bench.stack.drops().get('bad-dhcp')).toBe(1);
    expect(bench.send(cut)).toHaveLength(1);
  });
});
