/** The relay in redirect mode: what reaches the host's sockets, with which destination, and what never leaves the guest. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoLines, type RelayHeader } from './proxy-host.ts';
import { reasonToSkip, startGuest, type TestGuest } from './test-guest.ts';

const reason = reasonToSkip();

/** Says the lines, ends its side, and prints all that comes back. */
const talk = (host: string, port: number, say: string) => `
  const socket = require('net').connect({ host: '${host}', port: ${port}, allowHalfOpen: true });
  socket.on('data', (chunk) => process.stdout.write(chunk)).on('error', (error) => console.log(error.code));
  socket.on('connect', () => socket.end(${JSON.stringify(say)}));
`;

describe.skipIf(reason !== null)(`redirect mode${reason === null ? '' : ` (${reason})`}`, () => {
  const headers: RelayHeader[] = [];
  let guest: TestGuest;
  beforeAll(async () => {
    guest = await startGuest({
      proxy: (socket, header, first) => {
        headers.push(header);
        echoLines(socket, header, first);
      },
    });
  });
  afterAll(() => guest?.close());

  it('is what a kernel with nf_tables gives', async () => {
    expect(await guest.relay(['mode'])).toMatchObject({ code: 0, stdout: 'redirect\n' });
    expect(await guest.relay(['ready'])).toMatchObject({ code: 0, stdout: 'ready redirect\n' });
  });

  it('passes the proxy port on, with its own place as the destination', async () => {
    const { stdout } = await guest.node(talk('127.0.0.1', 3128, 'one\n'));
    expect(stdout).toBe('127.0.0.1:3128 one\nend\n');
  });

  it('passes planted ports of every address on, with the original destination of either family', async () => {
    expect((await guest.node(talk('203.0.113.5', 443, 'a\n'))).stdout).toBe('203.0.113.5:443 a\nend\n');
    expect((await guest.node(talk('10.1.2.3', 80, 'b\n'))).stdout).toBe('10.1.2.3:80 b\nend\n');
    expect((await guest.node(talk('169.254.169.254', 80, 'c\n'))).stdout).toBe('169.254.169.254:80 c\nend\n');
    expect((await guest.node(talk('2001:db8:5::1', 443, 'd\n'))).stdout).toBe(
      '[2001:db8:5:0:0:0:0:1]:443 d\nend\n',
    );
    expect(headers.at(-1)).toMatchObject({ transport: 'stream' });
    expect(headers.at(-1)?.from).toMatch(/^\[2001:db8:0:0:0:0:0:1\]:\d+$/);
  });

  it('leaves what is not planted to be refused at once, and counts it', async () => {
    expect((await guest.node(talk('203.0.113.9', 22, ''))).stdout).toBe('ECONNREFUSED\n');
    expect((await guest.node(talk('2001:db8:5::1', 25, ''))).stdout).toBe('ECONNREFUSED\n');
    await guest.node(`
      const socket = require('dgram').createSocket('udp4');
      socket.send('x', 443, '203.0.113.9', () => setTimeout(() => socket.close(), 50));
    `);
    const { stdout } = await guest.relay(['tried']);
    expect(stdout.split('\n').sort()).toEqual([
      '',
      'tcp 2001:db8:5::1 25 1',
      'tcp 203.0.113.9 22 1',
      'udp 203.0.113.9 443 1',
    ]);
  });

  it('plants a port while the guest runs', async () => {
    expect((await guest.node(talk('203.0.113.9', 5432, ''))).stdout).toBe('ECONNREFUSED\n');
    expect(await guest.relay(['plant', '5432'])).toMatchObject({ code: 0 });
    expect((await guest.node(talk('203.0.113.9', 5432, 'q\n'))).stdout).toBe('203.0.113.9:5432 q\nend\n');
    expect((await guest.relay(['plant', '53'])).code).toBe(1);
    expect((await guest.relay(['plant', '65536'])).code).toBe(2);
  });

  it("leaves a guest's own server at a planted port to the guest", async () => {
    const { stdout } = await guest.node(`
      const net = require('net');
      const server = net.createServer((socket) => socket.end('own\\n')).listen(443, () => {
        net.connect(443, '127.0.0.1').on('data', (chunk) => process.stdout.write(chunk)).on('close', () => {
          net.connect({ host: '203.0.113.5', port: 443, allowHalfOpen: true }).on('data', (chunk) => process.stdout.write(chunk))
            .on('connect', function () { this.end('x\\n'); }).on('close', () => process.exit());
        });
      });
    `);
    expect(stdout).toBe('own\n203.0.113.5:443 x\nend\n');
  });

  it('resets a connection to the redirect port itself', async () => {
    const before = headers.length;
    expect((await guest.node(talk('127.0.0.1', 3129, 'x'))).stdout).toBe('ECONNRESET\n');
    expect((await guest.node(talk('::1', 3129, 'x'))).stdout).toBe('ECONNRESET\n');
    expect(headers.length).toBe(before);
  });
});
