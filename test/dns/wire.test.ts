import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_DATAGRAM_BYTES, MAX_QUERY_BYTES } from '../../dns/limits.ts';
import { datagramLimit, encodeBare, fitDatagram, inspectQuery, type QueryFault } from '../../dns/wire.ts';
import { opt, type QueryShape, query, readResponse, reply, u16, wireName } from './messages.ts';
import { question } from './world.ts';

/** An additional record that is no OPT. */
const SIGNATURE = Buffer.concat([Buffer.from([0]), u16(250, 255, 0, 0, 0)]);

function fault(bytes: Buffer): QueryFault {
  const inspection = inspectQuery(bytes);
  if (inspection.kind !== 'fault') throw new Error(`not a fault: ${inspection.kind}`);
  return inspection.fault;
}

describe('inspectQuery', () => {
  test('reads a plain question and keeps its case', () => {
    expect(inspectQuery(query('wWw.eXample.com', { type: 28 }))).toEqual({
      kind: 'query',
      question: {
        id: 0x1234,
        name: 'wWw.eXample.com',
        type: 28,
        class: 1,
        recursionDesired: true,
        checkingDisabled: false,
        edns: null,
      },
    });
  });

  test('reads EDNS: size and DO bit', () => {
    const tail = Buffer.concat([Buffer.from([0]), u16(41, 4096, 0, 0x8000, 0)]);
    const inspection = inspectQuery(query('example.com', { counts: [1, 0, 0, 1], tail }));
    expect(inspection).toMatchObject({ question: { edns: { payloadBytes: 4096, dnssecOk: true } } });
  });

  test('takes a second additional record, such as a signature', () => {
    const tail = Buffer.concat([opt(512), SIGNATURE]);
    expect(inspectQuery(query('example.com', { counts: [1, 0, 0, 2], tail })).kind).toBe('query');
  });

  test('reads the root as the empty name', () => {
    expect(inspectQuery(query('', { type: 2 }))).toMatchObject({ kind: 'query', question: { name: '' } });
  });

  test('drops what is itself an answer, so that no two servers can loop', () => {
    expect(inspectQuery(query('example.com', { flags: 0x8100 }))).toEqual({ kind: 'drop' });
    expect(inspectQuery(query('example.com', { flags: 0xa900 }))).toEqual({ kind: 'drop' });
  });

  test('drops what is too short to answer', () => {
    expect(inspectQuery(Buffer.alloc(0))).toEqual({ kind: 'drop' });
    expect(inspectQuery(Buffer.alloc(11))).toEqual({ kind: 'drop' });
  });

  test('answers NOTIMP to every opcode but QUERY', () => {
    for (let opcode = 1; opcode < 16; opcode += 1) {
      expect(fault(query('example.com', { flags: opcode << 11 }))).toMatchObject({ rcode: 'NOTIMP', opcode });
    }
  });

  const malformed: readonly (readonly [string, string | readonly string[], QueryShape])[] = [
    ['no question', 'example.com', { counts: [0, 0, 0, 0] }],
    ['two questions', 'example.com', { counts: [2, 0, 0, 0] }],
    ['an answer record', 'example.com', { counts: [1, 1, 0, 0] }],
    ['an authority record', 'example.com', { counts: [1, 0, 1, 0] }],
    [
      'three additional records',
      'example.com',
      { counts: [1, 0, 0, 3], tail: Buffer.concat([opt(512), SIGNATURE, SIGNATURE]) },
    ],
    ['an additional record that is not there', 'example.com', { counts: [1, 0, 0, 1] }],
    ['two OPT records', 'example.com', { counts: [1, 0, 0, 2], tail: Buffer.concat([opt(512), opt(512)]) }],
    ['bytes after the last record', 'example.com', { tail: Buffer.from([0]) }],
    [
      'a message over the size limit',
      'example.com',
      { counts: [1, 0, 0, 1], tail: opt(512, 0, Buffer.alloc(MAX_QUERY_BYTES - 30)) },
    ],
    ['a dot inside a label', ['allowed.com', 'evil'], {}],
    ['a NUL inside a label', ['evil.com\0', 'allowed.com'], {}],
    ['a space inside a label', ['a b', 'com'], {}],
    ['a byte above ASCII in a label', ['\xe9vil', 'com'], {}],
    ['a backslash in a label', ['a\\', 'com'], {}],
    ['a name over 255 bytes', Array.from({ length: 5 }, () => 'a'.repeat(60)), {}],
  ];
  test.each(malformed)('answers FORMERR to %s', (_case, name, shape) => {
    expect(fault(query(name, shape))).toMatchObject({ rcode: 'FORMERR' });
  });

  test('answers FORMERR to a compression pointer in the question', () => {
    const bytes = Buffer.concat([
      u16(1, 0x0100, 1, 0, 0, 0),
      Buffer.from([3, 0x77, 0x77, 0x77, 0xc0, 0x0c]),
      u16(1, 1),
    ]);
    expect(fault(bytes)).toMatchObject({ rcode: 'FORMERR', detail: expect.stringContaining('pointer') });
  });

  test('answers FORMERR to an OPT record that has a name', () => {
    const tail = Buffer.concat([wireName('x'), opt(512).subarray(1)]);
    expect(fault(query('example.com', { counts: [1, 0, 0, 1], tail }))).toMatchObject({ rcode: 'FORMERR' });
  });

  test('answers BADVERS to another EDNS version', () => {
    const found = fault(query('example.com', { edns: 1232, ednsVersion: 1 }));
    expect(found.rcode).toBe('BADVERS');
    const bytes = encodeBare(found);
    expect(readResponse(bytes).edns).not.toBeNull();
    expect(bytes.readUInt8(bytes.length - 6)).toBe(1);
  });

  test('shows a smuggled name with its odd bytes escaped, never raw', () => {
    expect(fault(query(['evil.com\0', 'allowed.com'])).name).toBe('evil\\046com\\000.allowed\\046com');
  });

  test('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const inspection = inspectQuery(Buffer.from(bytes));
        if (inspection.kind === 'query') expect(inspection.question.name).toMatch(/^[A-Za-z0-9._-]*$/);
        if (inspection.kind === 'fault') expect(inspection.fault.name).toMatch(/^[\x21-\x7e]*$/);
      }),
      { numRuns: 2_000 },
    );
  });

  test('survives mutated queries, and what it accepts has plain labels', () => {
    const base = query('www.example.com', { edns: 1232 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(base.length),
        (edits, length) => {
          const bytes = Buffer.from(base.subarray(0, length));
          for (const [at, value] of edits) if (at < bytes.length) bytes.writeUInt8(value, at);
          const inspection = inspectQuery(bytes);
          if (inspection.kind === 'query') expect(inspection.question.name).toMatch(/^[A-Za-z0-9._-]*$/);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

describe('encodeBare', () => {
  test('answers a fault with its id, opcode and RD, and RA set', () => {
    const read = readResponse(encodeBare(fault(query('example.com', { id: 99, flags: (4 << 11) | 0x0100 }))));
    expect(read).toMatchObject({ id: 99, rcode: 4, recursionAvailable: true, name: null });
    expect(read.flags & 0xf900).toBe(0x8000 | (4 << 11) | 0x0100);
  });
});

describe('fitDatagram', () => {
  const asked = query('www.example.com');
  const large = reply(asked, {
    answers: Array.from({ length: 60 }, () => ({ name: 'www.example.com', type: 1, data: Buffer.alloc(4) })),
  });

  test('leaves alone what fits', () => {
    expect(fitDatagram(large, question('www.example.com'), large.length)).toBe(large);
  });

  test('cuts to header, question and OPT with TC set, never inside a record', () => {
    const cut = readResponse(fitDatagram(large, question('www.example.com'), 512));
    expect(cut).toMatchObject({
      truncated: true,
      answers: [],
      name: 'www.example.com',
      edns: { error: null },
    });
  });

  test('adds no OPT for a client without EDNS', () => {
    expect(
      readResponse(fitDatagram(large, question('www.example.com', 1, { edns: null }), 512)).edns,
    ).toBeNull();
  });

  test('caps what a client may ask for at 1,232 bytes and never goes below 512', () => {
    const limit = (payloadBytes: number): number =>
      datagramLimit(question('x', 1, { edns: { payloadBytes, dnssecOk: false } }));
    expect([limit(65_535), limit(900), limit(0)]).toEqual([MAX_DATAGRAM_BYTES, 900, 512]);
    expect(datagramLimit(question('x', 1, { edns: null }))).toBe(512);
  });
});
