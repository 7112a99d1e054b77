import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeQuestion, readReply, type UpstreamQuestion } from '../../dns/upstream-message.ts';
import { a, aaaa, askedName, askedType, cname, reply, soa, u16, wireName } from './messages.ts';
import { name } from './world.ts';

const ASKED: UpstreamQuestion = { id: 0x4242, name: name('www.example.com'), type: 1, edns: true };
const BYTES = encodeQuestion(ASKED);

describe('encodeQuestion', () => {
  test('asks the name as absolute, with recursion and one OPT', () => {
    expect([askedName(BYTES), askedType(BYTES)]).toEqual(['www.example.com', 1]);
    expect(BYTES.readUInt16BE(2)).toBe(0x0100);
    expect(BYTES.readUInt16BE(10)).toBe(1);
  });

  test('leaves EDNS out where the server does not know it', () => {
    expect(encodeQuestion({ ...ASKED, edns: false }).readUInt16BE(10)).toBe(0);
  });
});

describe('readReply', () => {
  test('reads addresses, aliases and TTLs', () => {
    const bytes = reply(BYTES, {
      answers: [cname('www.example.com', 'cdn.example.net', 60), a('cdn.example.net', '192.0.2.7', 30)],
    });
    expect(readReply(bytes, ASKED)).toEqual({
      kind: 'reply',
      rcode: 0,
      negativeSeconds: null,
      records: [
        { owner: 'www.example.com', ttlSeconds: 60, data: { kind: 'cname', target: 'cdn.example.net' } },
        { owner: 'cdn.example.net', ttlSeconds: 30, data: { kind: 'address', text: '192.0.2.7' } },
      ],
    });
  });

  test('reads an IPv6 address', () => {
    const asked = { ...ASKED, type: 28 };
    const bytes = reply(encodeQuestion(asked), { answers: [aaaa('www.example.com', 5)] });
    expect(readReply(bytes, asked)).toMatchObject({ records: [{ data: { text: '2001:db8:0:0:0:0:0:5' } }] });
  });

  test('takes how long a negative answer holds from its SOA', () => {
    const bytes = reply(BYTES, { rcode: 3, authority: [soa('example.com', 90, 3600)] });
    expect(readReply(bytes, ASKED)).toMatchObject({ rcode: 3, negativeSeconds: 90 });
  });

  test('an answer with another id is foreign', () => {
    expect(readReply(reply(BYTES, { id: 1, answers: [a('www.example.com', '192.0.2.66')] }), ASKED)).toEqual({
      kind: 'foreign',
    });
  });

  test('an answer to another name or type is foreign', () => {
    const other = Buffer.concat([wireName('www.example.org'), u16(1, 1)]);
    const otherType = Buffer.concat([wireName('www.example.com'), u16(28, 1)]);
    expect(readReply(reply(BYTES, { question: other }), ASKED)).toEqual({ kind: 'foreign' });
    expect(readReply(reply(BYTES, { question: otherType }), ASKED)).toEqual({ kind: 'foreign' });
  });

  test('a question sent back is foreign', () => {
    expect(readReply(BYTES, ASKED)).toEqual({ kind: 'foreign' });
  });

  test('the case of the question does not count', () => {
    const bytes = reply(BYTES, { question: Buffer.concat([wireName('WWW.Example.COM'), u16(1, 1)]) });
    expect(readReply(bytes, ASKED).kind).toBe('reply');
  });

  test('a cut answer says so, whatever it holds', () => {
    const bytes = reply(BYTES, { truncated: true, answers: [a('www.example.com', '192.0.2.7')] });
    expect(readReply(bytes, ASKED)).toEqual({ kind: 'truncated' });
  });

  test('an alias to a name with odd bytes leads nowhere', () => {
    const bytes = reply(BYTES, { answers: [cname('www.example.com', ['evil.com\0', 'allowed.com'])] });
    expect(readReply(bytes, ASKED)).toMatchObject({ records: [{ data: { target: null } }] });
  });

  test('a pointer that leads to itself or forward is malformed', () => {
    const pointing = (target: number): Buffer =>
      Buffer.concat([
        u16(ASKED.id, 0x8180, 1, 1, 0, 0),
        BYTES.subarray(12, BYTES.length - 11),
        u16(0xc000 | target, 1, 1, 0, 9, 4, 1, 1),
      ]);
    const start = BYTES.length - 11;
    expect(readReply(pointing(start), ASKED).kind).toBe('malformed');
    expect(readReply(pointing(start + 1), ASKED).kind).toBe('malformed');
    // Six bytes ahead stands a zero, which would read as the root.
    expect(readReply(pointing(start + 6), ASKED).kind).toBe('malformed');
    expect(readReply(pointing(12), ASKED).kind).toBe('reply');
  });

  test('a pointer bomb of 64 KiB is refused by its counts before it costs anything', () => {
    const chain = Buffer.concat(
      Array.from({ length: 5_000 }, (_, index) =>
        Buffer.concat([u16(0xc00c + index * 2, 5, 1, 0, 9, 2, 0xc00c)]),
      ),
    );
    const bytes = Buffer.concat([
      u16(ASKED.id, 0x8180, 1, 5_000, 0, 0),
      BYTES.subarray(12, BYTES.length - 11),
      chain,
    ]);
    expect(readReply(bytes.subarray(0, 65_535), ASKED)).toEqual({
      kind: 'malformed',
      detail: expect.stringContaining('256'),
    });
  });

  test('a chain of pointers is followed only so far', () => {
    const question = BYTES.subarray(12, BYTES.length - 11);
    const start = 12 + question.length;
    // Names that each point to the one before: record N needs N pointers.
    const records: Buffer[] = [];
    let previous = 12;
    let offset = start;
    for (let index = 0; index < 40; index += 1) {
      const record = Buffer.concat([Buffer.from([1, 0x61]), u16(0xc000 | previous, 16, 1, 0, 9, 0)]);
      records.push(record);
      previous = offset;
      offset += record.length;
    }
    const bytes = Buffer.concat([u16(ASKED.id, 0x8180, 1, 40, 0, 0), question, ...records]);
    expect(readReply(bytes, ASKED)).toEqual({
      kind: 'malformed',
      detail: expect.stringContaining('pointer'),
    });
  });

  test('survives any bytes, and mutations of a real answer', () => {
    const base = reply(BYTES, {
      answers: [cname('www.example.com', 'cdn.example.net'), a('cdn.example.net', '192.0.2.7')],
      authority: [soa('example.com', 60)],
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (tail) => {
        readReply(Buffer.concat([base.subarray(0, 12), Buffer.from(tail)]), ASKED);
        readReply(Buffer.concat([base.subarray(0, BYTES.length - 11), Buffer.from(tail)]), ASKED);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 5 }),
        fc.nat(base.length),
        (edits, length) => {
          const bytes = Buffer.from(base.subarray(0, length));
          for (const [at, value] of edits) if (at < bytes.length) bytes.writeUInt8(value, at);
          readReply(bytes, ASKED);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});
