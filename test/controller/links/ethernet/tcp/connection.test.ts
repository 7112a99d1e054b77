import { describe, expect, it } from 'vitest';
import { Bench, Peer, readTcp, synOptions, tcpFrame } from '../wire.ts';

describe('the handshake', () => {
  it('takes a connection towards any address, with its segment size and window scale', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const [answer] = bench.send(peer.frame('S', 0));
    if (answer === undefined) throw new Error('no answer');
    const { source, flags, window, options } = readTcp(answer);
    expect({ source, flags, window }).toEqual({ source: '203.0.113.7', flags: 'SA', window: 0xffff });
    expect(options.toString('hex')).toBe('020405b401030304');
    peer.line(answer);
    expect(peer.say('A', 1, 1)).toEqual([]);
    expect(bench.readers[0]?.connection.ends.envelope.source).toBe(0xcb00_7107);
  });

  it('scales no window where the guest does not', () => {
    const bench = new Bench();
    const peer = new Peer(bench, { options: synOptions(1_000) });
    const [answer] = bench.send(peer.frame('S', 0));
    expect(answer === undefined ? '' : readTcp(answer).options.toString('hex')).toBe('020405b4');
  });

  it('answers a SYN that comes again, and gives up on a guest that never goes on', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    expect(peer.say('S', 0)).toEqual(['SA 0 1']);
    expect(peer.say('S', 0)).toEqual(['SA 0 1']);
    expect(peer.pass(100_000)).toEqual(['1000ms SA 0 1', '3000ms SA 0 1', '7000ms SA 0 1', '15000ms SA 0 1']);
    expect(bench.stack.connections).toBe(0);
    expect(bench.readers).toHaveLength(0);
  });

  it('resets an acknowledgement of something else, and takes the right one afterwards', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    peer.say('S', 0);
    expect(peer.say('A', 1, 77)).toEqual(['R 77 -']);
    expect(peer.say('A', 1, 1)).toEqual([]);
    expect(bench.readers).toHaveLength(1);
  });

  it('resets what is not planted, and counts where it went', () => {
    const bench = new Bench([80]);
    const peer = new Peer(bench, { to: 81 });
    const [answer] = bench.send(peer.frame('S', 0));
    expect(answer === undefined ? null : readTcp(answer)).toMatchObject({
      flags: 'RA',
      source: '203.0.113.7',
      ack: 0xffff_ff01,
    });
    expect(bench.stack.tried()).toEqual([{ transport: 'tcp', address: '203.0.113.7', port: 81, count: 1 }]);
    bench.stack.plant([81]);
    expect(peer.say('S', 0)).toEqual(['SA 0 1']);
  });

  it('resets a segment of no connection with the number that it acknowledges', () => {
    const bench = new Bench();
    const [answer] = bench.send(tcpFrame({ from: 5, to: 80, flags: 'A', seq: 7, ack: 4_711 }));
    expect(answer === undefined ? null : readTcp(answer)).toMatchObject({ flags: 'R', seq: 4_711 });
    expect(bench.send(tcpFrame({ from: 5, to: 80, flags: 'R', seq: 7 }))).toEqual([]);
    expect(bench.stack.drops().get('no-connection')).toBe(2);
  });

  it('holds no more half-open connections than its bound, and lets what is open be', () => {
    const bench = new Bench([80], { halfOpen: 8 });
    const open = new Peer(bench, { from: 1 });
    const reader = open.open();
    for (let from = 100; from < 1_100; from += 1) bench.send(new Peer(bench, { from }).frame('S', 0));
    expect(bench.stack.connections).toBe(9);
    open.say('PA', 1, 1, 'still here');
    expect(reader.bytes.toString()).toBe('still here');
    bench.pass(60_000);
    expect(bench.stack.connections).toBe(1);
  });

  it('resets beyond the bound on connections', () => {
    const bench = new Bench([80], { connections: 2 });
    for (const from of [1, 2]) new Peer(bench, { from }).open();
    expect(new Peer(bench, { from: 3 }).say('S', 0)).toEqual([expect.stringMatching(/^RA /)]);
    expect(bench.stack.tried()).toEqual([]);
  });
});

