import { describe, expect, it } from 'vitest';
import { readQuestion } from '../../../controller/verify/host-watch.ts';
import { clientHello, connectHead, framedQuestion, httpHead } from '../../../controller/verify/messages.ts';
import { joinRecords, readClientHello } from '../../../proxy/client-hello.ts';

describe('bytes that attacks send', () => {
  it('are a ClientHello that sand itself reads the server name of', async () => {
    const joined = joinRecords(clientHello('front.denied.example'), 16_384);
    if (joined.kind !== 'whole') throw new Error(joined.kind);
    expect(await readClientHello(joined.handshake)).toMatchObject({
      ok: true,
      hello: { sni: 'front.denied.example' },
    });
  });

  it('are a question behind its length', () => {
    const framed = framedQuestion('a.denied.example');
    expect(framed.readUInt16BE(0)).toBe(framed.length - 2);
    expect(readQuestion(framed.subarray(2))).toMatchObject({ name: 'a.denied.example', type: 1 });
  });

  it('are heads of requests', () => {
    expect(httpHead('GET / HTTP/1.1', ['Host: a', 'X: b']).toString()).toBe(
      'GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n',
    );
    expect(connectHead('[::1]:443').toString()).toBe('CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n');
  });
});
