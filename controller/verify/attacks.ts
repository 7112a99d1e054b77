/**
 * The attacks of `sand verify` on the way out: raw connections, other resolvers, the proxy and the host's own listeners. Pure
 * data made of where it is tried; those on the guest's confinement are in `guest-attacks.ts` and `machine-attacks.ts`.
 */
import type { Attack, Canary, Grounds } from './attack.ts';
import {
  bracketed,
  connectTo,
  hostSide,
  ping,
  rawTcp,
  rawUdp,
  sent,
  shown,
  slug,
  through,
  tried,
} from './attack-forms.ts';
import { guestAttacks } from './guest-attacks.ts';
import { machineAttacks } from './machine-attacks.ts';
import { clientHello, connectHead, framedQuestion, httpHead } from './messages.ts';

/** Reserved for documentation (RFC 5737, RFC 3849): nobody is there. */
const OUTSIDE4 = '203.0.113.7';
const OUTSIDE6 = '2001:db8::7';
const RESOLVER4 = '198.51.100.53';
const RESOLVER6 = '2001:db8::53';

/** Ports that no policy plants among them: those are the guest kernel's to refuse. */
const RAW: readonly (readonly [string, number, string])[] = [
  [OUTSIDE4, 443, 'TLS'],
  [OUTSIDE4, 80, 'HTTP'],
  [OUTSIDE4, 22, 'SSH'],
  [OUTSIDE4, 65_535, 'the last port'],
  [OUTSIDE6, 443, 'TLS'],
  [OUTSIDE6, 22, 'SSH'],
  [RESOLVER4, 853, 'DNS over TLS'],
  [RESOLVER6, 853, 'DNS over TLS'],
  ['10.0.0.1', 443, 'a private address'],
  ['192.168.64.1', 445, 'a usual gateway of guests'],
  ['169.254.169.254', 80, 'cloud metadata'],
  ['fd00:ec2::254', 80, 'cloud metadata'],
  ['100.100.100.200', 80, 'cloud metadata'],
];
const DATAGRAMS: readonly (readonly [string, number, string])[] = [
  [OUTSIDE4, 443, 'QUIC'],
  [OUTSIDE6, 443, 'QUIC'],
  [OUTSIDE4, 123, 'NTP'],
  [OUTSIDE6, 4444, 'a free port'],
  ['224.0.0.251', 5353, 'multicast DNS'],
];

/** Loopback of the host in the words of a careless parser. */
const DISGUISES: readonly string[] = [
  '0.0.0.0',
  '127.1',
  '2130706433',
  '0x7f000001',
  '[::ffff:127.0.0.1]',
  '[64:ff9b::7f00:1]',
  'localhost',
  'host.sand',
];

/** Every attack, in the order of the table. */
export function planAttacks(grounds: Grounds): readonly Attack[] {
  return [
    ...controls(grounds),
    ...rawAttacks(grounds),
    ...canaryAttacks(grounds),
    ...resolverAttacks(grounds),
    ...proxyAttacks(grounds),
    ...(grounds.guestSystem === 'macos' ? machineAttacks(grounds) : guestAttacks(grounds)),
  ];
}

/** What must work or be refused for its reason: a guest that can try nothing holds nothing. */
function controls({ allowedName, webPort, tlsPort, token }: Grounds): readonly Attack[] {
  const authority = `${allowedName}:${webPort}`;
  const get = (text: string) => httpHead(`GET http://${authority}/${text} HTTP/1.1`, [`Host: ${authority}`]);
  const denied = `${token}-control.denied.example`;
  return [
    hostSide('start-probes', 'the probes that sand itself makes at every start', { kind: 'probes' }),
    {
      ...through('control-proxy', 'control: the allowed name through the proxy', get(`${token}-proxy`)),
      must: { kind: 'served', text: `${token}-proxy` },
    },
    {
      ...sent(
        'control-name',
        'control: the allowed name without a proxy',
        `name:${allowedName}`,
        webPort,
        httpHead(`GET /${token}-name HTTP/1.1`, [`Host: ${authority}`]),
      ),
      must: { kind: 'served', text: `${token}-name` },
    },
    {
      ...sent(
        'control-tls',
        'control: TLS to the allowed name',
        `name:${allowedName}`,
        tlsPort,
        clientHello(allowedName),
      ),
      must: { kind: 'served', text: allowedName },
    },
    {
      ...through(
        'control-denied',
        'control: a denied name through the proxy',
        httpHead(`GET http://${denied}/ HTTP/1.1`, [`Host: ${denied}`]),
      ),
      must: { kind: 'refused', host: denied, reason: 'no-rule' },
    },
  ];
}