describe('what the guest sends', () => {
  it('is acknowledged at once at first, then each second segment or after a moment', () => {
    const bench = new Bench([80], { quickAcks: 1, receiveBytes: 0xffff });
    const peer = new Peer(bench);
    const reader = peer.open();
    expect(peer.say('PA', 1, 1, 'one')).toEqual([]);
    expect(peer.pass(100)).toEqual(['20ms A 1 4']);
    expect(peer.say('PA', 4, 1, 'two')).toEqual([]);
    expect(peer.say('PA', 7, 1, 'three')).toEqual(['A 1 12']);
    expect(peer.pass(1_000)).toEqual([]);
    expect(reader.bytes.toString()).toBe('onetwothree');
  });

  it('is put in order, each gap told at once', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    expect(peer.say('PA', 4, 1, 'def')).toEqual(['A 1 1']);
    expect(peer.say('PA', 10, 1, 'jkl')).toEqual(['A 1 1']);
    expect(peer.say('PA', 5, 1, 'efg')).toEqual(['A 1 1']);
    expect(reader.bytes.toString()).toBe('');
    expect(peer.say('PA', 1, 1, 'abc')).toEqual(['A 1 8']);
    expect(peer.say('PA', 6, 1, 'fghi')).toEqual(['A 1 13']);
    expect(reader.bytes.toString()).toBe('abcdefghijkl');
  });

  it('is taken once, however often it comes', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    peer.say('PA', 1, 1, 'abc');
    expect(peer.say('PA', 1, 1, 'abc')).toEqual(['A 1 4']);
    expect(peer.say('PA', 2, 1, 'bcdef')).toEqual(['A 1 7']);
    expect(reader.bytes.toString()).toBe('abcdef');
  });

  it('is held by a bounded number of segments, of one connection and of all', () => {
    const bench = new Bench([80], { heldSegments: 4, heldTotalSegments: 6 });
    const peers = [new Peer(bench, { from: 1 }), new Peer(bench, { from: 2 })];
    const readers = peers.map((peer) => peer.open());
    for (const peer of peers) for (let at = 0; at < 10; at += 1) peer.say('PA', 3 + 2 * at, 1, 'x');
    for (const [index, peer] of peers.entries()) {
      for (let at = 1; at < 23; at += 1) if (at % 2 === 0 || at === 1) peer.say('PA', at, 1, 'y');
      // What found no room is missing, and nothing else is.
      expect(readers[index]?.bytes.length).toBe(index === 0 ? 10 : 6);
    }
  });

  it('shuts the window while nobody reads, and opens it by reading', () => {
    const bench = new Bench([80], { receiveBytes: 4_000 });
    const peer = new Peer(bench, { options: synOptions(1_460) });
    const reader = peer.open();
    reader.isReading = false;
    const filled = bench.send(
      peer.frame('PA', 1, 1, 'x'.repeat(1_460)),
      peer.frame('PA', 1_461, 1, 'y'.repeat(1_460)),
    );
    expect(filled.map((frame) => readTcp(frame).window)).toEqual([1_080]);
    const over = bench.send(peer.frame('PA', 2_921, 1, 'z'.repeat(1_460)));
    expect(over.map((frame) => readTcp(frame))).toMatchObject([
      { window: 0, ack: (peer.first + 4_001) >>> 0 },
    ]);
    expect(reader.bytes.length).toBe(4_000);
    // A probe of a byte is refused with the same answer.
    expect(peer.say('A', 4_001, 1, 'p')).toEqual(['A 1 4001']);
    reader.read(100);
    expect(bench.settle()).toEqual([]);
    reader.read(3_900);
    expect(bench.settle().map((frame) => readTcp(frame).window)).toEqual([4_000]);
    expect(peer.say('PA', 4_001, 1, 'more')).toEqual(['A 1 4005']);
  });

  it('has little room in each connection once all together hold too much', () => {
    const bench = new Bench([80], { receiveTotalBytes: 1_000, receiveScantBytes: 500 });
    const first = new Peer(bench, { from: 1, options: synOptions(1_460) });
    const reader = first.open();
    reader.isReading = false;
    first.say('PA', 1, 1, 'x'.repeat(1_400));
    const second = new Peer(bench, { from: 2, options: synOptions(1_460) });
    second.open().isReading = false;
    const answers: number[] = [];
    for (let at = 0; at < 50; at += 1) {
      const frames = bench.send(second.frame('PA', 1 + 1_400 * at, 1, 'x'.repeat(1_400)));
      answers.push(...frames.map((frame) => readTcp(frame).window));
    }
    // What had been told before is kept; nothing is added.
    expect(bench.readers[1]?.unread).toBe(0xffff);
    expect(answers.at(-1)).toBe(0);
  });
});

