/** Bytes that attacks send: heads of HTTP requests, a ClientHello with a server name, a question framed as over TCP. Pure. */
import { encodeQuestion } from '../links/dns-question.ts';

/** With lines as they are sent; `lines` behind the request line. */
export function httpHead(requestLine: string, lines: readonly string[]): Buffer {
  return Buffer.from(`${[requestLine, ...lines].join('\r\n')}\r\n\r\n`, 'latin1');
}

export function connectHead(authority: string): Buffer {
  return httpHead(`CONNECT ${authority} HTTP/1.1`, [`Host: ${authority}`]);
}

const TLS = {
  handshake: 22,
  clientHello: 1,
  serverName: 0,
  groups: 10,
  signatures: 13,
  versions: 43,
} as const;

/** Of TLS 1.2 and 1.3 (RFC 8446, section 4.1.2), without a key to go on with: nobody is meant to. */
export function clientHello(serverName: string): Buffer {
  const name = Buffer.from(serverName, 'latin1');
  const extensions = Buffer.concat([
    extension(TLS.serverName, sized(2, Buffer.concat([Buffer.of(0), sized(2, name)]))),
    extension(TLS.groups, sized(2, Buffer.of(0, 29))),
    extension(TLS.signatures, sized(2, Buffer.of(4, 3, 8, 4))),
    extension(TLS.versions, sized(1, Buffer.of(3, 4, 3, 3))),
  ]);
  const body = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32, 7),
    sized(1, Buffer.alloc(0)),
    sized(2, Buffer.of(0x13, 1, 0xc0, 0x2f)),
    sized(1, Buffer.of(0)),
    sized(2, extensions),
  ]);
  const handshake = Buffer.concat([Buffer.of(TLS.clientHello), sized(3, body)]);
  return Buffer.concat([Buffer.of(TLS.handshake, 3, 1), sized(2, handshake)]);
}

function extension(type: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type >> 8, type & 255), sized(2, content)]);
}

function sized(width: 1 | 2 | 3, content: Buffer): Buffer {
  const length = Buffer.alloc(width);
  length.writeUIntBE(content.length, 0, width);
  return Buffer.concat([length, content]);
}

/** For its addresses, in one message behind its two bytes of length (RFC 1035, section 4.2.2). */
export function framedQuestion(name: string): Buffer {
  return sized(2, encodeQuestion(name, 0x5a4e));
}
