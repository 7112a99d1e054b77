import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FIXED_BYTES,
  furtherBytes,
  MOST_FURTHER_BYTES,
  parseRelayHead,
  type RelayHead,
} from '../../../../controller/links/relay/proxy-header.ts';
import { parseAddress } from '../../../../policies/address.ts';
import type { IpAddress } from '../../../../policies/model.ts';
import { encodeRelayHead } from './heads.ts';

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

function guest(from: string, to: string, transport: 'tcp' | 'udp' = 'tcp'): RelayHead {
  return {
    kind: 'guest',
    transport,
    client: { address: address(from), port: 40_001 },
    destination: { address: address(to), port: 443 },
  };
}

function parse(bytes: Buffer): RelayHead | null {
  return parseRelayHead(bytes.subarray(0, FIXED_BYTES), bytes.subarray(FIXED_BYTES));
}

describe('the head of a relayed connection', () => {
  it.each([
    guest('127.0.0.1', '203.0.113.9'),
    guest('192.0.2.1', '198.18.3.4', 'udp'),
    guest('2001:db8::1', '2001:db8::9'),
    guest('::1', 'fd00::1:0:0:7'),
    { kind: 'own' } as const,
  ])('reads as it was written: %j', (head) => {
    expect(parse(encodeRelayHead(head))).toEqual(head);
  });

  it('is that of the protocol, byte by byte', () => {
    expect(encodeRelayHead(guest('127.0.0.1', '203.0.113.9')).toString('hex')).toBe(
      '0d0a0d0a000d0a515549540a' + '21' + '11' + '000c' + '7f000001' + 'cb007109' + '9c41' + '01bb',
    );
  });

  it('passes over extensions behind the addresses', () => {
    const plain = encodeRelayHead(guest('127.0.0.1', '203.0.113.9'));
    const longer = Buffer.concat([plain, Buffer.from('0400020000', 'hex')]);
    longer.writeUInt16BE(12 + 5, 14);
    expect(parse(longer)).toEqual(guest('127.0.0.1', '203.0.113.9'));
  });

  it.each([
    ['another signature', 0, 0x0e],
    ['version 1', 12, 0x11],
    ['an unknown command', 12, 0x22],
    ['no family', 13, 0x01],
    ['Unix addresses', 13, 0x31],
    ['no transport', 13, 0x10],
  ])('is refused with %s', (_, at, value) => {
    const bytes = encodeRelayHead(guest('127.0.0.1', '203.0.113.9'));
    bytes.writeUInt8(value, at);
    expect(parse(bytes)).toBeNull();
  });

  it('is refused with more behind it than anybody waits for, with less than its addresses, and with port 0', () => {
    const bytes = encodeRelayHead(guest('127.0.0.1', '203.0.113.9'));
    bytes.writeUInt16BE(MOST_FURTHER_BYTES + 1, 14);
    expect(furtherBytes(bytes.subarray(0, FIXED_BYTES))).toBeNull();
    bytes.writeUInt16BE(8, 14);
    expect(parse(bytes.subarray(0, FIXED_BYTES + 8))).toBeNull();
    const nowhere = encodeRelayHead(guest('127.0.0.1', '203.0.113.9'));
    nowhere.writeUInt16BE(0, FIXED_BYTES + 10);
    expect(parse(nowhere)).toBeNull();
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const read = parse(Buffer.from(bytes));
        expect(read === null || read.kind === 'own' || read.kind === 'guest').toBe(true);
      }),
    );
  });
});