describe('what the guest is sent', () => {
  it('is cut into segments of its size, and waited for', () => {
    const bench = new Bench();
    const peer = new Peer(bench, { options: synOptions(1_000, 7) });
    const { connection } = peer.open();
    connection.write(Buffer.alloc(2_500, 'x'));
    expect(peer.read(bench.settle())).toEqual(['A 1 1 [1000]', 'A 1001 1 [1000]', 'PA 2001 1 [500]']);
    expect(connection.pendingBytes).toBe(2_500);
    expect(peer.say('A', 1, 2_501)).toEqual([]);
    expect(connection.pendingBytes).toBe(0);
    expect(peer.pass(3_600_000)).toEqual([]);
  });

  it('is sent again after longer and longer, and given up with a reset', () => {
    const bench = new Bench([80], { retransmissions: 5 });
    const peer = new Peer(bench);
    const reader = peer.open();
    reader.connection.write(Buffer.from('hello'));
    expect(peer.read(bench.settle())).toEqual(['PA 1 1 hello']);
    expect(peer.pass(60_000)).toEqual([
      '200ms PA 1 1 hello',
      '600ms PA 1 1 hello',
      '1400ms PA 1 1 hello',
      '3000ms PA 1 1 hello',
      '6200ms PA 1 1 hello',
      '12600ms RA 6 1',
    ]);
    expect(reader.heard).toEqual(['timed-out']);
    expect(bench.stack.connections).toBe(0);
  });

  it('measures no segment that was sent twice', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const { connection } = peer.open();
    connection.write(Buffer.from('a'));
    bench.settle();
    bench.pass(5_000);
    // Acknowledged five seconds late: a measure of it would make the next wait seconds long.
    peer.say('A', 1, 2);
    connection.write(Buffer.from('b'));
    bench.settle();
    expect(peer.pass(300)).toEqual(['200ms PA 2 1 b']);
  });

  it('is sent again at the third duplicate acknowledgement, without waiting', () => {
    const bench = new Bench([80], { initialSegments: 5 });
    const peer = new Peer(bench, { options: synOptions(100, 7) });
    const { connection } = peer.open();
    connection.write(Buffer.alloc(1_000, 'x'));
    bench.settle();
    // RFC 3042: the first two let something new out.
    expect(peer.say('A', 1, 1)).toEqual(['A 501 1 [100]']);
    expect(peer.say('A', 1, 1)).toEqual(['A 601 1 [100]']);
    expect(peer.say('A', 1, 1)).toEqual(['A 1 1 [100]']);
    // A second hole: told by an acknowledgement of less than was sent.
    expect(peer.say('A', 1, 301)).toEqual(expect.arrayContaining(['A 301 1 [100]']));
    expect(peer.say('A', 1, 701)).toEqual(['A 701 1 [100]', 'A 801 1 [100]', 'PA 901 1 [100]']);
    expect(peer.say('A', 1, 1_001)).toEqual([]);
    expect(connection.pendingBytes).toBe(0);
  });

  it('keeps within the window, and asks for more as long as the guest is there', () => {
    const bench = new Bench();
    const peer = new Peer(bench, { options: synOptions(1_460) });
    const { connection } = peer.open();
    peer.say('A', 1, 1, '', 0);
    connection.write(Buffer.from('waiting'));
    expect(peer.read(bench.settle())).toEqual([]);
    let probes = 0;
    for (let minute = 0; minute < 600; minute += 1) {
      const sent = peer.pass(60_000);
      probes += sent.length;
      for (const line of sent) expect(line).toMatch(/ A 0 1$/);
      expect(peer.say('A', 1, 1, '', 0)).toEqual([]);
    }
    expect(probes).toBeGreaterThan(500);
    expect(peer.say('A', 1, 1, '', 1_000)).toEqual(['PA 1 1 waiting']);
  });

  it('gives up on a guest that shut its window and is gone', () => {
    const bench = new Bench([80], { retransmissions: 4 });
    const peer = new Peer(bench);
    const reader = peer.open();
    peer.say('A', 1, 1, '', 0);
    reader.connection.write(Buffer.from('waiting'));
    bench.settle();
    bench.pass(600_000);
    expect(reader.heard).toEqual(['timed-out']);
  });

  it('is no crumb because of a narrow window, but does not wait for ever', () => {
    const bench = new Bench();
    const peer = new Peer(bench, { options: synOptions(1_460) });
    const { connection } = peer.open();
    peer.say('A', 1, 1, '', 100);
    connection.write(Buffer.alloc(1_000, 'x'));
    expect(peer.read(bench.settle())).toEqual([]);
    expect(peer.pass(300)).toEqual(['200ms A 1 1 [100]']);
  });

  it('crosses the end of the sequence numbers', () => {
    const probe = new Bench();
    const first = new Peer(probe);
    first.say('S', 0);
    const startMs = 1_000_000 + (0x1_0000_0000 - 500 - first.other) / 250;
    const bench = new Bench([80], {}, startMs);
    const peer = new Peer(bench);
    const { connection } = peer.open();
    expect(peer.other).toBeGreaterThan(0xffff_f000);
    connection.write(Buffer.alloc(5_000, 'x'));
    expect(peer.read(bench.settle())).toEqual([
      'A 1 1 [1460]',
      'A 1461 1 [1460]',
      'A 2921 1 [1460]',
      'PA 4381 1 [620]',
    ]);
    expect(peer.say('A', 1, 5_001)).toEqual([]);
    expect(connection.pendingBytes).toBe(0);
  });
});