function rawAttacks({ guestSystem }: Grounds): readonly Attack[] {
  return [
    ...RAW.map(([address, port, what]) => rawTcp(address, port, what)),
    ...DATAGRAMS.map(([address, port, what]) => rawUdp(address, port, what)),
    // By root, where a system lets nobody else send one of its own making.
    ...(guestSystem === 'macos' ? [] : [OUTSIDE4, OUTSIDE6].map((address) => ping(address))),
  ];
}

function canaryAttacks(grounds: Grounds): readonly Attack[] {
  return [
    hostSide('canaries', 'any of verify\u2019s listeners on this host, by any way', { kind: 'unvisited' }),
    ...grounds.canaries.flatMap((canary) => [
      { ...rawTcp(canary.address, canary.port, 'this host'), aims: [`tcp ${canary.address}`] },
      { ...rawUdp(canary.address, canary.port, 'this host'), aims: [`udp ${canary.address}`] },
      connectTo(bracketed(canary.address), canary.port, [`tcp ${canary.address}`]),
    ]),
    ...disguised(grounds),
    ...claims(grounds),
    {
      ...tried('host-socket', 'a Unix socket of this host', 'unix', grounds.socketPath),
      aims: ['unix'],
    },
    ...(grounds.agentPath === null
      ? []
      : [tried('agent', 'your ssh agent\u2019s socket', 'unix', grounds.agentPath)]),
    {
      ...tried(
        'way-in',
        'a way in to a port that was not published',
        'serve',
        `${grounds.servePort} ${grounds.token}`,
      ),
      must: { kind: 'unserved' },
    },
  ];
}

function disguised({ canaries, allowedName }: Grounds): readonly Attack[] {
  const near = canaries.find(({ address }) => address === '127.0.0.1');
  if (near === undefined) return [];
  return [...DISGUISES, allowedName].map((host) => connectTo(host, near.port, ['tcp 127.0.0.1']));
}

/** At the socket by which the relay reaches the gateway, past the relay. */
function claims({ link, canaries }: Grounds): readonly Attack[] {
  if (link !== 'relay') return [];
  const claim = (address: string, port: number, aims: readonly string[]): Attack => ({
    ...tried(
      slug('claim', address, port),
      `gateway socket, claiming ${shown(address, port)}`,
      'proxy-socket',
      `${address} ${port}`,
    ),
    must: { kind: 'judged', address, port },
    aims,
  });
  return [
    claim(OUTSIDE4, 80, []),
    ...canaries.map(({ address, port }: Canary) => claim(address, port, [`tcp ${address}`])),
  ];
}

function resolverAttacks({ token, allowedName, guestSystem }: Grounds): readonly Attack[] {
  const ask = (id: string, words: string, server: string, name: string): Attack => ({
    id,
    tried: words,
    attempt: { kind: 'ask', server, name },
    must: { kind: 'unasked', name },
    isBinding: true,
    aims: [],
  });
  const overTcp = (id: string, server: string): Attack => {
    const name = `${token}-${id}.denied.example`;
    return {
      ...sent(id, `DNS over TCP at ${server}, a denied name`, server, 53, framedQuestion(name)),
      must: { kind: 'unasked', name },
    };
  };
  const long = `${'6461746120746f20636172727920'.repeat(2)}.${token}`;
  return [
    ask('dns-denied', 'DNS: a denied name', 'resolver', `${token}-own.denied.example`),
    ask('dns-tunnel', 'DNS: data in a denied name', 'resolver', `${long}.tunnel.denied.example`),
    ask('dns-below', 'DNS: data below the allowed name', 'resolver', `${token}.${allowedName}`),
    ...(guestSystem === 'macos'
      ? [ask('dns-system', 'DNS: a denied name, by the system', 'system', `${token}-system.denied.example`)]
      : []),
    ask('dns-other-4', `DNS at ${RESOLVER4}, a denied name`, RESOLVER4, `${token}-four.denied.example`),
    ask('dns-other-6', `DNS at ${RESOLVER6}, a denied name`, RESOLVER6, `${token}-six.denied.example`),
    ask('dns-public', 'DNS at 192.0.2.88, data in the name', '192.0.2.88', `${token}-data.denied.example`),
    overTcp('dns-tcp-4', RESOLVER4),
    overTcp('dns-tcp-6', RESOLVER6),
  ];
}

