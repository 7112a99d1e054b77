/**
 * The arm64 program under qemu-user: what of it does not depend on the kernel's netlink, which that translates in part. Its
 * guest has no NET_ADMIN, so it is in loopback mode.
 */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoLines } from './proxy-host.ts';
import { reasonToSkip, startGuest, type TestGuest } from './test-guest.ts';

function emulator(): string | null {
  try {
    return execFileSync('sh', ['-c', 'command -v qemu-aarch64-static || command -v qemu-aarch64'], {
      encoding: 'utf8',
    }).trim();
  } catch {
    return null;
  }
}

const found = emulator();
const reason = reasonToSkip() ?? (found === null ? 'there is no qemu-aarch64' : null);

describe.skipIf(reason !== null)(`arm64${reason === null ? '' : ` (${reason})`}`, () => {
  let guest: TestGuest;
  beforeAll(async () => {
    guest = await startGuest({
      proxy: echoLines,
      dns: (socket, _, first) => socket.end(first),
      architecture: 'arm64',
      emulator: found ?? '',
      capabilities: ['sys_admin'],
    });
  });
  afterAll(() => guest?.close());

  it('serves in loopback mode', async () => {
    expect((await guest.relay(['ready'])).stdout).toBe('ready loopback\n');
  });

  it('relays the proxy port and synthetic addresses', async () => {
    const talk = (host: string, port: number) => `
      const socket = require('net').connect({ host: '${host}', port: ${port}, allowHalfOpen: true });
      socket.on('data', (chunk) => process.stdout.write(chunk)).on('connect', () => socket.end('line\\n'));
    `;
    expect((await guest.node(talk('127.0.0.1', 3128))).stdout).toBe('127.0.0.1:3128 line\nend\n');
    expect((await guest.node(talk('127.18.0.7', 443))).stdout).toBe('127.18.0.7:443 line\nend\n');
  });

  it('answers questions', async () => {
    const { stdout } = await guest.node(`
      const socket = require('dgram').createSocket('udp4');
      socket.on('message', (answer, from) => { console.log(answer.length, from.address); process.exit(); });
      socket.send(Buffer.alloc(40, 1), 53, '127.0.0.1');
    `);
    expect(stdout).toBe('40 127.0.0.1\n');
  });

  it('runs a command as a user without capabilities, and remembers its end', async () => {
    const { code, stdout, stderr } = await guest.run(
      ['sh', '-c', 'id -u; grep CapPrm /proc/self/status; exit 6'],
      {
        user: 'builder',
        id: 'six',
      },
    );
    expect([stderr, code, stdout]).toEqual(['', 6, '1000\nCapPrm:\t0000000000000000\n']);
    expect((await guest.relay(['status', 'six'])).stdout).toBe('exited 6\n');
    expect((await guest.run(['no-such-command'])).code).toBe(127);
  });

  it('probes', async () => {
    const { stdout } = await guest.relay(['probe'], 'tcp 127.0.0.1 9\ntry raw-socket\n');
    expect(stdout.split('\n').sort()).toEqual([
      '',
      'end',
      'tcp 127.0.0.1 9 nobody',
      'try raw-socket errno 1',
    ]);
  });
});
