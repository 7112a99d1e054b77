/**
 * What is fuzzed: each target takes any bytes, throws where something that must always hold does not, and
 * keeps nothing between two inputs but what a guest's gateway would keep.
 */
import type { Socket as DatagramSocket } from 'node:dgram';
import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditEntry, DnsDecision } from '../../audit/event.ts';
import { formatEvent } from '../../audit/event-text.ts';
import { decodeLine, encodeLine, FIRST_PREV } from '../../audit/line.ts';
import { LineCutter } from '../../audit/lines.ts';
import { DNS_LIMITS } from '../../dns/limits.ts';
import { createResolver } from '../../dns/resolver.ts';
import { createDnsServer } from '../../dns/server.ts';
import { readReply } from '../../dns/upstream-message.ts';
import { parseAddress } from '../../policies/address.ts';
import { parseHost } from '../../policies/hostname.ts';
import { BodyDecoder } from '../../proxy/body.ts';
import { joinRecords, readClientHello } from '../../proxy/client-hello.ts';
import { parseHead, scanHead } from '../../proxy/head.ts';
import { PROXY_LIMITS } from '../../proxy/limits.ts';
import { parseConnectTarget, parseRequestTarget } from '../../proxy/request-target.ts';
import { readGreeting, readRequest } from '../../proxy/socks.ts';
import { readResponse } from '../dns/messages.ts';
import { name, policy, rule, world } from '../dns/world.ts';
import { compileText } from '../policies/reader.ts';
import { Rig } from '../proxy/rig.ts';
import { startEthernetFrame, startEthernetSegment } from './ethernet-targets.ts';

export interface Target {
  /** Its folders of the corpus. */
  readonly corpus: readonly string[];
  /** Set up once for a run; gives what is called with each input. */
  start(): Promise<Running> | Running;
}

export interface Running {
  take(bytes: Buffer): Promise<void> | void;
  stop(): Promise<void> | void;
}

export const TARGETS: Readonly<Record<string, Target>> = {
  'dns-query': { corpus: ['dns-query', 'dns-reply'], start: startDnsQuery },
  'dns-reply': { corpus: ['dns-reply', 'dns-query'], start: () => pure(takeDnsReply) },
  'http-head': { corpus: ['http-head'], start: () => pure(takeHead) },
  'http-body': { corpus: ['http-body'], start: () => pure(takeBody) },
  socks: { corpus: ['socks'], start: () => pure(takeSocks) },
  'client-hello': { corpus: ['client-hello'], start: () => pure(takeHello) },
  'proxy-port': { corpus: ['http-head', 'http-body', 'socks', 'client-hello'], start: startProxyPort },
  'policy-file': { corpus: ['policy-file'], start: () => pure(takePolicy) },
  'ethernet-frame': { corpus: ['ethernet-frame'], start: startEthernetFrame },
  'ethernet-segment': { corpus: ['ethernet-segment'], start: startEthernetSegment },
  'audit-line': { corpus: ['audit-line'], start: () => pure(takeLine) },
};

function pure(take: Running['take']): Running {
  return { take, stop: () => {} };
}

function hold(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Error(`does not hold: ${what}`);
}

/** The resolver with its server over a socket that is none: what goes back is well formed, small and recorded. */
function startDnsQuery(): Running {
  const surroundings = world(policy([rule('allowed.example'), rule('**.a.example'), rule('b.example')]));
  const records = surroundings.decisions as DnsDecision[];
  const limits = { ...DNS_LIMITS, requestBurst: Number.MAX_SAFE_INTEGER, namesPerWildcard: 50 };
  const resolver = createResolver(surroundings, { limits });
  const sent: Buffer[] = [];
  const socket = Object.assign(new EventEmitter(), {
    send: (bytes: Buffer) => sent.push(Buffer.from(bytes)),
    close: () => {},
  });
  const server = createDnsServer({ handler: resolver, limits });
  server.attachDatagram(socket as unknown as DatagramSocket, { asker: 'guest', mode: 'synthetic' });
  return {
    async take(bytes) {
      records.length = 0;
      socket.emit('message', Buffer.from(bytes), { address: '127.0.0.1', port: 9, family: 'IPv4', size: 0 });
      await nextTurn();
      const answers = sent.splice(0);
      hold(answers.length <= 1, 'one answer to one question');
      const [answer] = answers;
      hold(answer === undefined || bytes.length >= 12, 'no answer to half a header');
      if (answer === undefined) return;
      // A burst of malformed messages has a record at its beginning; the count of the rest comes by its own clock.
      const own = records.filter(({ count }) => count === undefined);
      hold(own.length <= 1, 'one record for one answer at the most');
      const record = own.at(-1);
      hold(answer.length <= 1_232, 'an answer that no path cuts');
      hold((answer.readUInt16BE(2) & 0x8000) !== 0, 'an answer, not a question');
      hold(answer.readUInt16BE(0) === bytes.readUInt16BE(0), 'the id of the question');
      const said = readResponse(answer);
      hold(said.answers.length === 0 || record?.verdict === 'allow', 'no address for a refused name');
      hold(record?.reason !== 'internal-error', 'no fault in sand');
      if (record !== undefined) checkLine(record);
    },
    async stop() {
      resolver.close();
      await server.close();
    },
  };
}

