import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatAttempts,
  parseDial,
  parseMode,
  parseProbe,
  parseReady,
  parseSignal,
  parseStatus,
  parseTried,
  plantArguments,
  putArguments,
  RELAY_LIMITS,
  relayEnvironment,
  runArguments,
  serveArguments,
  signalArguments,
  tmpfsArguments,
} from '../../../../controller/links/relay/relay-program.ts';

describe('arguments', () => {
  it('are the words of the program', () => {
    expect(
      serveArguments({
        ports: [80, 443],
        holds: [
          { path: '/code', access: 'held' },
          { path: '/code/.git/hooks', access: 'protected' },
        ],
      }),
    ).toEqual(['serve', '--port', '80', '--port', '443', '--hold', '/code', '--protect', '/code/.git/hooks']);
    expect(runArguments({ id: 'a', user: '', workdir: null, command: ['--', '-x'] })).toEqual(
      ['run', '--id', 'a', '--user', '', '--'].concat('--', '-x'),
    );
    expect(runArguments({ id: 'a', user: '1:2', workdir: '/w', command: ['x'] })).toEqual(
      ['run', '--id', 'a', '--user', '1:2'].concat('--workdir', '/w', '--', 'x'),
    );
    expect(signalArguments('a', 'KILL')).toEqual(['signal', 'a', 'KILL']);
    expect(plantArguments([1, 65_535])).toEqual(['plant', '1', '65535']);
    expect(putArguments({ path: '/f', mode: 0o44, user: '1:2' })).toEqual(['put', '/f', '0044', '1:2']);
    expect(tmpfsArguments({ path: '/t', mode: 0o1777, user: 'me' })).toEqual(['tmpfs', '/t', '1777', 'me']);
  });

  it('carry variables under a prefix, so that none is one of the program itself', () => {
    expect(relayEnvironment({ HOME: '/h', 'ODD NAME': '' })).toEqual({
      SANDENV_HOME: '/h',
      'SANDENV_ODD NAME': '',
    });
  });

  it('write one attempt a line', () => {
    expect(
      formatAttempts([
        { kind: 'tcp', address: '::1', port: 5 },
        { kind: 'ask', server: '9.9.9.9', name: 'a.example' },
        { kind: 'try', name: 'tun', argument: null },
        { kind: 'try', name: 'write', argument: '/x' },
        { kind: 'list', what: 'mounts' },
      ]),
    ).toBe('tcp ::1 5\nask 9.9.9.9 a.example\ntry tun\ntry write /x\nmounts\n');
  });
});

describe('outputs', () => {
  it('are read as values', () => {
    expect(parseReady('ready redirect\n')).toBe('redirect');
    expect(parseMode('loopback\n')).toBe('loopback');
    expect(parseStatus('exited 0\n')).toEqual({ state: 'exited', code: 0 });
    expect(parseStatus('running\n')).toEqual({ state: 'running' });
    expect(parseSignal('sent\n')).toEqual({ state: 'sent' });
    expect(parseSignal('unknown\n')).toEqual({ state: 'unknown' });
    expect(parseTried('')).toEqual({ tried: [], others: 0 });
    expect(parseTried('tcp 203.0.113.9 22 3\nicmp 2001:db8::7 0 1\nothers 9\n')).toEqual({
      tried: [
        { protocol: 'tcp', address: '203.0.113.9', port: 22, count: 3 },
        { protocol: 'icmp', address: '2001:db8::7', port: 0, count: 1 },
      ],
      others: 9,
    });
    expect(
      parseProbe('try tun errno 2\ntry write /x ok\ntcp ::1 5 timeout\ninterface lo\nstatus Groups \nend\n'),
    ).toEqual([
      { kind: 'try', name: 'tun', argument: null, outcome: 'failed', errno: 2 },
      { kind: 'try', name: 'write', argument: '/x', outcome: 'worked', errno: 0 },
      { kind: 'tcp', address: '::1', port: 5, outcome: 'timeout', answer: '' },
      { kind: 'interface', text: 'lo' },
      { kind: 'status', name: 'Groups', value: '' },
    ]);
  });

  it.each([
    ['ready\n', 'ready  redirect\n', 'ready redirect', 'ready redirect\nmore\n', 'ready other\n', '\n', ''],
  ])('are null where they are not what the program prints: ready', (...texts) => {
    for (const text of texts) expect([text, parseReady(text)]).toEqual([text, null]);
  });

  it('are null where they are not what the program prints', () => {
    for (const text of [
      'exited 256\n',
      'exited -1\n',
      'exited 007\n',
      'exited \n',
      'exited 1\n\n',
      'gone\n',
      'exited 1',
    ]) {
      expect([text, parseStatus(text)]).toEqual([text, null]);
    }
    for (const text of [
      'tcp 1.2.3.4 70000 1\n',
      'tcp x 1 1\n',
      'sctp 1.2.3.4 1 1\n',
      'tcp 1.2.3.4 1\n',
      'others x\n',
      'tcp \x1b[0m 1 1\n',
      '\n',
    ]) {
      expect([text, parseTried(text)]).toEqual([text, null]);
    }
    for (const text of [
      '',
      'end',
      'interface lo\n',
      'end\nend\n',
      'interface \x1b[31m\nend\n',
      'try a errno 0\nend\n',
      'ask 1.2.3.4 a answered\nend\n',
      'tcp 1.2.3.4 5 nobody text\nend\n',
      'problem no such attempt\nend\n',
    ]) {
      expect([text, parseProbe(text)]).toEqual([text, null]);
    }
    expect(parseTried(`tcp 1.2.3.4 1 1\n`.repeat(RELAY_LIMITS.lines + 1))).toBeNull();
    expect(parseTried(' '.repeat(RELAY_LIMITS.outputCharacters + 1))).toBeNull();
  });

  it('of dial are known by their first byte, and what a guest says is made printable', () => {
    expect(parseDial(Buffer.from(''))).toBeNull();
    expect(parseDial(Buffer.from('\x01rest'))).toEqual({ state: 'connected', rest: Buffer.from('rest') });
    expect(parseDial(Buffer.from('\0not yet'))).toBeNull();
    expect(parseDial(Buffer.from('\0no \x1b[31m\n'))).toEqual({ state: 'refused', detail: 'no ?[31m' });
    expect(parseDial(Buffer.from('x'))).toEqual({ state: 'invalid' });
    expect(parseDial(Buffer.alloc(2_000))).toEqual({ state: 'invalid' });
  });

  it('never throw, whatever a guest makes of them', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('end', 'tcp 1.2.3.4 5 answered x', 'others 1', 'exited 5', 'try a ok', 'status A b'),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.map((one) => `${one}\n`).join('');
        for (const parse of [parseReady, parseMode, parseStatus, parseSignal, parseTried, parseProbe])
          parse(text);
        parseDial(Buffer.from(text, 'latin1'));
      }),
    );
  });
});
