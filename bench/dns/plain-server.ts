/** dns2 alone, with one fixed answer: what is left of sand's resolver without policy, records and guards. */
import { once } from 'node:events';
import { Packet, UDPServer } from 'dns2';
import { serveTasks } from '../program.ts';
import type { DnsReady } from './sand-server.ts';

const server = new UDPServer({ type: 'udp4' });
server.on('request', (request: Packet, send: (answer: Packet) => void) => {
  const answer = Packet.createResponseFromRequest(request);
  const name = request.questions[0]?.name ?? '';
  const record = { name, type: Packet.TYPE.A, class: Packet.CLASS.IN, ttl: 60, address: '198.18.0.9' };
  answer.answers.push(Object.assign(new Packet.Resource(), record));
  send(answer);
});
const listening = once(server, 'listening');
server.listen(0, '127.0.0.1');
await listening;
const ready: DnsReady = { port: server.address().port };
serveTasks(ready, async () => ({}));