const ASKED = [
  { id: 7, name: name('a.example'), type: 1, edns: true },
  { id: 7, name: name('www.example'), type: 1, edns: true },
  { id: 7, name: name('a.example'), type: 28, edns: true },
] as const;

function takeDnsReply(bytes: Buffer): void {
  for (const asked of ASKED) {
    const read = readReply(bytes, asked);
    if (read.kind !== 'reply') continue;
    hold(bytes.readUInt16BE(0) === asked.id, 'the id that was asked with');
    hold(read.records.length <= 256, 'a bounded number of records');
    for (const record of read.records) {
      if (record.data.kind === 'address') hold(parseAddress(record.data.text).ok, 'an address is one');
      else hold(record.data.target === null || isName(record.data.target), 'an alias leads to a hostname');
      hold(record.ttlSeconds >= 0, 'a time to live is none below zero');
    }
  }
}

/** The wire knows names that hosts do not have: they lead nowhere, and hold nothing but host bytes. */
function isName(text: string): boolean {
  return /^[a-z0-9_.-]*$/.test(text);
}

function takeHead(bytes: Buffer): void {
  const whole = scanHead(bytes, 0);
  let step = scanHead(bytes.subarray(0, 1), 0);
  for (let end = 2; end <= bytes.length && step.kind === 'more'; end += 1) {
    step = scanHead(bytes.subarray(0, end), end - 1);
  }
  hold(whole.kind === step.kind || bytes.length === 0, 'a head ends in the same place however it comes');
  if (whole.kind !== 'head') return;
  hold(step.kind === 'head' && step.end === whole.end, 'a head ends in the same place however it comes');
  const parsed = parseHead(bytes.subarray(0, whole.end));
  if (!parsed.ok) return;
  const { head } = parsed;
  for (const { name: field, value } of head.fields) {
    hold(!/[\r\n\0]/.test(field + value), 'no field holds an end of line');
  }
  const lengths = head.fields.filter(({ key }) => key === 'content-length');
  const codings = head.fields.filter(({ key }) => key === 'transfer-encoding');
  hold(lengths.length + codings.length <= 1, 'one framing or none');
  hold(head.fields.filter(({ key }) => key === 'host').length <= 1, 'one Host or none');
  const target = head.method === 'CONNECT' ? parseConnectTarget(head) : parseRequestTarget(head, null);
  if (!target.ok) return;
  const { host, port } = target.target.authority;
  hold(port >= 1 && port <= 65_535, 'a port is one');
  const text = host.kind === 'name' ? host.name : host.address;
  const again = host.kind === 'name' ? parseHost(text) : parseAddress(text);
  hold(again.ok, 'what was read is canonical');
}

function takeBody(bytes: Buffer): void {
  const read = (size: number) => {
    const decoder = new BodyDecoder({ kind: 'chunked' }, 1024);
    let held: Buffer = Buffer.alloc(0);
    let used = 0;
    const data: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      held = Buffer.concat([held, bytes.subarray(at, at + size)]);
      const step = decoder.step(held);
      if (step.kind === 'fault') return { end: 'fault', text: '' };
      data.push(...step.data);
      used += step.used;
      held = held.subarray(step.used);
      if (step.kind === 'done')
        return { end: `done at ${used}`, text: Buffer.concat(data).toString('latin1') };
    }
    return { end: 'more', text: Buffer.concat(data).toString('latin1') };
  };
  const whole = read(Math.max(1, bytes.length));
  for (const size of [1, 3]) {
    const cut = read(size);
    hold(whole.end === cut.end && whole.text === cut.text, 'a body is the same however it comes');
  }
}