describe('the end', () => {
  it('comes from the guest first: what is left is still delivered', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    expect(peer.say('FA', 1, 1)).toEqual(['A 1 2']);
    expect(reader.heard).toEqual(['ended']);
    reader.connection.write(Buffer.from('after'));
    reader.connection.end();
    expect(peer.read(bench.settle())).toEqual(['FPA 1 2 after']);
    expect(peer.say('A', 2, 7)).toEqual([]);
    expect(reader.heard).toEqual(['ended', 'done']);
    expect(bench.stack.connections).toBe(0);
  });

  it('comes from here first: the guest is still heard, and its last word answered for a while', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    reader.connection.end();
    expect(peer.read(bench.settle())).toEqual(['FA 1 1']);
    expect(peer.say('A', 1, 2)).toEqual([]);
    expect(peer.say('PA', 1, 2, 'still')).toEqual(['A 2 6']);
    expect(peer.pass(3_600_000)).toEqual([]);
    expect(peer.say('FA', 6, 2)).toEqual(['A 2 7']);
    expect(reader.bytes.toString()).toBe('still');
    expect(reader.heard).toEqual(['ended', 'done']);
    expect(peer.say('FA', 6, 2)).toEqual(['A 2 7']);
    expect(bench.stack.connections).toBe(1);
    bench.pass(11_000);
    expect(bench.stack.connections).toBe(0);
  });

  it('comes from both at once', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    reader.connection.end();
    bench.settle();
    expect(peer.say('FA', 1, 1)).toEqual(['A 2 2']);
    expect(peer.say('A', 2, 2)).toEqual([]);
    expect(reader.heard).toEqual(['ended', 'done']);
  });

  it('is sent again until it is acknowledged', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const { connection } = peer.open();
    connection.end();
    bench.settle();
    expect(peer.pass(1_000)).toEqual(['200ms FA 1 1', '600ms FA 1 1']);
  });

  it('lets a new connection of the same ends begin', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    peer.open().connection.end();
    bench.settle();
    peer.say('FA', 1, 2);
    expect(bench.stack.connections).toBe(1);
    const again = new Peer(bench, { first: peer.first + 1_000 });
    expect(again.say('S', 0)).toEqual(['SA 0 1']);
    again.say('A', 1, 1);
    expect(bench.readers).toHaveLength(2);
  });

  it('keeps a bounded number of those that wait out', () => {
    const bench = new Bench([80], { timeWaits: 3 });
    for (let from = 1; from <= 10; from += 1) {
      const peer = new Peer(bench, { from });
      peer.open().connection.end();
      bench.settle();
      peer.say('FA', 1, 2);
    }
    expect(bench.stack.connections).toBe(3);
  });
});

