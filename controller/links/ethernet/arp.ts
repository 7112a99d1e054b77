/** ARP: tells the guest where the gateway is, and nobody else. What the guest says of itself is left to the caller. */
import {
  CABLE,
  type Mac,
  readMac,
  readUint16,
  readUint32,
  writeMac,
  writeUint16,
  writeUint32,
} from './addresses.ts';
import type { FrameBatch } from './frame-batch.ts';
import { ETHERNET_BYTES, ETHERTYPE, writeEthernet } from './ipv4.ts';

const ARP_BYTES = 28;
const REQUEST = 1;
const REPLY = 2;

/** False: it is none. A question after another address than the gateway's stays without an answer. */
export function answerArp(bytes: Buffer, start: number, end: number, batch: FrameBatch): boolean {
  const at = start + ETHERNET_BYTES;
  const isIpv4OverEthernet =
    end - at >= ARP_BYTES &&
    readUint16(bytes, at) === 1 &&
    readUint16(bytes, at + 2) === ETHERTYPE.ipv4 &&
    readUint16(bytes, at + 4) === 0x0604;
  const operation = readUint16(bytes, at + 6);
  if (!isIpv4OverEthernet || (operation !== REQUEST && operation !== REPLY)) return false;
  if (operation === REQUEST && readUint32(bytes, at + 24) === CABLE.gateway) {
    writeReply(batch, readMac(bytes, at + 8), readUint32(bytes, at + 14));
  }
  return true;
}

function writeReply(batch: FrameBatch, mac: Mac, asker: number): void {
  const start = batch.reserve(ETHERNET_BYTES + ARP_BYTES);
  if (start < 0) return;
  const { bytes } = batch;
  writeEthernet(bytes, start, mac, ETHERTYPE.arp);
  const at = start + ETHERNET_BYTES;
  writeUint16(bytes, at, 1);
  writeUint16(bytes, at + 2, ETHERTYPE.ipv4);
  writeUint16(bytes, at + 4, 0x0604);
  writeUint16(bytes, at + 6, REPLY);
  writeMac(bytes, at + 8, CABLE.gatewayMac);
  writeUint32(bytes, at + 14, CABLE.gateway);
  writeMac(bytes, at + 18, mac);
  writeUint32(bytes, at + 24, asker);
}
