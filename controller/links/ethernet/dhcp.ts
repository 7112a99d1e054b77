/**
 * The DHCP server of a cable with one guest on it: one address, for whoever asks first, and what a guest has to know
 * to find the gateway. State in, answer out; the clock is the caller's.
 */
import { BROADCAST_MAC, CABLE, type Ipv4, type Mac } from './addresses.ts';
import {
  addressOption,
  DHCP_TYPES,
  type DhcpMessage,
  type DhcpReply,
  encodeDhcp,
  OPTION,
} from './dhcp-message.ts';

export interface DhcpSettings {
  readonly mtu: number;
  readonly leaseSeconds: number;
}

export interface DhcpAnswer {
  readonly bytes: Buffer;
  readonly mac: Mac;
  readonly address: Ipv4;
}

/** `silent`: nothing is to be said. `second-lease`: another station holds the address. */
export type DhcpResult = DhcpAnswer | 'silent' | 'second-lease';

const BROADCAST: Ipv4 = 0xffff_ffff;

export class DhcpServer {
  readonly #settings: DhcpSettings;
  #holder: Mac | null = null;
  #expiresAtMs = 0;

  constructor(settings: DhcpSettings) {
    this.#settings = settings;
  }

  answer(message: DhcpMessage, nowMs: number): DhcpResult {
    if (this.#holder !== null && this.#holder !== message.mac && nowMs < this.#expiresAtMs) {
      return 'second-lease';
    }
    switch (message.type) {
      case DHCP_TYPES.discover:
        return this.#say(message, this.#lease(DHCP_TYPES.offer, message));
      case DHCP_TYPES.request:
        return this.#request(message, nowMs);
      case DHCP_TYPES.inform:
        // RFC 2131 section 4.3.5: settings alone, to an address that the client has from elsewhere.
        return this.#say(message, { type: DHCP_TYPES.ack, yourAddress: 0, options: this.#settled(message) });
      case DHCP_TYPES.release:
        this.#holder = null;
        return 'silent';
      default:
        // A declined address is in use on a cable with one station: by that station, which has to sort it out.
        return 'silent';
    }
  }

  #request(message: DhcpMessage, nowMs: number): DhcpResult {
    if (message.server !== null && message.server !== CABLE.gateway) return 'silent';
    const wanted = message.requestedAddress ?? message.clientAddress;
    if (wanted !== CABLE.guest) {
      const options = this.#repeated(message);
      return this.#say(message, { type: DHCP_TYPES.nak, yourAddress: 0, options });
    }
    this.#holder = message.mac;
    this.#expiresAtMs = nowMs + this.#settings.leaseSeconds * 1_000;
    return this.#say(message, this.#lease(DHCP_TYPES.ack, message));
  }

  #lease(type: number, message: DhcpMessage): DhcpReply {
    const { leaseSeconds } = this.#settings;
    const times = [
      [OPTION.leaseSeconds, addressOption(leaseSeconds)],
      [OPTION.renewSeconds, addressOption(Math.floor(leaseSeconds / 2))],
      [OPTION.rebindSeconds, addressOption(Math.floor((leaseSeconds * 7) / 8))],
    ] as const;
    return { type, yourAddress: CABLE.guest, options: [...this.#settled(message), ...times] };
  }

  #settled(message: DhcpMessage): DhcpReply['options'] {
    const gateway = addressOption(CABLE.gateway);
    const { mtu } = this.#settings;
    return [
      ...this.#repeated(message),
      [OPTION.subnetMask, addressOption(CABLE.netmask)],
      [OPTION.router, gateway],
      [OPTION.resolver, gateway],
      [OPTION.mtu, Buffer.of(mtu >>> 8, mtu & 0xff)],
      // Only where asked for: it is nobody's standard.
      ...(message.wanted.includes(OPTION.autoConfig)
        ? [[OPTION.autoConfig, Buffer.from(AUTO_CONFIG_URL)] as const]
        : []),
    ];
  }

  /** In every answer: who gives it, and whom (RFC 6842). */
  #repeated({ clientIdentifier }: DhcpMessage): DhcpReply['options'] {
    const identifier =
      clientIdentifier === null ? [] : [[OPTION.clientIdentifier, clientIdentifier] as const];
    return [[OPTION.server, addressOption(CABLE.gateway)], ...identifier];
  }

  /** Where an answer goes: RFC 2131 section 4.1. */
  #say(message: DhcpMessage, reply: DhcpReply): DhcpAnswer {
    const bytes = encodeDhcp(message, reply, CABLE.gateway);
    const { clientAddress, mac } = message;
    if (reply.type === DHCP_TYPES.nak) return { bytes, mac: BROADCAST_MAC, address: BROADCAST };
    if (clientAddress === CABLE.guest) return { bytes, mac, address: clientAddress };
    if (message.wantsBroadcast || clientAddress !== 0) {
      return { bytes, mac: BROADCAST_MAC, address: BROADCAST };
    }
    return { bytes, mac, address: CABLE.guest };
  }
}

export const AUTO_CONFIG_PATH = '/proxy.pac';
const AUTO_CONFIG_URL = `http://198.18.0.1:${CABLE.autoConfigPort}${AUTO_CONFIG_PATH}`;
