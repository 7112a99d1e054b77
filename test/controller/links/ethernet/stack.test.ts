import { describe, expect, it } from 'vitest';
import {
  Bench,
  ethernet,
  GUEST_MAC,
  ipFrame,
  Peer,
  readIp,
  readUdp,
  sumOf,
  synOptions,
  tcpFrame,
  udpFrame,
} from './wire.ts';

function arp(operation: number, target: string): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  const sender = Buffer.concat([Buffer.from(GUEST_MAC, 'hex'), Buffer.from([198, 18, 0, 2])]);
  const asked = Buffer.concat([Buffer.alloc(6), Buffer.from(target.split('.').map(Number))]);
  return ethernet(0x0806, Buffer.concat([head, sender, asked]), 'ffffffffffff');
}

function echo(destination: string, type = 8): Buffer {
  const message = Buffer.concat([Buffer.from([type, 0, 0, 0, 1, 2, 0, 7]), Buffer.from('ping')]);
  message.writeUInt16BE(sumOf(message) ^ 0xffff, 2);
  return ipFrame({ destination, protocol: 1, payload: message });
}

describe('ARP', () => {
  it('tells where the gateway is', () => {
    const [answer] = new Bench().send(arp(1, '198.18.0.1'));
    expect(answer?.toString('hex')).toBe(
      `${GUEST_MAC}020073616e640806000108000604000202007361 6e64c6120001${GUEST_MAC}c6120002`.replace(
        ' ',
        '',
      ),
    );
  });

  it('tells of nobody else, and asks nobody', () => {
    const bench = new Bench();
    expect(bench.send(arp(1, '198.18.0.3'), arp(2, '198.18.0.1'), arp(1, '203.0.113.7'))).toEqual([]);
    expect(bench.send(ethernet(0x0806, Buffer.alloc(10)))).toEqual([]);
    expect(bench.stack.drops().get('bad-arp')).toBe(1);
  });
});

describe('ICMP', () => {
  it('answers an echo to the gateway', () => {
    const [answer] = new Bench().send(echo('198.18.0.1'));
    const { source, destination, payload } = readIp(answer ?? Buffer.alloc(0));
    expect({ source, destination }).toEqual({ source: '198.18.0.1', destination: '198.18.0.2' });
    expect(payload[0]).toBe(0);
    expect(payload.subarray(4).toString('hex')).toBe(`01020007${Buffer.from('ping').toString('hex')}`);
    expect(sumOf(payload)).toBe(0xffff);
  });

  it('refuses an echo to anybody else, and counts it', () => {
    const bench = new Bench();
    const [answer] = bench.send(echo('203.0.113.7'));
    expect([...(answer ? readIp(answer).payload.subarray(0, 2) : [])]).toEqual([3, 13]);
    expect(bench.stack.tried()).toEqual([{ transport: 'icmp', address: '203.0.113.7', port: 0, count: 1 }]);
  });

  it('answers no error with an error, nor what is damaged', () => {
    const bench = new Bench();
    const damaged = echo('198.18.0.1');
    damaged[damaged.length - 1] = 0;
    expect(bench.send(echo('198.18.0.1', 3), damaged)).toEqual([]);
    expect(bench.stack.drops().get('bad-icmp')).toBe(1);
  });
});

describe('UDP', () => {
  it('hands over DNS to any server, and answers from there', () => {
    const bench = new Bench();
    const question = Buffer.from('a question');
    for (const destination of ['198.18.0.1', '203.0.113.53']) {
      expect(bench.send(udpFrame({ destination, from: 5_353, to: 53, payload: question }))).toEqual([]);
    }
    expect(bench.queries.map(({ message }) => message.toString())).toEqual(['a question', 'a question']);
    for (const query of bench.queries) bench.stack.answer(query, Buffer.from('an answer'));
    const answers = bench.settle().map(readUdp);
    expect(answers.map(({ ip: { source }, from, to }) => ({ source, from, to }))).toEqual([
      { source: '198.18.0.1', from: 53, to: 5_353 },
      { source: '203.0.113.53', from: 53, to: 5_353 },
    ]);
  });

  it('refuses everything else at once, and counts where it went', () => {
    const bench = new Bench();
    const quic = udpFrame({ destination: '203.0.113.7', from: 9, to: 443, payload: Buffer.from('quic') });
    const [refusal] = bench.send(quic);
    const { source, payload } = readIp(refusal ?? Buffer.alloc(0));
    expect(source).toBe('198.18.0.1');
    expect([payload[0], payload[1]]).toEqual([3, 13]);
    expect(payload.subarray(8)).toEqual(quic.subarray(14, 14 + 28));
    bench.send(quic);
    expect(bench.stack.tried()).toEqual([{ transport: 'udp', address: '203.0.113.7', port: 443, count: 2 }]);
  });

  it('says nothing to what goes to many, but counts it', () => {
    const bench = new Bench();
    const spec = { from: 5_353, to: 5_353, payload: Buffer.from('mdns') };
    expect(bench.send(udpFrame({ ...spec, destination: '224.0.0.251', mac: '01005e0000fb' }))).toEqual([]);
    expect(bench.send(udpFrame({ ...spec, destination: '224.0.0.251' }))).toEqual([]);
    expect(bench.stack.tried()).toMatchObject([{ address: '224.0.0.251', port: 5_353, count: 2 }]);
  });
});

