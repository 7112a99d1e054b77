/**
 * The proxy of one guest: takes its connections, tells HTTP, CONNECT and SOCKS5 apart by their first bytes, and
 * ends everything at once when the guest stops. Listens nowhere itself; links hand it sockets.
 */
import { formatAuthority } from '../policies/hostname.ts';
import type { IpAddress } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { stillGranted } from './admission.ts';
import type { ProxyContext } from './context.ts';
import type { Asked } from './flight.ts';
import type { Forwarder } from './forward.ts';
import { GuestConnection, ignore, openerOf, resetSocket } from './guest.ts';
import type { RequestHead } from './head.ts';
import { denialOfFault, refuseFor } from './judgement.ts';
import { Ledger } from './ledger.ts';
import { PROXY_BOUNDS } from './limits.ts';
import type { HelloReader, Parts } from './parts.ts';
import type { GuestSocket } from './reader.ts';
import { formatRefusal, tlsAlert } from './refusal.ts';
import { parseConnectTarget, recordableTarget } from './request-target.ts';
import { serveRequests } from './requests.ts';
import { serveSocks } from './socks-tunnel.ts';
import { serveTunnel, type TunnelReply } from './tunnel.ts';
import { TurnShare } from './turn-share.ts';

export interface ProxyStats {
  /** Connections of the guest, open now and accepted so far. */
  readonly connections: number;
  readonly accepted: number;
  /** Decisions: recorded and dialled, open of those, refused. */
  readonly forwarded: number;
  readonly open: number;
  readonly refused: number;
  readonly bytesOut: number;
  readonly bytesIn: number;
}

export interface GatewayProxy {
  /** A connection to the guest's proxy port. The proxy owns the socket from here on. */
  acceptProxyConnection(socket: GuestSocket): void;
  /** A connection that the guest made to `destination` itself. The proxy owns the socket from here on. */
  acceptStream(socket: GuestSocket, destination: StreamDestination): void;
  /**
   * Ends what is open and no longer allowed, and holds the rest to its new limits. To be called after a reload,
   * and with `rule-expired` when a rule has passed its `until`.
   */
  policyChanged(reason?: 'policy-changed' | 'rule-expired'): void;
  stats(): ProxyStats;
  /** For a connection of the same log that the proxy does not carry. */
  takeNumber(): number;
  /** Ends every connection at once and records it; idempotent. What arrives later is reset. */
  close(): void;
}

export interface StreamDestination {
  readonly address: IpAddress;
  readonly port: number;
}

const SOCKS5 = 0x05;
const SOCKS4 = 0x04;
const TLS_HANDSHAKE = 0x16;
/** SOCKS4: request rejected. */
const SOCKS4_REJECTED = Buffer.from([0, 0x5b, 0, 0, 0, 0, 0, 0]);
const NOT_SHOWN = { wantsJson: false, keepAlive: false, isHead: false } as const;

export function createProxy(context: ProxyContext): GatewayProxy {
  const ledger = new Ledger(context.audit, context.policy, context.limits);
  const guests = new Set<GuestConnection>();
  const turns = new TurnShare(context.limits.turnBytes);
  const modules = createModules(context, turns);
  const parts: Parts = { context, ledger, turns, hello: modules.hello, forwarder: modules.forwarder };
  const forget = (guest: GuestConnection): void => void guests.delete(guest);
  let accepted = 0;
  let isClosed = false;

  const accept = (
    socket: GuestSocket,
    asked: Asked,
    isProxyPort: boolean,
    serve: (guest: GuestConnection) => Promise<void>,
  ): void => {
    if (isClosed || socket.destroyed) {
      socket.on('error', ignore);
      resetSocket(socket);
      return;
    }
    accepted += 1;
    modules.warm();
    const opener = guests.size < ledger.bounds.connections ? openerOf(context, socket) : null;
    const guest = new GuestConnection(socket, ledger.bounds.headBytes, context.limits, forget, opener);
    const admitOrServe = async (): Promise<void> => {
      const limit = ledger.bounds.connections;
      const isOver = guests.size >= limit;
      guests.add(guest);
      if (!isOver) return serve(guest);
      const denial = ledger.refuseRepeated(
        asked,
        refuseFor('limit-connections', 'too many connections at a time'),
      );
      // Beyond a few that are told why, a flood is only cut off.
      if (!isProxyPort || guests.size > limit + PROXY_BOUNDS.toldOverLimit) return guest.reset();
      guest.finish(formatRefusal(denial, { request: 'a connection', authority: null }, NOT_SHOWN).bytes);
    };
    const refuseFault = (): void => {
      // Fail closed: a fault in sand ends the connection; nothing of it is shown to the guest.
      guest.reset();
      ledger.refuse(
        { ...asked, ...guest.opener },
        refuseFor('internal-error', 'a fault while the connection was served'),
      );
    };
    // The books need the policy too: where that is at fault, the reset is all that is left.
    admitOrServe()
      .catch(refuseFault)
      .catch(() => {});
  };

  return {
    acceptProxyConnection(socket) {
      const asked: Asked = { via: 'forward', host: '', port: 0, protocol: null };
      accept(socket, asked, true, (guest) => serveProxyPort(parts, guest));
    },
    acceptStream(socket, { address, port }) {
      const authority = { host: { kind: 'address', address }, port } as const;
      const destination = formatAuthority(authority);
      const asked: Asked = { via: 'transparent', host: address, port, protocol: null, destination };
      accept(socket, asked, false, (guest) =>
        serveTunnel(parts, guest, { via: 'transparent', authority, reply: null }),
      );
    },
    policyChanged(reason = 'policy-changed') {
      for (const flight of [...ledger.flights]) {
        const grants = stillGranted(context, flight);
        if (grants === null) flight.cut(reason);
        else ledger.rebind(flight, grants);
      }
    },
    stats: () => ({ connections: guests.size, accepted, ...ledger.stats() }),
    takeNumber: () => ledger.takeNumber(),
    close() {
      if (isClosed) return;
      isClosed = true;
      ledger.finish('shutting-down');
      for (const guest of [...guests]) guest.destroy();
      modules.close();
    },
  };
}

