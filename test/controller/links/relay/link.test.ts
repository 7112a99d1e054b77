/** The host's end of the relay link, with plain sockets in the relay's place. */
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Destination } from '../../../../controller/links/arrivals.ts';
import { createRelayLink, type RelayLink } from '../../../../controller/links/relay/link.ts';
import type { IpAddress } from '../../../../policies/model.ts';
import { encodeRelayHead } from './heads.ts';

const HEAD = encodeRelayHead({
  kind: 'guest',
  transport: 'tcp',
  client: { address: '127.0.0.1' as IpAddress, port: 40_000 },
  destination: { address: '203.0.113.9' as IpAddress, port: 443 },
});
const OWN = encodeRelayHead({ kind: 'own' });

interface Arrived {
  readonly socket: Socket;
  readonly destination: Destination | null;
  readonly transport: 'tcp' | 'udp';
}

let folder = '';
let link: RelayLink;
const arrived: Arrived[] = [];
const lost: string[] = [];
const opened: Socket[] = [];
let told: () => void = () => {};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sand-relay-'));
  chmodSync(folder, 0o700);
  link = await createRelayLink(folder, {
    stream(socket, destination) {
      arrived.push({ socket, destination, transport: 'tcp' });
      told();
    },
    dns(socket, transport) {
      arrived.push({ socket, destination: null, transport });
      told();
    },
    lost(error) {
      lost.push(error.code);
      told();
    },
  });
});

afterEach(async () => {
  for (const socket of opened.splice(0)) socket.destroy();
  await link.close();
  rmSync(folder, { recursive: true, force: true });
  arrived.length = 0;
  lost.length = 0;
});

function dial(path: string, ...writes: readonly Buffer[]): Socket {
  const socket = connect(path);
  opened.push(socket);
  socket.on('error', () => {}).resume();
  for (const bytes of writes) socket.write(bytes);
  return socket;
}

function next(): Promise<void> {
  return new Promise((resolve) => {
    told = resolve;
  });
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('the relay link', () => {
  it('hands on a connection with where it was going, and every byte behind the head', async () => {
    const coming = next();
    const guest = dial(link.proxySocket, Buffer.concat([HEAD, Buffer.from('first ')]));
    await coming;
    guest.write('second');
    guest.end();
    const [{ socket, destination } = expect.fail('nothing arrived')] = arrived;
    expect(destination).toEqual({ address: '203.0.113.9', port: 443 });
    let text = '';
    for await (const chunk of socket) text += chunk;
    expect(text).toBe('first second');
  });

  it('waits for a head that comes byte by byte', async () => {
    const coming = next();
    const guest = dial(link.proxySocket);
    guest.setNoDelay(true);
    for (const byte of HEAD) guest.write(Buffer.from([byte]));
    await coming;
    expect(arrived).toHaveLength(1);
  });

  it('tells a datagram\u2019s question from a stream', async () => {
    const udp = encodeRelayHead({
      kind: 'guest',
      transport: 'udp',
      client: { address: '127.0.0.1' as IpAddress, port: 40_000 },
      destination: { address: '127.0.0.1' as IpAddress, port: 53 },
    });
    const coming = next();
    dial(link.dnsSocket, udp);
    await coming;
    expect(arrived.map(({ transport }) => transport)).toEqual(['udp']);
  });

  it.each([
    ['bytes of another protocol', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['half a head and an end', HEAD.subarray(0, 20)],
    [
      'a datagram for the proxy',
      Buffer.concat([HEAD.subarray(0, 13), Buffer.from([0x12]), HEAD.subarray(14)]),
    ],
  ])('destroys what begins with %s', async (_, bytes) => {
    const guest = dial(link.proxySocket, bytes);
    guest.end();
    await closed(guest);
    expect(arrived).toEqual([]);
  });

  it('is lost, once, with the connection that the relay keeps; another of that kind changes nothing', async () => {
    const relay = dial(link.proxySocket, OWN);
    // Those of one socket arrive in their order.
    const second = dial(link.proxySocket, OWN);
    await closed(second);
    expect(lost).toEqual([]);
    const coming = next();
    relay.destroy();
    await coming;
    expect(lost).toEqual(['guest-failed']);
  });

  it('is not lost by its own end, and leaves no socket', async () => {
    const relay = dial(link.proxySocket, OWN);
    const coming = next();
    dial(link.proxySocket, HEAD);
    await coming;
    const ended = closed(relay);
    await link.close();
    await ended;
    expect(lost).toEqual([]);
    expect(() => statSync(link.proxySocket)).toThrow('ENOENT');
  });

  it('may be dialled by every user of the guest, and on the host by who may enter its folder', () => {
    expect(statSync(link.proxySocket).mode & 0o777).toBe(0o666);
    expect(statSync(link.dnsSocket).mode & 0o777).toBe(0o666);
  });

  it('is refused where a socket\u2019s path would be too long', async () => {
    await expect(
      createRelayLink(join(folder, 'x'.repeat(120)), { stream() {}, dns() {}, lost() {} }),
    ).rejects.toMatchObject({ code: 'link-failed' });
  });
});
