import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCanaries } from '../../../../controller/links/vmnet/canaries.ts';
import { createVmnetLink, type VmnetLink } from '../../../../controller/links/vmnet/link.ts';

/** Every address of 127/8 is this machine's own: one stands for the host, one for its guest, one for a stranger. */
const NETWORK = { gateway: '127.0.77.1', guest: '127.0.77.5', name: 'bridge100' };
const STRANGER = '127.0.77.9';

describe('the vmnet link', () => {
  let link: VmnetLink;
  let resolver: DatagramSocket | null = null;
  beforeEach(async () => {
    link = await createVmnetLink(NETWORK, {
      proxy: (socket) => socket.end('proxy'),
      dnsStream: (socket) => socket.end('dns'),
      dnsDatagrams(socket) {
        resolver = socket;
        socket.on('message', (message, from) => socket.send(`to ${message}`, from.port, from.address));
      },
    });
  });
  afterEach(() => link.close());

  const said = async (port: number, from: string): Promise<string> => {
    const socket = connect({ host: NETWORK.gateway, port, localAddress: from });
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await new Promise((resolve) => socket.once('close', resolve));
    return text;
  };
  const ask = async (from: string, patienceMs: number): Promise<string> => {
    const socket = createSocket('udp4');
    socket.bind({ address: from, port: 0 });
    await once(socket, 'listening');
    const { promise, resolve } = Promise.withResolvers<string>();
    socket.on('message', (message) => resolve(message.toString()));
    const timer = setTimeout(() => resolve('nothing'), patienceMs);
    socket.send('question', link.dnsPort, NETWORK.gateway);
    const answer = await promise;
    clearTimeout(timer);
    socket.close();
    return answer;
  };

  it('serves its guest', async () => {
    expect(await said(link.proxyPort, NETWORK.guest)).toBe('proxy');
    expect(await said(link.dnsPort, NETWORK.guest)).toBe('dns');
    expect(await ask(NETWORK.guest, 5_000)).toBe('to question');
    expect(link.strangers()).toBe(0);
  });

  it('stranger-stream: resets connections of others, and counts them', async () => {
    expect(await said(link.proxyPort, STRANGER)).toBe('');
    expect(await said(link.dnsPort, NETWORK.gateway)).toBe('');
    expect(link.strangers()).toBe(2);
  });

  it('stranger-datagram: does not hear datagrams of others, nor answer them', async () => {
    const stranger = ask(STRANGER, 300);
    expect(await ask(NETWORK.guest, 5_000)).toBe('to question');
    expect(await stranger).toBe('nothing');
    expect(link.strangers()).toBe(1);
    const sent = Promise.withResolvers<number>();
    resolver?.send('x', 5_353, STRANGER, (_, bytes) => sent.resolve(bytes));
    expect(await sent.promise).toBe(0);
  });

  it('has a way in to what is published, and to nothing else', async () => {
    const server = createServer((socket) => socket.end('guest'));
    server.listen(0, NETWORK.guest);
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const dial = link.openWayIn([port, 1]);
    const met = await dial(port);
    expect(met.ok && (await once(met.socket, 'data')).toString()).toBe('guest');
    if (met.ok) met.socket.destroy();
    expect(await dial(1)).toMatchObject({ ok: false });
    expect(await dial(port === 80 ? 81 : 80)).toMatchObject({ ok: false, detail: 'it is not published' });
    server.close();
    link.close();
    expect(await dial(port)).toMatchObject({ ok: false, detail: 'the guest has ended' });
  });

  it('raises what kept it from listening, and leaves nothing open', async () => {
    const consumer = { proxy: () => {}, dnsStream: () => {}, dnsDatagrams: () => {} };
    const network = { ...NETWORK, gateway: '203.0.113.77' };
    await expect(createVmnetLink(network, consumer)).rejects.toMatchObject({ code: 'link-failed' });
  });
});

describe('canaries', () => {
  it('greet where they can listen, until they are closed', async () => {
    const canaries = await openCanaries([NETWORK.gateway, '203.0.113.77', NETWORK.guest]);
    expect(canaries.places.map(({ address }) => address)).toEqual([NETWORK.gateway, NETWORK.guest]);
    const [place] = canaries.places;
    const socket = connect(place?.port ?? 0, place?.address);
    expect(`${(await once(socket, 'data'))[0]}`).toBe(`${canaries.greeting}\n`);
    canaries.close();
    const late = connect(place?.port ?? 0, place?.address);
    expect((await once(late, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED' });
  });
});
