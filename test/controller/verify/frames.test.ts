/** The frames by which a guest would get past its cable, at the stack that the cable ends in; and what would count as an answer. */
import { describe, expect, it } from 'vitest';
import {
  announceRouter,
  askEverybody,
  askForLease,
  askForStation,
  askForTaggedStation,
  claimGateway,
  type FrameTry,
  greetGateway,
  isWithinPrefix,
  offerLease,
  speakStrange,
  spoofConnect,
  wrapDatagram,
} from '../../../controller/verify/frames.ts';
import { Bench, GUEST_MAC, readUdp, tcpFrame } from '../links/ethernet/wire.ts';

const PORT = 40_001;
const HOST = '192.0.2.2';

function bytesOf({ frame }: FrameTry): Buffer {
  return Buffer.from(frame.replaceAll('oooooooooooo', GUEST_MAC), 'hex');
}

/** As the guest\u2019s program reads it. */
function isAnswer({ answer }: FrameTry, frame: Buffer): boolean {
  return answer.split(',').every((test) => {
    const [, at = '', how = '', hex = ''] = /^(\d+)([=!])([0-9a-fo]+)$/.exec(test) ?? [];
    expect(how, test).not.toBe('');
    const wanted = Buffer.from(hex.replaceAll('oooooooooooo', GUEST_MAC), 'hex');
    const isThere = frame.subarray(Number(at), Number(at) + wanted.length).equals(wanted);
    return isThere === (how === '=');
  });
}

/** After the guest has its lease and has been heard of. */
function cable(ports: readonly number[] = [80, 443]): Bench {
  const bench = new Bench(ports);
  bench.send(tcpFrame({ from: 1, to: 9, seq: 1, flags: 'S' }));
  return bench;
}

const ATTACKS: Readonly<Record<string, FrameTry>> = {
  'who has an address of the host': askForStation(HOST),
  'who has it, by a tag': askForTaggedStation(HOST),
  'a claim to be the gateway': claimGateway(),
  'no protocol': speakStrange(),
  'an echo to everybody': askEverybody(),
  'a router': announceRouter('2001:db8:5a4e:7::'),
  'a lease for others': offerLease(),
  'a connection as another station': spoofConnect({
    from: 'strange-station',
    source: '198.18.0.2',
    address: HOST,
    port: PORT,
  }),
  'a connection as another guest': spoofConnect({
    from: 'own-station',
    source: '198.18.0.6',
    address: HOST,
    port: PORT,
  }),
  'a connection by IPv6': spoofConnect({
    from: 'own-station',
    source: 'fd00::2',
    address: '2001:db8::7',
    port: 8443,
  }),
  ...Object.fromEntries(
    (['ip-in-ip', 'ipv6-in-ip', 'gre', 'fragments', 'source-route'] as const).map((how) => [
      how,
      wrapDatagram(how, HOST, PORT),
    ]),
  ),
};

describe('frames past the guest\u2019s own kernel', () => {
  it.each(Object.entries(ATTACKS))('get no answer: %s', (_, attack) => {
    const answers = cable().send(bytesOf(attack));
    expect(answers.filter((frame) => isAnswer(attack, frame))).toEqual([]);
  });

  it('get one where they are to: the gateway tells where it is', () => {
    const greeting = greetGateway();
    expect(
      cable()
        .send(bytesOf(greeting))
        .filter((frame) => isAnswer(greeting, frame)),
    ).toHaveLength(1);
  });

  it('are whole: a connection to a port that is planted is taken, and that counts as an answer', () => {
    const attack = spoofConnect({ from: 'own-station', source: '198.18.0.2', address: HOST, port: PORT });
    expect(
      cable([PORT])
        .send(bytesOf(attack))
        .filter((frame) => isAnswer(attack, frame)),
    ).toHaveLength(1);
  });

  it('are on record by IPv6, whose packets the cable drops', () => {
    const bench = cable();
    bench.send(bytesOf(ATTACKS['a connection by IPv6'] ?? greetGateway()));
    expect(bench.stack.tried()).toContainEqual({
      transport: 'tcp',
      address: '2001:db8::7',
      port: 8443,
      count: 1,
    });
    expect(bench.stack.drops().get('ipv6')).toBe(1);
  });

  it.each([
    ['fragments', 'ip-fragment'],
    ['source-route', 'ip-source-route'],
    ['ip-in-ip', 'refused-protocol'],
    ['gre', 'refused-protocol'],
    ['a connection as another guest', 'wrong-source-address'],
    ['no protocol', 'unknown-ethertype'],
    ['who has it, by a tag', 'unknown-ethertype'],
  ] as const)(
    'are dropped by the name that is theirs, so nothing else was wrong with them: %s',
    (name, drop) => {
      const bench = cable();
      bench.send(bytesOf(ATTACKS[name] ?? greetGateway()));
      expect(Object.fromEntries(bench.stack.drops())).toEqual({ [drop]: 1 });
    },
  );

  it('are a lease for one station, and none for a second', () => {
    const asked = askForLease();
    const first = new Bench().send(bytesOf(asked));
    expect(first.filter((frame) => isAnswer(asked, frame))).toHaveLength(1);
    expect(readUdp(first[0] ?? Buffer.alloc(0)).from).toBe(67);
  });
});

describe('a prefix of 64 bits', () => {
  it('holds its own addresses alone', () => {
    const prefix = '2001:db8:5a4e:7::';
    expect(isWithinPrefix('2001:db8:5a4e:7:a::1', prefix)).toBe(true);
    expect(isWithinPrefix('fe80::1%en0', prefix)).toBe(false);
    expect(isWithinPrefix('192.0.2.1', prefix)).toBe(false);
  });
});
