/**
 * What is fuzzed of the ethernet link: frames as a guest may make them up, and segments with right checksums towards one
 * connection. Whatever comes, what goes back is well formed and what is kept is bounded.
 */
import { Bench, framesOf, Peer, readIp, readTcp, tcpFrame } from '../controller/links/ethernet/wire.ts';
import type { Running } from './targets.ts';

const LIMITS = {
  connections: 64,
  halfOpen: 16,
  timeWaits: 8,
  refusedDestinations: 32,
  receiveBytes: 32_768,
  heldSegments: 16,
};
const FLAGS = 'FSRPA';
const SEGMENT_BYTES = 8;

function hold(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Error(`does not hold: ${what}`);
}

function checkBounds({ stack, readers }: Bench): void {
  hold(stack.connections <= LIMITS.connections, 'a bounded number of connections');
  hold(stack.tried().length <= LIMITS.refusedDestinations, 'a bounded number of destinations');
  for (const { unread } of readers) hold(unread <= LIMITS.receiveBytes, 'no more unread than the window');
  readers.splice(0, Math.max(0, readers.length - LIMITS.connections));
}

/** Each input is a frame; the stack lives through all of them, and its clock goes on. */
export function startEthernetFrame(): Running {
  const bench = new Bench([80, 443], LIMITS);
  return {
    take(bytes) {
      const frame = Buffer.from(bytes);
      // Most changes hit a header's checksum: the interesting ones are put right.
      const answers = [...bench.send(frame), ...bench.send(withChecksums(frame))];
      for (const answer of answers) if (answer.readUInt16BE(12) === 0x0800) readIp(answer);
      bench.pass(50);
      bench.queries.length = 0;
      checkBounds(bench);
    },
    stop: () => {},
  };
}

/**
 * Each input is a row of segments, in a connection that is open: flags, distances, a window and a length. A stack of its
 * own for each, so that one that fails does so again alone.
 */
export function startEthernetSegment(): Running {
  return {
    take(bytes) {
      const bench = new Bench([80], LIMITS);
      const peer = new Peer(bench);
      const { from } = peer;
      const reader = peer.open();
      reader.connection.write(Buffer.alloc(5_000, 'w'));
      let next = 1;
      for (let at = 0; at + SEGMENT_BYTES <= bytes.length && at < 64 * SEGMENT_BYTES; at += SEGMENT_BYTES) {
        const flags = [...FLAGS].filter((_, bit) => ((bytes[at] ?? 0) >> bit) & 1).join('');
        const [seq, ack] = [
          next + bytes.readInt8(at + 1) * ((bytes[at] ?? 0) & 0x80 ? 500 : 1),
          bytes.readUInt16BE(at + 2),
        ];
        const payload = Buffer.alloc((bytes[at + 6] ?? 0) * 4, 'p');
        const window = bytes.readUInt16BE(at + 4);
        const spec = { from, to: 80, flags, seq: peer.first + seq, ack: peer.other + ack, window, payload };
        for (const answer of bench.send(tcpFrame(spec))) {
          const { payload: said } = readTcp(answer);
          hold(
            said.every((byte) => byte === 0x77),
            'nothing is said that was not written',
          );
        }
        next = Math.max(next, seq + payload.length);
        if ((bytes[at + 7] ?? 0) > 200) reader.connection.end();
        if ((bytes[at + 7] ?? 0) % 16 === 0) bench.pass((bytes[at + 7] ?? 0) * 10);
        hold(
          reader.bytes.every((byte) => byte === 0x70),
          'nothing is heard that was not said',
        );
        checkBounds(bench);
      }
      // A reset and a SYN among the segments may have opened another.
      for (const { connection } of bench.readers) connection.letGo(bench.nowMs);
      bench.settle();
      framesOf(bench.stack.batch.take());
      // Nobody answers any more: all of it comes to its end by the clock alone.
      bench.pass(900_000);
      hold(bench.stack.connections === 0, 'no connection is left');
      hold(bench.stack.deadlineMs === Number.POSITIVE_INFINITY, 'no timer is left');
    },
    stop: () => {},
  };
}

/** Of IPv4 and what it carries, where there is room for them. */
function withChecksums(frame: Buffer): Buffer {
  const fixed = Buffer.from(frame);
  if (fixed.length < 34 || fixed.readUInt16BE(12) !== 0x0800) return fixed;
  const head = 14 + ((fixed[14] ?? 0) % 16) * 4;
  const end = Math.min(fixed.length, 14 + fixed.readUInt16BE(16));
  if (head > fixed.length) return fixed;
  fixed.writeUInt16BE(0, 24);
  fixed.writeUInt16BE(sum(fixed.subarray(14, head)) ^ 0xffff, 24);
  const at = { 1: 2, 6: 16, 17: 6 }[fixed[23] ?? 0];
  if (at === undefined || head + at + 2 > end) return fixed;
  fixed.writeUInt16BE(0, head + at);
  const length = Buffer.from([0, fixed[23] ?? 0, (end - head) >> 8, (end - head) & 0xff]);
  const pseudo = fixed[23] === 1 ? [] : [fixed.subarray(26, 34), length];
  fixed.writeUInt16BE(sum(Buffer.concat([...pseudo, fixed.subarray(head, end)])) ^ 0xffff, head + at);
  return fixed;
}

function sum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}
