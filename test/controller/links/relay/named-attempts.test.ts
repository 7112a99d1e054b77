import { describe, expect, it } from 'vitest';
import { formatNamedAttempts, parseNamedProbe } from '../../../../controller/links/relay/named-attempts.ts';

describe('attempts with names', () => {
  it('are lines that the program reads', () => {
    const bytes = Buffer.from('hi');
    expect(
      formatNamedAttempts([
        { id: 'a-1', attempt: { kind: 'send', place: 'proxy', port: 0, bytes } },
        { id: 'b', attempt: { kind: 'try', name: 'holds', argument: '/x y' } },
      ]),
    ).toBe('as a-1 send proxy 0 6869\nas b try holds /x y\n');
  });
});

describe('what they print', () => {
  it('is told apart by name', () => {
    const output =
      'as r nothing\nas a send answered HTTP/1.1 403 no\nas i interface lo\nas i interface eth0\nas s send proxy 0 6869 timeout\nas h try holds /x y died\nend\n';
    expect(Object.fromEntries(parseNamedProbe(output) ?? [])).toEqual({
      r: [],
      a: [{ kind: 'send', outcome: 'answered', answer: 'HTTP/1.1 403 no' }],
      i: [
        { kind: 'interface', text: 'lo' },
        { kind: 'interface', text: 'eth0' },
      ],
      s: [{ kind: 'send', outcome: 'timeout', answer: '' }],
      h: [{ kind: 'try', name: 'holds', argument: '/x', outcome: 'died', errno: 0 }],
    });
  });

  it.each([
    '',
    'as a try x ok\n',
    'as a try x ok\nend',
    'try x ok\nend\n',
    'as a what\nend\n',
    'as a try x ok\nas a nothing\nend\n',
  ])('does not read where it is cut short or not the program\u2019s: %j', (output) => {
    expect(parseNamedProbe(output)).toBeNull();
  });
});
