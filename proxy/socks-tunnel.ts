/** Serves a SOCKS5 client: reads its greeting and request, then it is a tunnel like any other. */

import type { Reason } from '../policies/reasons.ts';
import type { GuestConnection } from './guest.ts';
import { refuseFor } from './judgement.ts';
import type { Parts } from './parts.ts';
import { formatReply, readGreeting, readRequest, replyFor, SOCKS_REPLY, type SocksReply } from './socks.ts';
import { serveTunnel, type TunnelReply } from './tunnel.ts';

const NO_ACCEPTABLE_METHOD = Buffer.from([5, 0xff]);
const NO_AUTHENTICATION = Buffer.from([5, 0]);

const REPLY: TunnelReply = {
  accepted: formatReply(SOCKS_REPLY.succeeded),
  refused: (denial) => formatReply(replyFor(denial.reason)),
};

/** Resolves when the connection has been given its end. */
export async function serveSocks(parts: Parts, guest: GuestConnection): Promise<void> {
  const deadline = performance.now() + parts.context.limits.headTimeoutMs;
  /** False when no more bytes came: that is refused already. */
  const awaitMore = async (): Promise<boolean> => {
    const held = guest.reader.bytes.length;
    const wait = await guest.reader.more(held, Math.max(0, deadline - performance.now()));
    if (wait === 'bytes') return true;
    const isLate = wait === 'timeout';
    const detail = isLate ? 'the SOCKS request did not come in time' : 'the SOCKS request is cut short';
    refuseSocks(parts, guest, isLate ? 'limit-time' : 'request-malformed', detail, '', null);
    return false;
  };

  let greeting = readGreeting(guest.reader.bytes);
  while (greeting.kind === 'more') {
    if (!(await awaitMore())) return;
    greeting = readGreeting(guest.reader.bytes);
  }
  guest.reader.consume(greeting.used);
  if (!greeting.acceptsNoAuth) {
    const detail = 'the SOCKS client insists on authentication';
    refuseSocks(parts, guest, 'request-malformed', detail, '', NO_ACCEPTABLE_METHOD);
    return;
  }
  guest.write(NO_AUTHENTICATION);

  let request = readRequest(guest.reader.bytes);
  while (request.kind === 'more') {
    if (!(await awaitMore())) return;
    request = readRequest(guest.reader.bytes);
  }
  if (request.kind === 'refuse') {
    const reply: SocksReply = request.reply;
    refuseSocks(parts, guest, 'request-malformed', request.detail, request.text, formatReply(reply));
    return;
  }
  guest.reader.consume(request.used);
  await serveTunnel(parts, guest, { via: 'socks', authority: request.authority, reply: REPLY });
}

function refuseSocks(
  parts: Parts,
  guest: GuestConnection,
  reason: Reason,
  detail: string,
  host: string,
  answer: Buffer | null,
): void {
  const asked = { via: 'socks', host, port: 0, protocol: null, ...guest.opener } as const;
  if (parts.ledger.overRate(() => asked) === null) parts.ledger.refuse(asked, refuseFor(reason, detail));
  guest.finish(answer);
}
