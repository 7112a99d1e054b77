/**
 * Opens the connection that a route describes: to a vetted address, or to the host's parent proxy and through
 * it. Judges nothing; what a parent answers to CONNECT is bounded in bytes and time, and never shown to a guest.
 */
import type { Socket } from 'node:net';
import type { Authority, IpAddress, Protocol } from '../policies/model.ts';
import type { Reason } from '../policies/reasons.ts';
import { CONNECT_FAULTS, formatConnect, readConnectAnswer } from './connect-answer.ts';
import type { ParentProxy, ProxyContext } from './context.ts';
import { dial } from './dial.ts';
import { readOwn } from './own-place.ts';
import { isAbsoluteForm, type Route } from './route.ts';

export type Opened =
  | {
      readonly ok: true;
      readonly socket: Socket;
      /** The address of the authority that is connected to; null where a parent proxy resolves it. */
      readonly address: IpAddress | null;
      /** What the other side said already. */
      readonly greeting: Buffer;
    }
  | {
      readonly ok: false;
      readonly reason: Reason;
      readonly detail: string;
      /** What the guest may read of it too. */
      readonly advice: string | null;
    };

type Failure = Extract<Opened, { ok: false }>;
type UpstreamContext = Pick<ProxyContext, 'limits' | 'parents' | 'isOwn'>;

const NOTHING = Buffer.alloc(0);

/** Never rejects. The socket is paused, half-open capable, and the caller's to close. */
export async function openUpstream(
  context: UpstreamContext,
  route: Route,
  authority: Authority,
  speaks: Protocol | 'upgrade',
  signal: AbortSignal,
): Promise<Opened> {
  const { limits } = context;
  if (route.kind === 'direct') {
    const { attemptDelayMs, dialTimeoutMs: timeoutMs } = limits;
    const dialled = await dial(route.addresses, authority.port, { attemptDelayMs, timeoutMs, signal });
    return dialled.ok ? { ...dialled, greeting: NOTHING } : { ...dialled, advice: null };
  }
  const deadline = performance.now() + limits.dialTimeoutMs;
  const remaining = (): number => Math.max(1, deadline - performance.now());
  const { parent, target, address } = route;
  const reached = await dialParent(context, parent, remaining(), signal);
  if (!reached.ok) return reached;
  const secured = parent.secure ? await secure(reached.socket, parent, remaining(), signal) : reached;
  if (!secured.ok) return secured;
  const { socket } = secured;
  // The parent itself answers plain HTTP, with the whole URL before it.
  if (speaks === 'http' && isAbsoluteForm(route, authority))
    return { ok: true, socket, address, greeting: NOTHING };
  socket.write(formatConnect(target, parent.authorization));
  const answer = await readAnswer(socket, remaining(), signal);
  if (!answer.ok) {
    socket.destroy();
    return answer;
  }
  // In TLS and in HTTP the client speaks first, so these are no bytes of the origin.
  if (answer.rest.length > 0 && speaks !== 'tcp') {
    socket.destroy();
    return fault('upstream-failed', CONNECT_FAULTS.spokeFirst);
  }
  return { ok: true, socket, address, greeting: answer.rest };
}

function fault(reason: Reason, advice: string): Failure {
  return { ok: false, reason, detail: advice, advice };
}

type Reached = { readonly ok: true; readonly socket: Socket } | Failure;

/** The parent's own address is exempt from the address guard, as the host's resolvers are. */
async function dialParent(
  { parents, isOwn, limits }: UpstreamContext,
  parent: ParentProxy,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Reached> {
  const { host, port } = parent;
  let addresses: readonly IpAddress[] = [];
  if (host.kind === 'address') addresses = [host.address];
  else {
    const found = await withDeadline(timeoutMs, signal, parents?.lookup(host.name));
    if (found === null)
      return fault('upstream-timeout', 'the parent proxy of the host was not found in time');
    if (found.kind === 'addresses') addresses = found.addresses;
  }
  if (addresses.length === 0) return fault('upstream-failed', 'the parent proxy of the host is not found');
  // Fail closed: a parent that is sand itself would ask itself for ever.
  for (const address of addresses) {
    const own = readOwn(isOwn, address, port);
    if (!own.ok) return fault('upstream-failed', own.detail);
    if (own.isOwn) return fault('loop', 'the parent proxy of the host leads back here');
  }
  const { attemptDelayMs } = limits;
  const dialled = await dial(addresses, port, { attemptDelayMs, timeoutMs, signal });
  if (dialled.ok) return dialled;
  const { reason, detail } = dialled;
  return { ok: false, reason, detail, advice: `the parent proxy of the host cannot be reached` };
}

/** Null when it did not end in time. `work` never rejects; undefined finds nothing. */
async function withDeadline<T extends { readonly kind: string }>(
  timeoutMs: number,
  signal: AbortSignal,
  work: Promise<T> | undefined,
): Promise<T | { readonly kind: 'not-found' } | null> {
  let stop: () => void = () => {};
  const stopped = new Promise<null>((resolve) => {
    stop = () => resolve(null);
  });
  const timer = setTimeout(stop, timeoutMs);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work ?? { kind: 'not-found' as const }, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** TLS to the parent, with the authorities that the host trusts. */
async function secure(
  plain: Socket,
  { host }: ParentProxy,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Reached> {
  // Few parents speak TLS; the module is not loaded for the others.
  const { connect } = await import('node:tls');
  return new Promise((resolve) => {
    const named = host.kind === 'name' ? { servername: host.name } : { host: host.address };
    const socket = connect({ socket: plain, ALPNProtocols: ['http/1.1'], ...named });
    const settle = (failure: Failure | null): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abandon);
      socket.off('close', abandon);
      if (failure !== null) socket.destroy();
      resolve(failure ?? { ok: true, socket });
    };
    const abandon = (): void =>
      settle(fault('upstream-failed', 'the parent proxy of the host ended the TLS handshake'));
    const timer = setTimeout(
      () =>
        settle(fault('upstream-timeout', 'the parent proxy of the host did not finish the TLS handshake')),
      timeoutMs,
    );
    signal.addEventListener('abort', abandon, { once: true });
    socket.on('error', () => {});
    socket.once('close', abandon);
    socket.once('secureConnect', () => settle(null));
  });
}

type AnswerRead = { readonly ok: true; readonly rest: Buffer } | Failure;

/** The head of the parent's answer; what follows it is given back. Leaves the socket as it was dialled. */
function readAnswer(socket: Socket, timeoutMs: number, signal: AbortSignal): Promise<AnswerRead> {
  return new Promise((resolve) => {
    let held: Buffer = NOTHING;
    const settle = (read: AnswerRead): void => {
      clearTimeout(timer);
      socket.off('readable', onReadable);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      signal.removeEventListener('abort', onEnd);
      resolve(read);
    };
    const onEnd = (): void => settle(fault('upstream-refused', CONNECT_FAULTS.ended));
    // Not by `data`: that would leave the socket flowing or held, and the HTTP client wants neither.
    const onReadable = (): void => {
      const chunk: unknown = socket.read();
      if (!(chunk instanceof Buffer)) return;
      held = Buffer.concat([held, chunk]);
      const step = readConnectAnswer(held);
      if (step.kind === 'accepted') settle({ ok: true, rest: held.subarray(step.end) });
      else if (step.kind === 'refused') settle(fault(step.reason, step.detail));
    };
    const timer = setTimeout(() => settle(fault('upstream-timeout', CONNECT_FAULTS.late)), timeoutMs);
    signal.addEventListener('abort', onEnd, { once: true });
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    socket.on('readable', onReadable);
  });
}
