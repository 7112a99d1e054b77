/** The head of a relayed connection as the guest relay writes it: the other half of `proxy-header.ts`, for tests. */
import { isIPv4, isIPv6 } from 'node:net';
import type { RelayHead } from '../../../../controller/links/relay/proxy-header.ts';
import type { IpAddress } from '../../../../policies/model.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** Addresses of one family. */
export function encodeRelayHead(head: RelayHead): Buffer {
  if (head.kind === 'own') return encode(0x0, 0x00, Buffer.alloc(0));
  const { client, destination, transport } = head;
  const family = isIPv6(client.address) ? 0x2 : 0x1;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(client.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  const addresses = [client, destination].map(({ address }) => encodeAddress(address));
  const kind = transport === 'tcp' ? 0x1 : 0x2;
  return encode(0x1, (family << 4) | kind, Buffer.concat([...addresses, ports]));
}

function encode(command: number, kind: number, further: Buffer): Buffer {
  const fixed = Buffer.alloc(16);
  SIGNATURE.copy(fixed);
  fixed.writeUInt8(0x20 | command, 12);
  fixed.writeUInt8(kind, 13);
  fixed.writeUInt16BE(further.length, 14);
  return Buffer.concat([fixed, further]);
}

function encodeAddress(address: IpAddress): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const missing = 8 - groups(head).length - groups(tail).length;
  const zeroes = address.includes('::') ? new Array<string>(missing).fill('0') : [];
  const bytes = Buffer.alloc(16);
  [...groups(head), ...zeroes, ...groups(tail)].forEach((group, at) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * at);
  });
  return bytes;
}
