import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { createDoorman, formatBasic, readProof } from '../../../../controller/links/vmnet/doorman.ts';
import { VMNET_LIMITS } from '../../../../controller/links/vmnet/limits.ts';

const CREDENTIAL = { user: 'sand', password: 'secret' };
const OWN = `Proxy-Authorization: ${formatBasic(CREDENTIAL)}`;
const OTHER = `Proxy-Authorization: ${formatBasic({ user: 'sand', password: 'other' })}`;
const head = (...fields: readonly string[]) =>
  ['CONNECT example.com:443 HTTP/1.1', 'Host: example.com', ...fields, '', ''].join('\r\n');
const proofOf = (text: string) => readProof(Buffer.from(text, 'latin1'), 0, CREDENTIAL);

describe('the credential of a guest\u2019s proxy', () => {
  it('is shown in the first request, in any case of letters of its scheme', () => {
    expect(proofOf(head(OWN))).toBe('shown');
    expect(proofOf(head(OWN.replace('Basic', 'basic')))).toBe('shown');
  });

  it('credential-wrong: is no other', () => {
    expect(proofOf(head(OTHER))).toBe('wrong');
    expect(proofOf(head(OWN.toLowerCase()))).toBe('wrong');
    expect(proofOf(head('Proxy-Authorization: '))).toBe('wrong');
  });

  it('credential-twice: is not one of two', () => {
    expect(proofOf(head(OWN, OTHER))).toBe('wrong');
    expect(proofOf(head(OTHER, OWN))).toBe('wrong');
  });

  it.each([
    ['CONNECT example.com', 'more'],
    [head(), 'missing'],
    [head(OWN.replace('Proxy-', '')), 'missing'],
    ['\u0005\u0001\u0000', 'unreadable'],
    ['\u0016\u0003\u0001', 'unreadable'],
    [head(OWN).replace('\r\n', '\n'), 'unreadable'],
    [`GET http://a/ HTTP/1.1\r\nA: ${'a'.repeat(VMNET_LIMITS.headBytes)}`, 'unreadable'],
  ])('%j: %s', (text, proof) => expect(proofOf(text)).toBe(proof));
});

describe('any bytes', () => {
  it('are survived, and prove nothing without the credential, however they are cut', () => {
    const pieces = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.constantFrom(
        'CONNECT a:1 HTTP/1.1',
        'GET http://a/ HTTP/1.1',
        '\r\n',
        '\r\n\r\n',
        'Host: a',
        OTHER,
        '\u0005',
      ),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), fc.nat(), (texts, cut) => {
        const bytes = Buffer.from(texts.join(''), 'latin1');
        const whole = readProof(bytes, 0, CREDENTIAL);
        expect(whole).not.toBe('shown');
        const at = bytes.length === 0 ? 0 : cut % bytes.length;
        const first = readProof(bytes.subarray(0, at), 0, CREDENTIAL);
        if (first === 'more') expect(readProof(bytes, at, CREDENTIAL)).toBe(whole);
      }),
    );
  });
});

describe('the doorman', () => {
  const open: (Server | Socket)[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) 'destroy' in one ? one.destroy() : one.close();
  });

  async function place(met: { wrong?: () => void } = {}) {
    const doorman = createDoorman(CREDENTIAL, {
      admit(socket) {
        socket.on('data', (chunk: Buffer) => socket.write(`got ${chunk.toString()}`));
        socket.on('end', () => socket.end());
      },
      wrong: met.wrong ?? (() => {}),
    });
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      open.push(socket);
      doorman.meet(socket);
    });
    open.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const say = async (...texts: readonly string[]): Promise<string> => {
      const socket = connect(port, '127.0.0.1');
      open.push(socket);
      let said = '';
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        said += chunk.toString('latin1');
      });
      await once(socket, 'connect');
      socket.setNoDelay(true);
      for (const text of texts) {
        socket.write(text, 'latin1');
        await new Promise((resolve) => setImmediate(resolve));
      }
      socket.end();
      await once(socket, 'close');
      return said;
    };
    return { doorman, say };
  }

  it('hands over who has shown it, with every byte, however they came', async () => {
    const { say } = await place();
    expect(await say(`${head(OWN)}more`)).toBe(`got ${head(OWN)}more`);
    const text = head(OWN);
    const said = await say(text.slice(0, 20), text.slice(20, 60), text.slice(60), 'more');
    expect(said.replaceAll('got ', '')).toBe(`${text}more`);
  });

  it('asks for it with a 407, and tells of a wrong one', async () => {
    let wrong = 0;
    const { say } = await place({
      wrong: () => {
        wrong += 1;
      },
    });
    expect(await say(head())).toMatch(/^HTTP\/1\.1 407 .*\r\nProxy-Authenticate: Basic realm="sand"/);
    expect(wrong).toBe(0);
    expect(await say(head(OTHER))).toMatch(/^HTTP\/1\.1 407 /);
    expect(wrong).toBe(1);
    expect(await say('\u0005\u0001\u0000')).toBe('\u0005\u00ff');
  });

  it('lets the oldest go where too many show nothing, and all when it is closed', async () => {
    const { doorman } = await place();
    const sockets = Array.from({ length: VMNET_LIMITS.unproven + 1 }, () => {
      const [left] = pair();
      doorman.meet(left);
      return left;
    });
    expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(1);
    expect(sockets[0]?.destroyed).toBe(true);
    doorman.close();
    expect(sockets.every(({ destroyed }) => destroyed)).toBe(true);
    const [late] = pair();
    doorman.meet(late);
    expect(late.destroyed).toBe(true);
  });
});

/** A stream that nothing comes on. */
function pair(): readonly [Socket] {
  const server = createServer();
  server.close();
  return [connect({ port: 1, host: '127.0.0.1', lookup: () => {} }).on('error', () => {})];
}
