/**
 * Decides which port a listener gets: UDP and TCP alike, never one of the refused ports, never every interface, and
 * nothing but a loopback address unless a person named another. Opening and closing sockets is left to what it is given.
 */
import type { IpAddress } from '../policies/model.ts';
import { REFUSED_PORTS } from './limits.ts';

export type BindFailure = 'port-refused' | 'port-in-use' | 'address-refused' | 'bind-failed';

export type BindResult =
  | { readonly ok: true; readonly address: IpAddress; readonly port: number }
  | { readonly ok: false; readonly code: BindFailure; readonly detail: string };

/** A listening socket, or why there is none. */
export type Opened =
  | { readonly ok: true; readonly address: string; readonly port: number; readonly close: () => void }
  | { readonly ok: false; readonly inUse: boolean; readonly detail: string };

/** Who may reach a listener: the host alone, or whoever reaches the one address that a person named. */
export type Reach = 'loopback' | 'named-address';

export interface Openers {
  readonly datagram: (port: number) => Promise<Opened>;
  readonly stream: (port: number) => Promise<Opened>;
}

/** Port 0 asks for any port that is free for both. What was opened on the way and is not kept is closed. */
export async function bindPair(
  address: IpAddress,
  port: number,
  openers: Openers,
  attempts: number,
  reach: Reach = 'loopback',
): Promise<BindResult> {
  if (isEveryInterface(address)) {
    return { ok: false, code: 'address-refused', detail: `${address} is every interface of the host` };
  }
  if (reach === 'loopback' && !isLoopback(address)) {
    return { ok: false, code: 'address-refused', detail: `${address} is not a loopback address of the host` };
  }
  if (REFUSED_PORTS.has(port)) return refusedPort(port);
  let last: BindResult = { ok: false, code: 'bind-failed', detail: 'no attempt was made' };
  for (let attempt = 0; attempt < (port === 0 ? attempts : 1); attempt += 1) {
    last = await bindOnce(address, port, openers);
    if (last.ok || (last.code !== 'port-in-use' && last.code !== 'port-refused')) return last;
  }
  return last;
}

async function bindOnce(address: IpAddress, port: number, openers: Openers): Promise<BindResult> {
  const datagram = await openers.datagram(port);
  if (!datagram.ok) return notOpened(datagram);
  if (REFUSED_PORTS.has(datagram.port)) {
    datagram.close();
    return refusedPort(datagram.port);
  }
  const stream = await openers.stream(datagram.port);
  if (!stream.ok) {
    datagram.close();
    return notOpened(stream);
  }
  const asAsked = [datagram, stream].every((it) => it.address === address && it.port === datagram.port);
  if (!asAsked) {
    // Fail closed: a listener that is anywhere else than it was asked to be is not kept.
    datagram.close();
    stream.close();
    return { ok: false, code: 'bind-failed', detail: `listening elsewhere than on ${address}` };
  }
  return { ok: true, address, port: datagram.port };
}

function isEveryInterface(address: IpAddress): boolean {
  return address === '0.0.0.0' || address === '::';
}

function isLoopback(address: IpAddress): boolean {
  return address === '::1' || address.startsWith('127.');
}

function refusedPort(port: number): BindResult {
  return { ok: false, code: 'port-refused', detail: `port ${port} belongs to other resolvers` };
}

function notOpened(opened: Extract<Opened, { ok: false }>): BindResult {
  return { ok: false, code: opened.inUse ? 'port-in-use' : 'bind-failed', detail: opened.detail };
}
