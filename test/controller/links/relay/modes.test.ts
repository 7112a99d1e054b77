/** The relay where the kernel has no nf_tables, and where the guest has no NET_ADMIN: other ways to tell a destination. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoLines, type RelayHeader } from './proxy-host.ts';
import { reasonToSkip, startGuest, type TestGuest } from './test-guest.ts';

const reason = reasonToSkip();

/** Takes the kernel's nf_tables away as a kernel without it does: no socket of netlink's netfilter family. */
const DENY_NETFILTER = `
import ctypes, os, struct, sys
AF_NETLINK, NETLINK_NETFILTER, EPROTONOSUPPORT, ALLOW, ERRNO = 16, 12, 93, 0x7fff0000, 0x00050000
socket = {'x86_64': 41, 'aarch64': 198}[os.uname().machine]
lines = [(0x20, 0, 0, 0), (0x15, 0, 5, socket), (0x20, 0, 0, 16), (0x15, 0, 3, AF_NETLINK), (0x20, 0, 0, 32),
         (0x15, 0, 1, NETLINK_NETFILTER), (0x06, 0, 0, ERRNO | EPROTONOSUPPORT), (0x06, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in lines))
program = struct.pack('HxxxxxxQ', len(lines), ctypes.addressof(code))
if ctypes.CDLL(None, use_errno=True).prctl(22, 2, ctypes.c_char_p(program), 0, 0) != 0: sys.exit('no seccomp')
os.execvp(sys.argv[1], sys.argv[1:])
`;

const connectAndSay = (host: string, port: number, text: string) => `
  const socket = require('net').connect({ host: '${host}', port: ${port}, allowHalfOpen: true });
  socket.on('data', (chunk) => process.stdout.write(chunk)).on('error', (error) => console.log(error.code));
  socket.on('connect', () => socket.end(${JSON.stringify(text)}));
`;

describe.skipIf(reason !== null)(`listen mode${reason === null ? '' : ` (${reason})`}`, () => {
  const asked: RelayHeader[] = [];
  let guest: TestGuest;
  beforeAll(async () => {
    guest = await startGuest({
      proxy: echoLines,
      dns: (socket, header, first) => {
        asked.push(header);
        socket.write(first);
      },
      prepare: (folder) => {
        writeFileSync(`${folder}/deny.py`, DENY_NETFILTER);
      },
      wrapper: 'python3 ../deny.py',
    });
  });
  afterAll(() => guest?.close());

  it('is what a kernel without nf_tables gives', async () => {
    expect((await guest.relay(['ready'])).stdout).toBe('ready listen\n');
  });

  it('tells the destination by the address that was connected to', async () => {
    expect((await guest.node(connectAndSay('203.0.113.5', 443, 'a\n'))).stdout).toBe(
      '203.0.113.5:443 a\nend\n',
    );
    expect((await guest.node(connectAndSay('2001:db8:5::1', 80, 'b\n'))).stdout).toBe(
      '[2001:db8:5:0:0:0:0:1]:80 b\nend\n',
    );
    expect((await guest.node(connectAndSay('127.0.0.1', 3128, 'c\n'))).stdout).toBe(
      '127.0.0.1:3128 c\nend\n',
    );
    expect((await guest.node(connectAndSay('203.0.113.5', 22, 'd\n'))).stdout).toBe('ECONNREFUSED\n');
  });

  it('resets what goes to a loopback address at a planted port', async () => {
    expect((await guest.node(connectAndSay('127.0.0.1', 443, 'x'))).stdout).toBe('ECONNRESET\n');
    expect((await guest.node(connectAndSay('::1', 443, 'x'))).stdout).toBe('ECONNRESET\n');
  });

  it('plants a port by listening on it, and not where something listens', async () => {
    expect((await guest.relay(['plant', '5432'])).code).toBe(0);
    expect((await guest.node(connectAndSay('203.0.113.5', 5432, 'a\n'))).stdout).toBe(
      '203.0.113.5:5432 a\nend\n',
    );
    expect(await guest.relay(['plant', '3128'])).toMatchObject({ code: 1 });
  });

  it('answers questions to every server from that server, and tells which it was', async () => {
    const { stdout } = await guest.node(`
      const socket = require('dgram').createSocket('udp4');
      socket.on('message', (answer, from) => { console.log(answer.length, from.address); process.exit(); });
      socket.send(Buffer.alloc(40, 1), 53, '8.8.4.4');
    `);
    expect(stdout).toBe('40 8.8.4.4\n');
    expect(asked.at(-1)).toMatchObject({ transport: 'datagram', to: '8.8.4.4:53' });
  });
});

describe.skipIf(reason !== null)('loopback mode', () => {
  let guest: TestGuest;
  beforeAll(async () => {
    guest = await startGuest({
      proxy: echoLines,
      dns: (socket) => socket.destroy(),
      capabilities: ['sys_admin'],
    });
  });
  afterAll(() => guest?.close());

  it('is what a guest without NET_ADMIN gives', async () => {
    expect((await guest.relay(['ready'])).stdout).toBe('ready loopback\n');
  });

  it('passes synthetic addresses on, and no other loopback address', async () => {
    expect((await guest.node(connectAndSay('127.18.0.7', 443, 'a\n'))).stdout).toBe(
      '127.18.0.7:443 a\nend\n',
    );
    expect((await guest.node(connectAndSay('127.19.255.1', 80, 'b\n'))).stdout).toBe(
      '127.19.255.1:80 b\nend\n',
    );
    for (const host of ['127.0.0.1', '127.17.0.1', '127.20.0.1', '::1']) {
      expect((await guest.node(connectAndSay(host, 443, 'x'))).stdout).toBe('ECONNRESET\n');
    }
    expect((await guest.node(connectAndSay('203.0.113.5', 443, 'x'))).stdout).toBe('ENETUNREACH\n');
  });

  it('counts nothing, since nothing goes anywhere', async () => {
    expect(await guest.relay(['tried'])).toMatchObject({ code: 0, stdout: '' });
  });
});
