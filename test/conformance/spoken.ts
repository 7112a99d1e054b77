/** What a client of a case says, from the short form in its file to bytes. */

import { addressBits } from '../../policies/address.ts';
import { parseAuthority } from '../../policies/hostname.ts';
import { extension, handshakeOf, recordOf } from '../proxy/hello-bytes.ts';
import type { HelloInput } from './catalogue.ts';

/** Lines to a head: each gets its CRLF, and an empty line follows. */
export function headOf(lines: string): string {
  return `${lines.replace(/\n+$/, '').split('\n').join('\r\n')}\r\n\r\n`;
}

/** A GET in absolute-form with the Host field that belongs to it. */
export function requestOf(url: string): string {
  const authority = /^[a-z]+:\/\/([^/?#]*)/i.exec(url)?.[1] ?? '';
  return headOf(`GET ${url} HTTP/1.1\nHost: ${authority}`);
}

export function helloOf(input: HelloInput): Buffer {
  const extra = (input.extra ?? []).map((text) => {
    const [id = '', body = ''] = text.split(' ');
    return extension(Number(id), Buffer.from(body, 'hex'));
  });
  const handshake = handshakeOf({
    extra,
    ...(input.names === undefined ? {} : { names: input.names }),
    ...(input.alpn === undefined ? {} : { alpn: input.alpn }),
    ...(input.withoutExtensions === undefined ? {} : { withoutExtensions: input.withoutExtensions }),
    ...(input.tail === undefined ? {} : { tail: Buffer.from(input.tail, 'hex') }),
  });
  const records: Buffer[] = [];
  const size = input.record ?? 2 ** 14;
  for (let at = 0; at < handshake.length; at += size) {
    records.push(recordOf(handshake.subarray(at, at + size), input.type ?? 22));
  }
  return Buffer.concat(records);
}

/** A SOCKS5 CONNECT, by name or by address as the text is. */
export function greetingOf(text: string): Buffer {
  const authority = parseAuthority(text, null);
  if (!authority.ok) throw new Error(`${text}: ${authority.reason}`);
  const { host, port } = authority.value;
  const tail = Buffer.alloc(2);
  tail.writeUInt16BE(port);
  if (host.kind === 'name') {
    return Buffer.concat([Buffer.from([5, 1, 0, 3, host.name.length]), Buffer.from(host.name), tail]);
  }
  const { family, bits } = addressBits(host.address);
  const address = Buffer.from(bits.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
  return Buffer.concat([Buffer.from([5, 1, 0, family === 4 ? 1 : 4]), address, tail]);
}
