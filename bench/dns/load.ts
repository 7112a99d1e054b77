/** Asks one DNS server as fast as it answers, with so many questions under way; where dnsperf is not installed. */
import { createSocket } from 'node:dgram';
import { serveTasks } from '../program.ts';

export interface DnsTask {
  readonly port: number;
  readonly names: readonly string[];
  readonly underWay: number;
  readonly ms: number;
}

export interface DnsFigures {
  readonly answers: number;
  readonly elapsedMs: number;
}

/** A lost datagram would leave its place empty for good. */
const LOST_AFTER_MS = 200;

/** RFC 1035 section 4.1: one question for an address; the id stands in the first two bytes. */
function query(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([
    Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...labels,
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
}

function askAll({ port, names, underWay, ms }: DnsTask): Promise<DnsFigures> {
  const { promise, resolve } = Promise.withResolvers<DnsFigures>();
  const queries = names.map(query);
  const socket = createSocket('udp4');
  const start = performance.now();
  let sent = 0;
  let answers = 0;
  let lastMs = start;
  const ask = (): void => {
    const message = Buffer.from(queries[sent % queries.length] ?? Buffer.alloc(0));
    message.writeUInt16BE(sent & 0xffff);
    sent += 1;
    socket.send(message, port, '127.0.0.1');
  };
  const askMany = (): void => {
    for (let at = 0; at < underWay; at += 1) ask();
  };
  const lost = setInterval(() => {
    if (performance.now() - lastMs > LOST_AFTER_MS) askMany();
  }, LOST_AFTER_MS);
  socket.on('message', () => {
    answers += 1;
    lastMs = performance.now();
    if (lastMs - start < ms) return ask();
    clearInterval(lost);
    socket.close();
    socket.removeAllListeners('message');
    resolve({ answers, elapsedMs: lastMs - start });
  });
  askMany();
  return promise;
}

serveTasks({}, askAll);
