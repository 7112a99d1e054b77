/** Builds ClientHello bytes by hand, so that a test can break each of their rules. */

export interface HelloShape {
  /** Server names in the list; an empty array leaves the extension out. */
  readonly names?: readonly string[];
  readonly alpn?: readonly string[];
  /** Extensions as they are, behind the others. */
  readonly extra?: readonly Buffer[];
  readonly withoutExtensions?: boolean;
  /** Bytes behind the extensions, inside the message. */
  readonly tail?: Buffer;
}

function sized(width: number, body: Buffer): Buffer {
  const size = Buffer.alloc(width);
  size.writeUIntBE(body.length, 0, width);
  return Buffer.concat([size, body]);
}

export function extension(id: number, body: Buffer): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(id);
  return Buffer.concat([head, sized(2, body)]);
}

export function serverNames(names: readonly string[]): Buffer {
  const entries = names.map((name) =>
    Buffer.concat([Buffer.from([0]), sized(2, Buffer.from(name, 'latin1'))]),
  );
  return extension(0, sized(2, Buffer.concat(entries)));
}

export function alpnList(names: readonly string[]): Buffer {
  return extension(16, sized(2, Buffer.concat(names.map((name) => sized(1, Buffer.from(name, 'latin1'))))));
}

/** The handshake message, without records. */
export function handshakeOf(shape: HelloShape): Buffer {
  const extensions = [
    ...(shape.names === undefined || shape.names.length === 0 ? [] : [serverNames(shape.names)]),
    ...(shape.alpn === undefined ? [] : [alpnList(shape.alpn)]),
    extension(43, Buffer.from([2, 3, 4])),
    ...(shape.extra ?? []),
  ];
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    sized(1, Buffer.alloc(32, 1)),
    sized(2, Buffer.from([0x13, 0x01, 0x13, 0x02])),
    sized(1, Buffer.from([0])),
    ...(shape.withoutExtensions === true ? [] : [sized(2, Buffer.concat(extensions))]),
    shape.tail ?? Buffer.alloc(0),
  ]);
  return Buffer.concat([Buffer.from([1]), sized(3, body)]);
}

export function recordOf(fragment: Buffer, type = 22): Buffer {
  return Buffer.concat([Buffer.from([type, 3, 1]), sized(2, fragment)]);
}

/** Records that carry a hello, cut so that each holds at most `fragmentBytes`. */
export function helloBytes(shape: HelloShape, fragmentBytes = 2 ** 14): Buffer {
  const handshake = handshakeOf(shape);
  const records: Buffer[] = [];
  for (let at = 0; at < handshake.length; at += fragmentBytes) {
    records.push(recordOf(handshake.subarray(at, at + fragmentBytes)));
  }
  return Buffer.concat(records);
}
