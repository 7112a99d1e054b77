import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reassembly } from '../../../../../controller/links/ethernet/tcp/reassembly.ts';
import { RetransmissionTimer } from '../../../../../controller/links/ethernet/tcp/retransmission-timer.ts';
import { SendQueue } from '../../../../../controller/links/ethernet/tcp/send-queue.ts';
import { add } from '../../../../../controller/links/ethernet/tcp/sequence.ts';

describe('the send queue', () => {
  it('gives what was written, whatever was acknowledged and copied before', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: 3_000 }) }),
      fc.record({ drop: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({
        copy: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 4_000 })),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new SendQueue();
        let model = Buffer.alloc(0);
        let next = 0;
        for (const one of steps) {
          if ('push' in one) {
            const bytes = Buffer.from(Array.from({ length: one.push }, () => next++ & 255));
            queue.push(bytes);
            model = Buffer.concat([model, bytes]);
          } else if ('drop' in one) {
            const count = Math.floor(one.drop * model.length);
            queue.drop(count);
            model = model.subarray(count);
          } else {
            const offset = Math.floor(one.copy[0] * model.length);
            const length = Math.min(one.copy[1], model.length - offset);
            const to = Buffer.alloc(length + 3);
            queue.copy(offset, length, to, 3);
            expect(to.subarray(3).equals(model.subarray(offset, offset + length))).toBe(true);
          }
          expect(queue.length).toBe(model.length);
        }
      }),
    );
  });

  it('sends nothing that was not written', () => {
    const queue = new SendQueue();
    queue.push(Buffer.from('abc'));
    expect(() => queue.copy(2, 2, Buffer.alloc(2), 0)).toThrow(/nobody has written/);
  });
});

describe('reassembly', () => {
  it('gives each byte once and in order, whatever came first, twice and overlapping', () => {
    const whole = Buffer.from(Array.from({ length: 400 }, (_, at) => at & 255));
    const piece = fc.tuple(fc.integer({ min: 0, max: 399 }), fc.integer({ min: 1, max: 60 }));
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 80 }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        (pieces, first) => {
          const budget = { segments: 1_000 };
          const held = new Reassembly(1_000, budget);
          const got: Buffer[] = [];
          const has = new Set<number>();
          let next = 0;
          const take = () => {
            for (;;) {
              const bytes = held.take(add(first, next));
              if (bytes === null) return;
              got.push(bytes);
              next += bytes.length;
            }
          };
          for (const [at, length] of pieces) {
            const end = Math.min(at + length, whole.length);
            for (let byte = at; byte < end; byte += 1) has.add(byte);
            if (end <= next) continue;
            const start = Math.max(at, next);
            if (start > next) held.hold(add(first, start), whole, start, end);
            else {
              got.push(whole.subarray(start, end));
              next = end;
            }
            take();
          }
          let expected = 0;
          while (has.has(expected)) expected += 1;
          expect(next).toBe(expected);
          expect(Buffer.concat(got).equals(whole.subarray(0, expected))).toBe(true);
          held.clear();
          expect(budget.segments).toBe(1_000);
        },
      ),
    );
  });
});

describe('the wait for an acknowledgement (RFC 6298)', () => {
  const limits = { minRtoMs: 200, firstRtoMs: 1_000, maxRtoMs: 60_000 };

  it('is a second before anything was measured, and doubles up to its bound', () => {
    const timer = new RetransmissionTimer(limits);
    const seen = Array.from({ length: 8 }, () => {
      const now = timer.rtoMs;
      timer.backOff();
      return now;
    });
    expect(seen).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('follows what is measured', () => {
    const timer = new RetransmissionTimer(limits);
    timer.sample(500);
    expect(timer.rtoMs).toBe(500 + 4 * 250);
    timer.sample(300);
    // 0.75 * 250 + 0.25 * 200 = 237.5; 0.875 * 500 + 0.125 * 300 = 475.
    expect(timer.rtoMs).toBe(475 + 4 * 237.5);
    for (let at = 0; at < 200; at += 1) timer.sample(1);
    expect(timer.rtoMs).toBe(200);
  });
});