describe('what somebody may have made up (RFC 5961)', () => {
  it('resets by the one right number alone', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    expect(peer.say('R', 100_000_000)).toEqual([]);
    expect(peer.say('R', 2)).toEqual(['A 1 1']);
    expect(reader.heard).toEqual([]);
    expect(peer.say('R', 1)).toEqual([]);
    expect(reader.heard).toEqual(['reset']);
    expect(bench.stack.connections).toBe(0);
  });

  it('answers a SYN within a connection with a challenge', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    expect(peer.say('S', 0)).toEqual(['A 1 1']);
    expect(peer.say('S', 5_000)).toEqual(['A 1 1']);
    expect(reader.heard).toEqual([]);
  });

  it('answers an acknowledgement of what was never sent with a challenge, and takes nothing of it', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    expect(peer.say('PA', 1, 5_000, 'evil')).toEqual(['A 1 1']);
    expect(reader.bytes.length).toBe(0);
  });

  it('challenges a bounded number of times a second', () => {
    const bench = new Bench([80], { challengeAcks: 10 });
    const peer = new Peer(bench);
    peer.open();
    let challenges = 0;
    for (let at = 0; at < 100; at += 1) challenges += peer.say('R', 2).length;
    expect(challenges).toBe(10);
    bench.pass(1_001);
    expect(peer.say('R', 2)).toHaveLength(1);
  });
});

