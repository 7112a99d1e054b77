/** Idle upstream connections that fail when they are used again, or hold more than was asked for. */
import { describe, expect, it } from 'vitest';
import { createFaultWorld, OK, type OriginScript, requestOf } from './world.ts';

/** Does `act` once the head of a request is whole. */
const onHead =
  (act: (socket: Parameters<OriginScript>[0]) => void): OriginScript =>
  (socket, text) => {
    if (text.endsWith('\r\n\r\n')) act(socket);
  };

describe('a pooled connection', () => {
  /** Answers the first request of each connection, and does `second` on the next. */
  const onSecond =
    (second: (socket: Parameters<OriginScript>[0]) => void): OriginScript =>
    (socket, text) => {
      if (!text.endsWith('\r\n\r\n') && !text.endsWith('hi')) return;
      if (text.split(' HTTP/1.1\r\n').length === 2) socket.write(OK);
      else second(socket);
    };
  const arrivals = (into: string[], script: OriginScript): OriginScript => {
    return (socket, text) => {
      if (text !== '')
        into.push(
          text
            .split('\r\n')
            .filter((line) => line.includes(' HTTP/1.1'))
            .at(-1) ?? '',
        );
      script(socket, text);
    };
  };

  it('that is closed as a request is sent: the request is sent again, and the guest sees nothing', async () => {
    const seen: string[] = [];
    const origin = arrivals(
      seen,
      onSecond((socket) => socket.resetAndDestroy()),
    );
    await using world = await createFaultWorld({ origin });
    for (const path of ['/one', '/two']) {
      const client = await world.request('bad.example', world.ports.bad, path);
      expect(await client.all()).toMatch(/ 200 [\s\S]*fine$/);
    }
    expect(seen.filter((line) => line.includes('/two'))).toHaveLength(2);
    expect(world.decisions.filter(({ path }) => path === '/two')).toHaveLength(1);
  });

  it('takes no part in sending again, were all of them dead', async () => {
    const seen: string[] = [];
    const origin = arrivals(
      seen,
      onSecond((socket) => socket.resetAndDestroy()),
    );
    await using world = await createFaultWorld({ origin });
    const { bad } = world.ports;
    const first = await Promise.all(
      ['/a', '/b', '/c'].map((path) => world.request('bad.example', bad, path)),
    );
    for (const client of first) await client.all();
    const again = await world.request('bad.example', bad, '/again');
    expect(await again.all()).toMatch(/ 200 [\s\S]*fine$/);
    expect(seen.filter((line) => line.includes('/again'))).toHaveLength(2);
  });

  it.each([
    ['garbage', 'SSH-2.0\r\n\r\n'],
    ['an interim answer', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-'],
  ])('that breaks after %s: the origin has the request, and is not asked again', async (_, bytes) => {
    const seen: string[] = [];
    const breakOff = onSecond((socket) => socket.write(bytes, () => setImmediate(() => socket.destroy())));
    await using world = await createFaultWorld({ origin: arrivals(seen, breakOff) });
    const { bad } = world.ports;
    expect(await (await world.request('bad.example', bad, '/one')).all()).toMatch(/fine$/);
    expect(await (await world.request('bad.example', bad, '/two')).all()).toMatch(/HTTP\/1\.1 502 /);
    expect(seen.filter((line) => line.includes('/two'))).toHaveLength(1);
    await world.expectAlive();
  });

  it('carries no request that may not be sent twice', async () => {
    const seen: string[] = [];
    const origin = arrivals(
      seen,
      onSecond((socket) => socket.resetAndDestroy()),
    );
    await using world = await createFaultWorld({ origin });
    const { bad } = world.ports;
    expect(await (await world.request('bad.example', bad, '/one')).all()).toMatch(/fine$/);
    const post = await world.request('bad.example', bad, '/post', 'POST');
    expect(await post.all()).toMatch(/fine$/);
    expect(seen.filter((line) => line.includes('/post'))).toHaveLength(1);
  });

  it('on which more came than was asked for gives none of it to the next request', async () => {
    let served = 0;
    const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    const origin = onHead((socket) => socket.write(served++ === 0 ? `${OK}${evil}` : OK));
    await using world = await createFaultWorld({ origin });
    const client = await world.client();
    const { bad } = world.ports;
    const keep = (path: string) =>
      client.send(requestOf('GET', 'bad.example', bad, path).replace('Connection: close\r\n', ''));
    await keep('/one').until(/fine/);
    await keep('/two').until(/fine[\s\S]*fine/);
    expect(client.text).not.toContain('evil');
    await world.expectAlive();
  });
});