describe('what is dropped', () => {
  const segment = { from: 1, to: 80, flags: 'S', seq: 1, options: synOptions(1_460) };
  const raw = (spec: Partial<Parameters<typeof ipFrame>[0]>) =>
    ipFrame({ protocol: 6, payload: Buffer.alloc(20), ...spec });

  it.each([
    ['short-frame', Buffer.alloc(13)],
    ['not-for-the-gateway', ethernet(0x0800, Buffer.alloc(40), '0a0000000001')],
    ['unknown-ethertype', ethernet(0x8100, Buffer.alloc(40))],
    ['bad-ip-header', ethernet(0x0800, Buffer.alloc(40))],
    ['bad-ip-header', ethernet(0x0800, Buffer.from('45', 'hex'))],
    ['bad-ip-header', raw({ payload: Buffer.alloc(40) }).subarray(0, 14 + 40)],
    ['ip-fragment', raw({ fragment: 0x2000 })],
    ['ip-fragment', raw({ fragment: 0x0010 })],
    ['ip-source-route', raw({ options: Buffer.from([131, 4, 4, 0]) })],
    ['ip-source-route', raw({ options: Buffer.from([1, 137, 3, 4]) })],
    ['wrong-source-address', tcpFrame({ ...segment, source: '198.18.0.7' })],
    ['wrong-destination-address', tcpFrame({ ...segment, destination: '198.18.0.2' })],
    ['wrong-destination-address', tcpFrame({ ...segment, destination: '224.0.0.1' })],
    ['wrong-destination-address', tcpFrame({ ...segment, destination: '255.255.255.255' })],
    ['wrong-destination-address', tcpFrame({ ...segment, destination: '0.0.0.0' })],
    ['bad-tcp', raw({ payload: Buffer.alloc(19) })],
    ['bad-udp', raw({ protocol: 17, payload: Buffer.alloc(7) })],
    ['refused-protocol', raw({ protocol: 132 })],
  ])('%s', (reason, frame) => {
    const bench = new Bench();
    const answers = bench.send(frame);
    expect([...bench.stack.drops()]).toEqual([[reason, 1]]);
    expect(answers.filter((answer) => readIp(answer).protocol !== 1)).toEqual([]);
    expect(bench.stack.connections).toBe(0);
  });

  it('a question whose checksum is wrong, and not one without', () => {
    const question = udpFrame({ from: 5_353, to: 53, payload: Buffer.from('a question') });
    const [damaged, unsummed] = [Buffer.from(question), Buffer.from(question)];
    damaged[question.length - 1] = 0;
    unsummed.writeUInt16BE(0, 14 + 20 + 6);
    const bench = new Bench();
    expect(bench.send(damaged, unsummed)).toEqual([]);
    expect([...bench.stack.drops()]).toEqual([['bad-udp', 1]]);
    expect(bench.queries).toHaveLength(1);
  });

  it('a question to many', () => {
    const spec = { from: 5_353, to: 53, payload: Buffer.from('a question') };
    const bench = new Bench();
    bench.send(udpFrame({ ...spec, destination: '224.0.0.251' }), udpFrame({ ...spec, mac: 'ffffffffffff' }));
    expect(bench.queries).toEqual([]);
  });

  it.each([
    ['bad-tcp-checksum', 14 + 20 + 4],
    ['bad-ip-checksum', 14 + 8],
  ])('%s', (reason, at) => {
    const frame = tcpFrame({ ...segment });
    frame[at] = (frame[at] ?? 0) ^ 0xff;
    const bench = new Bench();
    expect(bench.send(frame)).toEqual([]);
    expect([...bench.stack.drops()]).toEqual([[reason, 1]]);
  });

  it('IPv6, with what was tried by it', () => {
    const packet = Buffer.alloc(60);
    packet[0] = 0x60;
    packet[6] = 6;
    Buffer.from('20010db8000000000000000000000007', 'hex').copy(packet, 24);
    packet.writeUInt16BE(443, 42);
    const solicitation = Buffer.from(packet);
    solicitation[6] = 58;
    const bench = new Bench();
    expect(
      bench.send(ethernet(0x86dd, packet), ethernet(0x86dd, solicitation), ethernet(0x86dd, Buffer.alloc(3))),
    ).toEqual([]);
    expect(bench.stack.drops().get('ipv6')).toBe(3);
    expect(bench.stack.tried()).toEqual([{ transport: 'tcp', address: '2001:db8::7', port: 443, count: 1 }]);
  });

  it('is counted for a bounded number of destinations', () => {
    const bench = new Bench([], { refusedDestinations: 10 });
    for (let port = 1_000; port < 1_100; port += 1) bench.send(tcpFrame({ ...segment, to: port }));
    expect(bench.stack.tried()).toHaveLength(10);
  });

  it('is what finds the cable full', () => {
    const bench = new Bench([80], { cableBytes: 1_000 });
    const pings = Array.from({ length: 1_000 }, () => echo('198.18.0.1'));
    expect(bench.send(...pings).length).toBeLessThan(25);
    expect(bench.stack.batch.dropped).toBeGreaterThan(900);
    expect(new Peer(bench).open().heard).toEqual([]);
  });
});

it('reads over harmless options of IPv4 and the padding of short frames', () => {
  const bench = new Bench();
  const plain = tcpFrame({ from: 1, to: 80, flags: 'S', seq: 1, options: synOptions(1_460) });
  const options = Buffer.from([7, 3, 4, 0]);
  const spec = { destination: '203.0.113.7', protocol: 6, payload: plain.subarray(34), options };
  expect(bench.send(Buffer.concat([ipFrame(spec), Buffer.alloc(20)]))).toHaveLength(1);
  expect(bench.stack.connections).toBe(1);
});
