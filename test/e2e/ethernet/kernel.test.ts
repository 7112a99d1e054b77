/** The ethernet link against a kernel that shares no code with it: a network namespace with a TAP device as its only card. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GuestStream } from '../../../controller/links/ethernet/guest-stream.ts';
import { type CabledGuest, createCabledGuest } from './cabled-guest.ts';
import { why } from './needs.ts';
import { CLIENT, createTransfers, digestOf, TRANSFER_PORTS } from './transfers.ts';

const missing = why();
if (missing !== null) console.log(`skipped: the ethernet link against a kernel: ${missing}`);

const MIB = 1024 * 1024;

describe.skipIf(missing !== null)('a kernel at the other end of the cable', () => {
  let guest: CabledGuest;
  const held: GuestStream[] = [];

  beforeAll(async () => {
    guest = await createCabledGuest({
      ports: TRANSFER_PORTS,
      serve: createTransfers({ held: (stream) => held.push(stream) }),
      answer: (message) =>
        Buffer.concat([message.subarray(0, 2), Buffer.from([0x81, 0x83]), message.subarray(4)]),
    });
  });

  afterAll(() => guest[Symbol.asyncDispose]());

  const client = async (...argv: readonly string[]): Promise<Record<string, unknown>> => {
    const { stdout, stderr } = await guest.run([...CLIENT, ...argv]);
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };

  it('gets its address by DHCP, with the gateway, the resolver, the MTU and the proxy auto-config', () => {
    expect(guest.lease).toBe(
      'ip=198.18.0.2 router=198.18.0.1 dns=198.18.0.1 mtu=1500 wpad=http://198.18.0.1:3129/proxy.pac lease=86400 mask=255.255.255.252',
    );
  });

  it('hears the gateway’s echo, and nobody else’s', async () => {
    expect((await guest.run(['busybox', 'ping', '-c', '2', '-W', '2', '198.18.0.1'])).stdout).toContain(
      '2 packets received',
    );
    expect((await guest.run(['busybox', 'ping', '-c', '1', '-W', '2', '203.0.113.7'])).stdout).toContain(
      '0 packets received',
    );
  });

  it('fetches the proxy auto-config with curl', async () => {
    const { stdout } = await guest.run([
      'curl',
      '-sS',
      '--max-time',
      '10',
      'http://198.18.0.1:3129/proxy.pac',
    ]);
    expect(stdout).toContain("return 'PROXY 198.18.0.1:3128'");
  });

  it('is answered by any resolver that it asks', async () => {
    const { stdout, stderr } = await guest.run(['busybox', 'nslookup', 'gone.example', '203.0.113.53']);
    expect(stdout + stderr).toMatch(/NXDOMAIN/);
  });

  it('is refused at once what is not planted, over TCP and UDP, and that is counted', async () => {
    const started = performance.now();
    const { code } = await guest.run(['curl', '-sS', '--max-time', '10', 'http://203.0.113.7:81/']);
    expect(code).toBe(7);
    const sent =
      "import socket; s=socket.socket(2,2); s.connect(('203.0.113.9',443)); s.send(b'x'); s.settimeout(5)\ntry: s.recv(9)\nexcept OSError as e: print(e)";
    expect((await guest.run(['python3', '-c', sent])).stdout).toMatch(
      /refused|prohibited|unreachable|No route/i,
    );
    expect(performance.now() - started).toBeLessThan(9_000);
    expect(guest.link.tried()).toEqual(
      expect.arrayContaining([
        { transport: 'tcp', address: '203.0.113.7', port: 81, count: 1 },
        expect.objectContaining({ transport: 'udp', address: '203.0.113.9', port: 443 }),
      ]),
    );
  });

  it('carries tens of megabytes down and up, byte for byte', async () => {
    const length = 32 * MIB;
    expect(await client('down', String(length))).toEqual({ count: length, digest: digestOf(length) });
    expect(await client('up', String(length))).toEqual({ answer: `${length} ${digestOf(length)}` });
  });

  it('carries a thousand connections at once', async () => {
    expect(await client('echo', '1000', '20000')).toEqual({ done: 1_000, failed: 0 });
  });

  it('waits for a slow reader in the guest', async () => {
    const length = 3 * MIB;
    const told = await client('down', String(length), '0.004', '16384', '16384');
    expect(told).toEqual({ count: length, digest: digestOf(length) });
  });

  it('resets, and is reset', async () => {
    expect(await client('reset')).toEqual({ error: 'ConnectionResetError' });
    expect(await client('abort')).toEqual({ done: true });
    const [stream] = held;
    if (stream === undefined) throw new Error('nothing was held');
    if (!stream.destroyed) await once(stream, 'close');
    expect(stream.errored).toMatchObject({ code: 'ECONNRESET' });
  });

  it('is reached at its own servers by what is published', async () => {
    const served = guest.start([
      'python3',
      '-c',
      "import socket; s=socket.create_server(('',8080)); print('up',flush=True); c,_=s.accept(); c.sendall(b'>'+c.recv(9)); c.close()",
    ]);
    await once(served.stdout ?? served, 'data');
    const dialled = await guest.link.openWayIn([8_080])(8_080);
    if (!dialled.ok) throw new Error(dialled.detail);
    dialled.socket.write('hello');
    const [answer] = await once(dialled.socket, 'data');
    expect(String(answer)).toBe('>hello');
    dialled.socket.end();
    expect(await guest.link.openWayIn([8_081])(8_081)).toEqual({
      ok: false,
      detail: 'it refused the connection',
    });
  });

  it('has no other way: the cable gone, everything is', async () => {
    guest.holder.kill('SIGKILL');
    expect(await guest.lost).toMatchObject({ code: 'link-failed' });
  });
});

describe.skipIf(missing !== null)('a slow reader on the host', () => {
  it('is waited for by the guest’s kernel', async () => {
    await using guest = await createCabledGuest({
      ports: TRANSFER_PORTS,
      serve: createTransfers({ slowMs: 4 }),
    });
    const length = 6 * MIB;
    const { stdout } = await guest.run([...CLIENT, 'up', String(length)]);
    expect(JSON.parse(stdout)).toEqual({ answer: `${length} ${digestOf(length)}` });
  });
});
