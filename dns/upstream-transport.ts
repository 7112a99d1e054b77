/**
 * Carries one question to one upstream over plain DNS: a datagram from a socket of its own, then TCP where the
 * answer is cut or the socket sees forgeries. Which server, how often and what it means is `upstream.ts`'s.
 */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { connect } from 'node:net';
import { parseAddress } from '../policies/address.ts';
import type { DnsUpstream, PlainUpstream } from './context.ts';
import type { DnsLimits } from './limits.ts';
import { encodeQuestion, readReply, type UpstreamQuestion, type UpstreamReply } from './upstream-message.ts';
import { frameMessage } from './wire.ts';

export type TransportReply =
  | Extract<UpstreamReply, { kind: 'reply' }>
  | { readonly kind: 'failed'; readonly detail: string };

/**
 * The seam for every way to ask: plain here, over TLS and HTTPS elsewhere. It settles within its own limits, never rejects, and
 * gives up once the signal is aborted. What it returns answers exactly the question that was asked.
 */
export type UpstreamTransport = (
  server: DnsUpstream,
  question: UpstreamQuestion,
  signal: AbortSignal,
) => Promise<TransportReply>;

export type PlainTransport = (
  server: PlainUpstream,
  question: UpstreamQuestion,
  signal: AbortSignal,
) => Promise<TransportReply>;

type DatagramReply = TransportReply | { readonly kind: 'truncated' };

export function createPlainTransport(limits: DnsLimits): PlainTransport {
  return async (server, question, signal) => {
    const reply = await askDatagram(server, question, limits, signal);
    return reply.kind === 'truncated' ? askStream(server, question, limits, signal) : reply;
  };
}

/** A socket per question: its port and the id are both random, and the kernel drops what others send. */
function askDatagram(
  server: PlainUpstream,
  question: UpstreamQuestion,
  limits: DnsLimits,
  signal: AbortSignal,
): Promise<DatagramReply> {
  return new Promise((resolve) => {
    const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4');
    let foreign = 0;
    let settled = false;
    const settle = (reply: DatagramReply): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.close();
      resolve(reply);
    };
    const fail = (detail: string): void => settle({ kind: 'failed', detail });
    const abort = (): void => fail('aborted');
    const timer = setTimeout(() => fail('no answer in time'), limits.datagramTryMs);
    const receive = (bytes: Buffer, from: RemoteInfo): void => {
      const reply = isFrom(from, server) ? readReply(bytes, question) : ({ kind: 'foreign' } as const);
      if (reply.kind === 'reply' || reply.kind === 'truncated') {
        settle(reply);
        return;
      }
      // What does not answer this very question is late or forged: ignored, and past a count asked over TCP.
      foreign += 1;
      if (foreign >= limits.forgedDatagrams) settle({ kind: 'truncated' });
    };
    socket.on('message', receive);
    socket.on('error', (error) => fail(error.message));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    socket.connect(server.port, server.address, () => {
      if (settled) return;
      socket.send(encodeQuestion(question), (error) => {
        if (error) fail(error.message);
      });
    });
  });
}

/** The kernel lets only the server's datagrams through a connected socket; this holds without that. */
function isFrom(from: RemoteInfo, server: PlainUpstream): boolean {
  if (from.port !== server.port) return false;
  if (from.address === server.address) return true;
  // The kernel may write an IPv6 address in another way.
  const parsed = parseAddress(from.address.replace(/%.*$/, ''));
  return parsed.ok && parsed.value === server.address;
}

function askStream(
  server: PlainUpstream,
  question: UpstreamQuestion,
  limits: DnsLimits,
  signal: AbortSignal,
): Promise<TransportReply> {
  return new Promise((resolve) => {
    const socket = connect({ host: server.address, port: server.port });
    let settled = false;
    let received: Buffer = Buffer.alloc(0);
    const settle = (reply: TransportReply): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.destroy();
      resolve(reply);
    };
    const fail = (detail: string): void => settle({ kind: 'failed', detail });
    const abort = (): void => fail('aborted');
    const timer = setTimeout(() => fail('no answer over TCP in time'), limits.streamTryMs);
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('the server closed the connection'));
    socket.on('connect', () => socket.write(frameMessage(encodeQuestion(question))));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2) return;
      const end = 2 + received.readUInt16BE(0);
      if (received.length < end) return;
      const reply = readReply(received.subarray(2, end), question);
      if (reply.kind === 'reply') settle(reply);
      else fail(`an answer over TCP that is ${reply.kind}`);
    });
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
  });
}