describe('when nobody reads any more', () => {
  it('delivers what was written, and resets what the guest still sends', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const { connection } = peer.open();
    connection.write(Buffer.from('bye'));
    connection.letGo(bench.nowMs);
    expect(peer.read(bench.settle())).toEqual(['FPA 1 1 bye']);
    expect(peer.say('A', 1, 5)).toEqual([]);
    expect(peer.say('PA', 1, 5, 'hello?')).toEqual([expect.stringMatching(/^RA 5/)]);
    expect(bench.stack.connections).toBe(0);
  });

  it('resets where something of the guest went unread', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    reader.isReading = false;
    peer.say('PA', 1, 1, 'unread');
    reader.connection.letGo(bench.nowMs);
    expect(peer.read(bench.settle())).toEqual([expect.stringMatching(/^RA 1/)]);
  });

  it('does not wait for ever', () => {
    const bench = new Bench([80], { finWaitMs: 5_000 });
    const peer = new Peer(bench);
    peer.open().connection.letGo(bench.nowMs);
    bench.settle();
    peer.say('A', 1, 2);
    expect(peer.pass(6_000)).toEqual(['5000ms RA 2 1']);
    expect(bench.stack.connections).toBe(0);
  });

  it('does not wait for ever where everything had been said and heard before', () => {
    const bench = new Bench([80], { finWaitMs: 5_000 });
    const peer = new Peer(bench);
    const { connection } = peer.open();
    connection.end();
    bench.settle();
    peer.say('A', 1, 2);
    // No clock of its own is left then.
    bench.pass(60_000);
    expect(bench.stack.deadlineMs).toBe(Number.POSITIVE_INFINITY);
    connection.letGo(bench.nowMs);
    bench.settle();
    expect(peer.pass(6_000)).toEqual(['5000ms RA 2 1']);
    expect(bench.stack.connections).toBe(0);
  });

  it('lets a slow guest take what was written, as long as it takes anything', () => {
    const bench = new Bench([80], { finWaitMs: 5_000 });
    const peer = new Peer(bench, { options: synOptions(100) });
    const { connection } = peer.open();
    connection.write(Buffer.alloc(1_000, 'x'));
    connection.letGo(bench.nowMs);
    bench.settle();
    for (let at = 100; at <= 1_000; at += 100) {
      bench.pass(4_000);
      peer.say('A', 1, 1 + at);
    }
    expect(peer.say('FA', 1, 1_002)).toEqual(['A 1002 2']);
  });
});

describe('over hours', () => {
  it('says nothing on an idle connection, answers the guest that asks, and goes on', () => {
    const bench = new Bench();
    const peer = new Peer(bench);
    const reader = peer.open();
    expect(peer.pass(10 * 3_600_000)).toEqual([]);
    // The guest's keepalive: a byte that was acknowledged already.
    expect(peer.say('A', 0, 1)).toEqual(['A 1 1']);
    expect(peer.say('PA', 1, 1, 'morning')).toEqual(['A 1 8']);
    expect(reader.bytes.toString()).toBe('morning');
  });
});

describe('towards the guest', () => {
  it('opens a connection to a server there', () => {
    const bench = new Bench();
    new Peer(bench).open();
    const connection = bench.stack.connect(8_080, bench.nowMs);
    const [syn] = bench.settle().map(readTcp);
    if (syn === undefined || connection === null) throw new Error('no SYN');
    expect(syn).toMatchObject({ source: '198.18.0.1', destination: '198.18.0.2', to: 8_080, flags: 'S' });
    const answer = { from: 8_080, to: syn.from, destination: '198.18.0.1', ack: syn.seq + 1, seq: 9_000 };
    const [ack] = bench
      .send(tcpFrame({ ...answer, flags: 'SA', options: synOptions(1_460, 7) }))
      .map(readTcp);
    expect(ack).toMatchObject({ flags: 'A', seq: syn.seq + 1, ack: 9_001 });
    connection.write(Buffer.from('hi'));
    expect(bench.settle().map((frame) => readTcp(frame).payload.toString())).toEqual(['hi']);
  });

  it('hears a refusal, and silence', () => {
    const bench = new Bench();
    expect(bench.stack.connect(8_080, bench.nowMs)).toBeNull();
    new Peer(bench).open();
    const connection = bench.stack.connect(8_080, bench.nowMs);
    const [syn] = bench.settle().map(readTcp);
    if (syn === undefined || connection === null) throw new Error('no SYN');
    bench.send(
      tcpFrame({
        from: 8_080,
        to: syn.from,
        destination: '198.18.0.1',
        flags: 'RA',
        seq: 0,
        ack: syn.seq + 1,
      }),
    );
    expect(connection.phase).toBe('closed');
    const silent = bench.stack.connect(8_081, bench.nowMs);
    bench.settle();
    bench.pass(60_000);
    expect(silent?.phase).toBe('closed');
    expect(bench.stack.connections).toBe(1);
  });
});