/** The heavy modules: loaded with the first connection, in the background, so that a run without one pays nothing. */
function createModules(context: ProxyContext, turns: TurnShare) {
  let hello: Promise<HelloReader> | null = null;
  let forwarder: Promise<Forwarder> | null = null;
  let isClosed = false;
  const loadHello = (): Promise<HelloReader> => {
    hello ??= import('./client-hello.ts');
    return hello;
  };
  const loadForwarder = (): Promise<Forwarder> => {
    forwarder ??= import('./forward.ts').then(({ createForwarder }) => {
      const created = createForwarder(context, turns);
      if (isClosed) created.close();
      return created;
    });
    return forwarder;
  };
  return {
    hello: loadHello,
    forwarder: loadForwarder,
    warm(): void {
      // A module that cannot be loaded fails the requests that need it.
      loadHello().catch(() => {});
      loadForwarder().catch(() => {});
    },
    close(): void {
      isClosed = true;
      forwarder?.then((created) => created.close()).catch(() => {});
    },
  };
}

/** One listener for HTTP, CONNECT and SOCKS5: the first byte tells them apart. */
async function serveProxyPort(parts: Parts, guest: GuestConnection): Promise<void> {
  const wait = await guest.reader.more(0, parts.context.limits.headTimeoutMs);
  if (wait !== 'bytes') {
    guest.finish(null);
    return;
  }
  switch (guest.reader.bytes[0]) {
    case SOCKS5:
      return serveSocks(parts, guest);
    case SOCKS4:
      return refuseBytes(parts, guest, 'SOCKS4 is not served, SOCKS5 is', SOCKS4_REJECTED);
    case TLS_HANDSHAKE:
      return refuseBytes(parts, guest, 'TLS to the proxy itself is not served', tlsAlert('access_denied'));
    default: {
      const connect = await serveRequests(parts, guest, { via: 'forward', inside: null, destination: null });
      if (connect !== null) await serveConnect(parts, guest, connect);
    }
  }
}

function refuseBytes(parts: Parts, guest: GuestConnection, detail: string, answer: Buffer): void {
  const reason: Reason = 'request-malformed';
  const asked: Asked = { via: 'connect', host: '', port: 0, protocol: null, ...guest.opener };
  if (parts.ledger.overRate(() => asked) === null) parts.ledger.refuse(asked, refuseFor(reason, detail));
  guest.finish(answer);
}

const CONNECT_REPLY: TunnelReply = {
  accepted: Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n', 'latin1'),
  refused: (denial, subject) => formatRefusal(denial, subject, NOT_SHOWN).bytes,
};

async function serveConnect(parts: Parts, guest: GuestConnection, head: RequestHead): Promise<void> {
  const parsed = parseConnectTarget(head);
  if (parsed.ok) {
    const { authority } = parsed.target;
    return serveTunnel(parts, guest, { via: 'connect', authority, reply: CONNECT_REPLY });
  }
  const target = recordableTarget(head.target);
  const unread = { via: 'connect', host: target, port: 0, protocol: null, method: 'CONNECT' } as const;
  const asked: Asked = { ...unread, ...guest.opener };
  const over = parts.ledger.overRate(() => asked);
  const denial = over ?? parts.ledger.refuse(asked, denialOfFault(parsed.fault));
  const subject = { request: `CONNECT ${target}`, authority: null };
  guest.finish(formatRefusal(denial, subject, NOT_SHOWN).bytes);
}
