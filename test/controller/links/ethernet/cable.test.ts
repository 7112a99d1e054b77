import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStreamCable, FrameReader } from '../../../../controller/links/ethernet/cable.ts';
import { addWords, checksum, fold } from '../../../../controller/links/ethernet/checksum.ts';
import { FrameBatch } from '../../../../controller/links/ethernet/frame-batch.ts';
import { framesOf, sumOf } from './wire.ts';

function prefixed(frames: readonly Uint8Array[]): Buffer {
  const parts = frames.map((frame) => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(frame.length);
    return Buffer.concat([head, frame]);
  });
  return Buffer.concat(parts);
}

describe('frames in a stream', () => {
  it('come out as they went in, wherever the stream is cut', () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
    const cuts = fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(frames, cuts, (sent, sizes) => {
        const reader = new FrameReader();
        const got: Buffer[] = [];
        const whole = prefixed(sent);
        for (let at = 0, turn = 0; at < whole.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          const isFine = reader.push(whole.subarray(at, at + size), {
            frame: (bytes, view, start, end) => {
              got.push(Buffer.from(bytes.subarray(start, end)));
              if (end > start) expect(view.getUint8(start)).toBe(bytes[start]);
            },
          });
          expect(isFine).toBe(true);
          at += size;
        }
        expect(got.map((frame) => frame.toString('hex'))).toEqual(
          sent.map((one) => Buffer.from(one).toString('hex')),
        );
      }),
    );
  });

  it('are no frames where a length is beyond all of them', () => {
    const wrong = Buffer.from([0, 2, 0, 0, 1, 2, 3]);
    expect(new FrameReader().push(wrong, { frame: () => {} })).toBe(false);
    const cut = new FrameReader();
    expect(cut.push(wrong.subarray(0, 2), { frame: () => {} })).toBe(true);
    expect(cut.push(wrong.subarray(2), { frame: () => {} })).toBe(false);
  });

  it('end with the stream, once, and with what is no frame', async () => {
    for (const last of [null, Buffer.from([0xff, 0xff, 0xff, 0xff])]) {
      const stream = new PassThrough();
      const lost = await new Promise<string[]>((resolve) => {
        const said: string[] = [];
        createStreamCable(stream).connect({
          frame: () => {},
          settled: () => {},
          drained: () => {},
          lost: (detail) => {
            said.push(detail);
            setImmediate(resolve, said);
          },
        });
        if (last === null) stream.end();
        else stream.write(last);
      });
      expect(lost).toEqual([
        last === null ? 'its other end was closed' : 'something that is no frame came on it',
      ]);
    }
  });
});

describe('a batch of frames', () => {
  it('holds them in order over any number of slabs, up to its bound', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 60_000, size: 'max' }), { maxLength: 40 }),
        (frames) => {
          const batch = new FrameBatch(1024 * 1024);
          const kept: string[] = [];
          for (const frame of frames) {
            const at = batch.reserve(frame.length);
            if (at < 0) continue;
            batch.bytes.set(frame, at);
            kept.push(Buffer.from(frame).toString('latin1'));
          }
          expect(framesOf(batch.take()).map((frame) => frame.toString('latin1'))).toEqual(kept);
          expect(batch.length).toBe(0);
        },
      ),
      { numRuns: 30 },
    );
  });
});

it('sums as RFC 1071 does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(15), (bytes, offset) => {
      const padded = Buffer.concat([Buffer.alloc(offset), bytes]);
      const view = new DataView(padded.buffer, padded.byteOffset, padded.length);
      const expected = sumOf(Buffer.from(bytes));
      expect(fold(addWords(view, offset, padded.length))).toBe(expected);
      expect(checksum(view, offset, padded.length)).toBe(expected ^ 0xffff);
    }),
  );
});
