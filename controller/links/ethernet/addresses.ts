/**
 * Who is who on the cable: the addresses of the gateway and of the guest, the same as on the namespace link, and
 * how numbers become text. Addresses are numbers inside the stack; text is for its edge.
 */
import type { IpAddress } from '../../../policies/model.ts';
import { LINK } from '../namespace/topology.ts';

/** An IPv4 address as its 32 bits, unsigned. */
export type Ipv4 = number;

/** A station's address as its 48 bits. */
export type Mac = number;

export const BROADCAST_MAC: Mac = 0xffff_ffff_ffff;

/** What a guest sees of the link. 198.18.0.0/24 is given out by no DNS answer. */
export const CABLE = {
  gateway: parseIpv4(LINK.gateway4),
  guest: parseIpv4(LINK.guest4),
  netmask: prefixMask(LINK.prefix4),
  /** Locally administered; `sand` in its last four bytes. */
  gatewayMac: 0x0200_7361_6e64 as Mac,
  proxyPort: LINK.proxyPort,
  /** Where the gateway serves its proxy auto-config. */
  autoConfigPort: 3129,
} as const;

/** For constants: anything but four decimal bytes becomes nonsense. */
export function parseIpv4(text: string): Ipv4 {
  return text.split('.').reduce((address, byte) => address * 256 + Number(byte), 0);
}

/** Canonical, so that it needs no parsing at the policy's edge. */
export function formatIpv4(address: Ipv4): IpAddress {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}` as IpAddress;
}

export function formatMac(mac: Mac): string {
  return mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
}

/** Neither one station's address nor usable as a source: multicast, reserved, broadcast, and "this network". */
export function isUnicast(address: Ipv4): boolean {
  return address >>> 24 !== 0 && address >>> 28 < 0xe && address !== CABLE.gateway + 2;
}

function prefixMask(length: number): Ipv4 {
  return (0xffff_ffff << (32 - length)) >>> 0;
}

export function readMac(bytes: Uint8Array, at: number): Mac {
  return readUint16(bytes, at) * 0x1_0000_0000 + readUint32(bytes, at + 2);
}

export function writeMac(bytes: Uint8Array, at: number, mac: Mac): void {
  writeUint16(bytes, at, Math.floor(mac / 0x1_0000_0000));
  writeUint32(bytes, at + 2, mac % 0x1_0000_0000);
}

/** Reading past the end gives zeros: callers have looked at the length. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((readUint16(bytes, at) << 16) | readUint16(bytes, at + 2)) >>> 0;
}

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  writeUint16(bytes, at, value >>> 16);
  writeUint16(bytes, at + 2, value & 0xffff);
}
