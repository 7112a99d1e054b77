import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parseProbe, probeScript } from '../../../../controller/backends/tart/guest-probe.ts';
import { judgeGuestReport } from '../../../../controller/backends/tart/probe-verdicts.ts';

const PROXY = { address: '192.0.2.1', port: 3128 };
const GREETING = 'sand-nonce';
const PLAN = {
  connect: [{ address: '203.0.113.7', port: 443 }, PROXY],
  servers: ['198.18.0.1', '198.51.100.53'],
  reservedName: 'reserved.sand.test',
  deniedName: 'denied.sand.test',
};
const EXPECTED = { plan: PLAN, greeting: GREETING, address: '198.18.0.2', proxy: PROXY };
const hex = (text: string) => Buffer.from(text).toString('hex');
const HEAD = (code: number, answers: number) => `0001818${code}0001000${answers}00000000`;
const QUESTION = '01780000010001';
const A = 'c00c000100010000003c0004c6120a01';
const answer = `${HEAD(0, 1)}${QUESTION}${A}`;
const denied = `${HEAD(3, 0)}${QUESTION}`;

const GOOD = [
  `tcp 203.0.113.7 443 answered ${hex(`${GREETING}\n`)}`,
  `tcp 192.0.2.1 3128 answered ${hex(`${GREETING}\n`)}`,
  `ask 198.18.0.1 reserved.sand.test ${answer}`,
  `ask 198.18.0.1 denied.sand.test ${denied}`,
  `ask 198.51.100.53 reserved.sand.test ${answer}`,
  `ask 198.51.100.53 denied.sand.test ${denied}`,
  'interface lo0',
  'address lo0 127.0.0.1',
  'address lo0 ::1',
  'interface en0',
  'address en0 198.18.0.2',
  'address en0 fe80::1',
  'interface utun0',
  'address utun0 fe80::2',
];
const text = (lines: readonly string[]) => [...lines, 'end', ''].join('\n');
const failed = (lines: readonly string[]) =>
  judgeGuestReport(parseProbe(text(lines)), EXPECTED)
    .filter(({ passed }) => !passed)
    .map(({ name }) => name);
const but = (at: number, line: string) => GOOD.map((one, place) => (place === at ? line : one));

describe('what a guest says of its probes', () => {
  it('is bash that reads', () => {
    execFileSync('/bin/bash', ['-n', '-c', probeScript(PLAN, '198.18.0.2')]);
  });

  it('passes where the gateway alone answers', () => expect(failed(GOOD)).toEqual([]));

  it.each([
    ['somebody else at a raw address', but(0, `tcp 203.0.113.7 443 answered ${hex('SSH-2.0\n')}`), 'connect'],
    ['a connection that stays silent', but(0, 'tcp 203.0.113.7 443 silent '), 'connect'],
    ['nobody at the proxy', but(1, 'tcp 192.0.2.1 3128 nobody '), 'proxy'],
    ['a resolver that knows a denied name', but(3, `ask 198.18.0.1 denied.sand.test ${answer}`), 'resolver'],
    ['a resolver that says nothing', but(2, 'ask 198.18.0.1 reserved.sand.test '), 'resolver'],
    [
      'another resolver\u2019s own answer',
      but(4, `ask 198.51.100.53 reserved.sand.test ${answer.replace('c6120a01', '01010101')}`),
      'resolver',
    ],
    ['an answer that does not read', but(2, 'ask 198.18.0.1 reserved.sand.test 0001'), 'resolver'],
    ['a second address', [...GOOD, 'interface en1', 'address en1 192.168.64.5'], 'interfaces'],
    ['an IPv6 address of the world', [...GOOD, 'address en0 2001:db8::5'], 'interfaces'],
    ['no card on the cable', GOOD.filter((line) => !line.includes('198.18.0.2')), 'interfaces'],
    ['fewer attempts than planned', GOOD.slice(1), 'probes-complete'],
  ])('what is not the gateway alone: it does not pass with %s', (_what, lines, name) =>
    expect(failed(lines)).toContain(name),
  );

  it('fails closed where what is missing is the end alone', () => {
    expect(parseProbe(GOOD.map((line) => `${line}\n`).join(''))).toBeNull();
  });

  it.each(['', 'end', text(['what is this']), text(GOOD).replace('end', ''), `${text(GOOD)}more\n`])(
    'fails closed on %j',
    (said) => {
      const results = judgeGuestReport(parseProbe(said), EXPECTED);
      expect(results.some(({ passed }) => !passed)).toBe(true);
    },
  );
});
