import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EndReader } from '../../../../controller/backends/tart/command-end.ts';

const ID = '0d5a7f0e-91c1-4a4e-8a8b-0c37b1a5d0a1';
const end = (status: number, id = ID) => Buffer.from(`\u001esand ${id} ${status}\u001e`);

function read(pieces: readonly Buffer[]): { readonly said: string; readonly status: number | null } {
  const reader = new EndReader(ID);
  const said = Buffer.concat([...pieces.map((piece) => reader.push(piece)), reader.finish()]);
  return { said: said.toString('latin1'), status: reader.status };
}

describe('a command\u2019s end on its standard error', () => {
  it('is taken out, wherever the stream was cut', () => {
    const whole = Buffer.concat([Buffer.from('oops\n'), end(137), Buffer.from('late\n')]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 6 }), (cuts) => {
        const at = [0, ...cuts, whole.length].sort((a, b) => a - b);
        const pieces = at.slice(1).map((to, i) => whole.subarray(at[i], to));
        expect(read(pieces)).toEqual({ said: 'oops\nlate\n', status: 137 });
      }),
    );
  });

  it('leaves everything else as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 5 }), (pieces) => {
        const buffers = pieces.map((piece) => Buffer.from(piece));
        expect(read(buffers)).toEqual({ said: Buffer.concat(buffers).toString('latin1'), status: null });
      }),
    );
  });

  it.each([
    ['another command\u2019s', end(0, ID.replace('0', '1'))],
    ['one with too long a number', Buffer.from(`\u001esand ${ID} 1234\u001e`)],
    ['one that never ends', Buffer.from(`\u001esand ${ID} 12`)],
    ['a mark alone', Buffer.from('\u001e\u001e\u001e')],
  ])('ends of others: passes on %s', (_what, bytes) => {
    expect(read([bytes])).toEqual({ said: bytes.toString('latin1'), status: null });
  });
});
