/** A guest's surroundings for resolver tests: a policy made of patterns, a log in memory, upstreams on loopback. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AuditEntry, DnsDecision } from '../../audit/event.ts';
import type { DnsUpstream, PlainUpstream, QueryOrigin, ResolverContext } from '../../dns/context.ts';
import type { Question } from '../../dns/message.ts';
import { parseAddress } from '../../policies/address.ts';
import { NO_LIMITS } from '../../policies/guest-limits.ts';
import { parseHost } from '../../policies/hostname.ts';
import type { Hostname, IpAddress, IpRange, Mode, PolicyInForce, Rule } from '../../policies/model.ts';
import { parseSubject } from '../../policies/subject.ts';

export function name(text: string): Hostname {
  const parsed = parseHost(text);
  if (!parsed.ok || parsed.value.kind !== 'name') throw new Error(`no name: ${text}`);
  return parsed.value.name;
}

export function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(`no address: ${text}`);
  return parsed.value;
}

export interface RuleShape {
  readonly verb?: 'allow' | 'deny' | 'mute';
  readonly addresses?: readonly string[];
}

export function rule(pattern: string, shape: RuleShape = {}): Rule {
  const subject = parseSubject(pattern);
  if (!subject.ok) throw new Error(subject.message);
  const verb = shape.verb ?? 'allow';
  const web = verb === 'allow' && subject.value.kind === 'names';
  const tcp = verb === 'allow' && !web ? [{ from: 5432, to: 5432 }] : [];
  return {
    id: `test/${verb}:${pattern}`,
    verb,
    subjects: [subject.value],
    ports: { http: web ? [{ from: 80, to: 80 }] : [], https: web ? [{ from: 443, to: 443 }] : [], tcp },
    addresses: (shape.addresses as readonly IpRange[] | undefined) ?? null,
    metadata: false,
    because: null,
    origin: { file: 'test.yaml', line: 3, column: 1 },
  };
}

export function policy(rules: readonly Rule[], mode: Mode = 'enforce'): PolicyInForce {
  return {
    policy: {
      name: 'test',
      mode,
      rules,
      limits: NO_LIMITS,
      requires: { confinement: null, isolation: null },
      digest: 'sha256:00',
      files: [],
    },
    ceilings: [],
  };
}

export interface World extends ResolverContext {
  readonly decisions: readonly DnsDecision[];
  use(policy: PolicyInForce): void;
  /** From now on the log throws. */
  breakLog(): void;
}

export function world(inForce: PolicyInForce, upstreams: readonly DnsUpstream[] = []): World {
  const decisions: DnsDecision[] = [];
  let current = inForce;
  let broken = false;
  return {
    decisions,
    policy: () => current,
    upstreams: () => upstreams,
    hostAddresses: () => [address('203.0.113.77')],
    audit: {
      record(entry: AuditEntry): number {
        if (broken) throw new Error('disk full');
        if (entry.kind === 'dns') decisions.push(entry);
        return decisions.length;
      },
    },
    use(next) {
      current = next;
    },
    breakLog() {
      broken = true;
    },
  };
}

export const GUEST: QueryOrigin = { asker: 'guest', transport: 'udp', mode: 'synthetic' };
export const HOST: QueryOrigin = { asker: 'host', transport: 'udp', mode: 'vetted' };

export function question(text: string, type = 1, shape: Partial<Question> = {}): Question {
  return {
    id: 7,
    name: text,
    type,
    class: 1,
    recursionDesired: true,
    checkingDisabled: false,
    edns: { payloadBytes: 1232, dnssecOk: false },
    ...shape,
  };
}

/** What an upstream of the test sends back, in order; nothing means silence. */
export type Script = (asked: Buffer, transport: 'udp' | 'tcp') => readonly Buffer[];

export interface FakeUpstream extends PlainUpstream {
  readonly asked: readonly {
    readonly transport: 'udp' | 'tcp';
    readonly bytes: Buffer;
    readonly port: number;
  }[];
  close(): Promise<void>;
}

/** A server on loopback, UDP and TCP on one port. */
export async function fakeUpstream(script: Script): Promise<FakeUpstream> {
  const asked: { transport: 'udp' | 'tcp'; bytes: Buffer; port: number }[] = [];
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on('error', () => {});
    let received = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const bytes = received.subarray(2);
      asked.push({ transport: 'tcp', bytes, port: socket.remotePort ?? 0 });
      for (const message of script(bytes, 'tcp')) socket.write(framed(message));
    });
  });
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('no port');
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => {
    asked.push({ transport: 'udp', bytes, port: from.port });
    for (const message of script(bytes, 'udp')) socket.send(message, from.port, from.address);
  });
  socket.bind({ port: at.port, address: '127.0.0.1' });
  await once(socket, 'listening');
  return {
    address: address('127.0.0.1'),
    port: at.port,
    asked,
    async close() {
      for (const client of clients) client.destroy();
      socket.close();
      server.close();
      await once(server, 'close');
    },
  };
}

export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** One datagram to loopback and the first that comes back; null after the wait. */
export async function askDatagram(port: number, message: Buffer, waitMs = 5_000): Promise<Buffer | null> {
  const socket = createSocket('udp4');
  try {
    socket.send(message, port, '127.0.0.1');
    const [bytes] = await once(socket, 'message', { signal: AbortSignal.timeout(waitMs) });
    return bytes;
  } catch {
    return null;
  } finally {
    socket.close();
  }
}

/** Writes bytes to a TCP port and collects whole frames until `count` came or the peer closed. */
export async function askStream(
  port: number,
  bytes: Buffer,
  count: number,
  half = false,
): Promise<readonly Buffer[]> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  if (half) socket.end(bytes);
  else socket.write(bytes);
  const frames: Buffer[] = [];
  let received: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        frames.push(received.subarray(2, end));
        received = received.subarray(end);
      }
      if (frames.length >= count) break;
    }
  } catch {
    // A reset ends the stream: what came before it counts.
  }
  socket.destroy();
  return frames;
}