function proxyAttacks({ allowedName, webPort, tlsPort, token }: Grounds): readonly Attack[] {
  const allowed = `${allowedName}:${webPort}`;
  const host = (name: string) => `Host: ${name}`;
  const unsent = (attack: Attack, text: string, end: 'told' | 'any' = 'any'): Attack => ({
    ...attack,
    must: { kind: 'unsent', text, end },
  });
  const mark = (id: string) => `${token}-${id}`;
  const http = (id: string, words: string, line: string, lines: readonly string[]): Attack =>
    unsent(through(id, words, httpHead(line, lines)), mark(id));
  const front = `${mark('front')}.denied.example`;
  const inner = `${mark('inner')}.denied.example`;
  const smuggled = [
    host(allowed),
    'Content-Length: 4',
    'Transfer-Encoding: chunked',
    '',
    '0',
    '',
    `GET http://denied.example/${mark('smuggled')} HTTP/1.1`,
    host('denied.example'),
  ];
  return [
    http(
      'host-mismatch',
      'proxy: the allowed name, a Host of another',
      `GET http://${allowed}/${mark('host-mismatch')} HTTP/1.1`,
      [host('denied.example')],
    ),
    http('two-hosts', 'proxy: two Host fields', `GET http://${allowed}/${mark('two-hosts')} HTTP/1.1`, [
      host(allowed),
      host('denied.example'),
    ]),
    http(
      'absolute-form',
      'proxy: a denied name, a Host that is allowed',
      `GET http://denied.example:${webPort}/${mark('absolute-form')} HTTP/1.1`,
      [host(allowed)],
    ),
    http(
      'userinfo',
      'proxy: the allowed name as a user\u2019s name',
      `GET http://${allowed}@127.0.0.1:${webPort}/${mark('userinfo')} HTTP/1.1`,
      [host(allowed)],
    ),
    unsent(
      through(
        'smuggled',
        'proxy: a request inside another',
        httpHead(`POST http://${allowed}/ HTTP/1.1`, smuggled),
      ),
      mark('smuggled'),
    ),
    unsent(
      through(
        'metadata-proxy',
        'proxy: cloud metadata',
        httpHead('GET http://169.254.169.254/ HTTP/1.1', [host('169.254.169.254')]),
      ),
      'GET http://169.254.169.254/',
      'told',
    ),
    unsent(
      through(
        'sni-mismatch',
        'proxy: a tunnel to the allowed name, TLS to another',
        Buffer.concat([connectHead(`${allowedName}:${tlsPort}`), clientHello(front)]),
      ),
      front,
    ),
    unsent(
      through(
        'no-tls',
        'proxy: a tunnel for TLS, other bytes',
        Buffer.concat([connectHead(`${allowedName}:${tlsPort}`), Buffer.from(mark('no-tls'))]),
      ),
      mark('no-tls'),
    ),
    unsent(
      sent(
        'sni-direct',
        'TLS to another name at the allowed one\u2019s address',
        `name:${allowedName}`,
        tlsPort,
        clientHello(inner),
      ),
      inner,
    ),
    unsent(
      sent(
        'host-direct',
        'HTTP to another name at the allowed one\u2019s address',
        `name:${allowedName}`,
        webPort,
        httpHead(`GET /${mark('host-direct')} HTTP/1.1`, [host('denied.example')]),
      ),
      mark('host-direct'),
    ),
    connectTo(OUTSIDE4, 443, []),
    connectTo(bracketed(OUTSIDE6), 443, []),
  ];
}