function takeSocks(bytes: Buffer): void {
  const greeting = readGreeting(bytes);
  if (greeting.kind === 'greeting') hold(greeting.used <= 257, 'a greeting is short');
  const behind = greeting.kind === 'greeting' ? bytes.subarray(greeting.used) : bytes;
  for (const part of [bytes, behind]) {
    const request = readRequest(part);
    if (request.kind !== 'connect') continue;
    hold(part[1] === 1 && request.used <= 262, 'a CONNECT of its own length');
    const { host, port } = request.authority;
    hold(port >= 1, 'a port is one');
    if (host.kind === 'name') hold(isName(host.name) && host.name !== '', 'a name is one');
  }
}

async function takeHello(bytes: Buffer): Promise<void> {
  const limit = PROXY_LIMITS.clientHelloBytes;
  const whole = joinRecords(bytes, limit);
  for (let end = 0; end < bytes.length; end += 1 + Math.floor(bytes.length / 50)) {
    const step = joinRecords(bytes.subarray(0, end), limit);
    hold(step.kind !== 'whole' || whole.kind === 'whole', 'more bytes do not undo a whole hello');
  }
  if (whole.kind !== 'whole') return;
  hold(whole.handshake.length <= limit && whole.used <= bytes.length, 'a hello within its bound');
  const read = await readClientHello(whole.handshake);
  // The streams that it was read from end in a turn of their own.
  await nextTurn();
  if (!read.ok || read.hello.sni === null) return;
  const { sni } = read.hello;
  hold(isName(sni), 'a server name is a hostname');
  hold(whole.handshake.toString('latin1').toLowerCase().includes(sni), 'the name stands in the bytes');
}

/** The whole proxy over a stream in memory, a policy that allows nothing: no fault, no dial, nothing left open. */
function startProxyPort(): Running {
  const rig = new Rig({ limits: { headTimeoutMs: 50, clientHelloTimeoutMs: 50 } });
  return {
    async take(bytes) {
      const socket = new Duplex({
        read() {},
        write(_chunk, _encoding, done) {
          done();
        },
      });
      rig.proxy.acceptProxyConnection(socket);
      socket.push(Buffer.from(bytes));
      socket.push(null);
      await nextTurn();
      await nextTurn();
      socket.destroy();
      for (const event of rig.events) {
        hold(!('disposition' in event) || event.disposition === 'refused', 'nothing is allowed');
        hold(!('reason' in event) || event.reason !== 'internal-error', 'no fault in sand');
        checkLine(event);
      }
      rig.events.length = 0;
      rig.lookedUp.length = 0;
    },
    async stop() {
      await nextTurn();
      hold(rig.proxy.stats().connections === 0, 'no connection is left');
      await rig[Symbol.asyncDispose]();
    },
  };
}

function checkLine(entry: AuditEntry): void {
  const line = encodeLine(entry, { seq: 1, timeMs: 0, guest: 'g', prev: FIRST_PREV });
  hold(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line), 'a record is one line');
  hold(decodeLine(Buffer.from(line)).ok, 'the log reads its own line');
}

function takePolicy(bytes: Buffer): void {
  const compiled = compileText(bytes);
  if (compiled.ok) {
    hold(compiled.value.digest.startsWith('sha256:'), 'a policy has a digest');
    return;
  }
  hold(
    compiled.issues.some(({ severity }) => severity === 'error'),
    'no policy, and why',
  );
  hold(compiled.issues.length <= 64, 'a bounded number of issues');
}

function takeLine(bytes: Buffer): void {
  const cutter = new LineCutter();
  const lines = [...cutter.push(bytes), ...[cutter.end()].filter((last) => last !== null)];
  for (const { bytes: line } of lines) {
    if (line === null) continue;
    const decoded = decodeLine(line);
    if (decoded.ok)
      hold(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*\n$/u.test(formatEvent(decoded.event)), 'a line for a terminal');
    else hold(!/[\p{Cc}\p{Cf}]/u.test(decoded.detail), 'a problem is told in plain words');
  }
}
