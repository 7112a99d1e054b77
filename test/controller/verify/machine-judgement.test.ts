import { describe, expect, it } from 'vitest';
import { parseNamedProbe } from '../../../controller/links/relay/named-attempts.ts';
import type { RelayObservation } from '../../../controller/links/relay/relay-program.ts';
import { ERRNO } from '../../../controller/verify/errno.ts';
import { NEW_HOOK, READ_ONLY } from '../../../controller/verify/guest-attacks.ts';
import { exitCodeOf, judge } from '../../../controller/verify/judgement.ts';
import { evidenceFor, failed, MACHINE_ATTACKS, MACHINE_GROUNDS, type Spoilt, worked } from './evidence.ts';

function rowsOf(spoilt: Spoilt = {}) {
  return judge(MACHINE_ATTACKS, evidenceFor(MACHINE_ATTACKS, spoilt), MACHINE_GROUNDS);
}

function judged(id: string, spoilt: Spoilt = {}) {
  return rowsOf(spoilt).find((row) => row.id === id)?.verdict;
}

function seenAs(kind: 'interface' | 'route', ...texts: readonly string[]): readonly RelayObservation[] {
  return texts.map((text) => ({ kind, text }));
}

const OF_ROOT = MACHINE_ATTACKS.filter(
  ({ attempt }) => attempt?.kind === 'try' && attempt.name.startsWith('root'),
);

describe('a guest that is root of a machine of its own', () => {
  it('holds everything where everything is as it must be', () => {
    expect(rowsOf().filter(({ verdict }) => verdict !== 'held')).toEqual([]);
    expect(exitCodeOf(rowsOf())).toBe(0);
  });

  it('tries each attack by a name of its own', () => {
    const ids = MACHINE_ATTACKS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(OF_ROOT.length).toBeGreaterThan(30);
  });

  it.each(MACHINE_ATTACKS.filter(({ attempt }) => attempt !== null).map(({ id }) => id))(
    'holds nothing of %s where the guest says nothing of it',
    (id) => expect(judged(id, { seen: { [id]: null } })).toBe('untold'),
  );

  it.each(OF_ROOT.map(({ id }) => id))('could not be tried: %s has not held then', (id) => {
    expect(judged(id, { seen: { [id]: [failed(ERRNO.ENOSYS)] } })).toBe('untold');
  });

  it.each(OF_ROOT.filter(({ must }) => must.kind !== 'works').map(({ id }) => id))(
    'is open where %s worked',
    (id) => {
      expect(judged(id, { seen: { [id]: [worked()] } })).toBe('open');
    },
  );
});

describe('what the guest says of its cards and routes', () => {
  const own = ['lo0 127.0.0.1', 'en0 198.18.0.2'];
  it.each([
    ['a second card without an address', [...own, 'en1']],
    ['a second card with an address', [...own, 'en1 192.168.64.5']],
    ['another address of its card', ['lo0 127.0.0.1', 'en0 198.18.0.2 10.0.0.5']],
    ['a tunnel with an address', [...own, 'utun3 10.8.0.2']],
    ['a global address of IPv6', ['lo0 ::1', 'en0 198.18.0.2 2001:db8::5']],
  ])('foreign cards: it is open with %s', (_, texts) => {
    const seen = { interfaces: seenAs('interface', ...texts) };
    expect(judged('interfaces', { seen })).toBe('open');
    // Then nobody\u2019s silence proves anything.
    expect(judged('tcp-203-0-113-7-443', { seen, events: [] })).toBe('untold');
  });

  it.each([[[]], [['lo0 127.0.0.1']], [['en0 198.18.0.2', 'en1 198.18.0.2']]])(
    'is untold with %j',
    (texts) => {
      expect(judged('interfaces', { seen: { interfaces: seenAs('interface', ...texts) } })).not.toBe('held');
    },
  );

  it.each([
    '4 default via 192.168.64.1 dev en1',
    '4 10/8 via 198.18.0.9 dev en0',
    '6 default via fe80::1%en0 dev en0',
    '6 default via 2001:db8::1 dev en0',
  ])('is open with the route %s', (route) => {
    const routes = seenAs('route', '4 default via 198.18.0.1 dev en0', route);
    expect(judged('routes', { seen: { routes } })).toBe('open');
  });

  it.each([[[]], [['4 default gateway 198.18.0.1']]])('is untold with the routes %j', (texts) => {
    expect(judged('routes', { seen: { routes: seenAs('route', ...texts) } })).toBe('untold');
  });
});

describe('a guest that lies', () => {
  it('is open where the host took an address that it announced', () => {
    const addresses = ['192.0.2.2', '2001:db8:5a4e:7:1:2:3:4%en0'];
    expect(judged('ipv6-router', { host: { addresses } })).toBe('open');
    expect(judged('ipv6-router', { host: { addresses: ['2001:db8:5a4e:8::1'] } })).toBe('held');
  });

  it('is open where the clipboard of the host has its word, and untold where nobody looked', () => {
    const said = { clipboard: [failed(ERRNO.ENODEV)] };
    expect(judged('clipboard', { host: { clipboard: `x ${MACHINE_GROUNDS.token}` }, seen: said })).toBe(
      'open',
    );
    expect(judged('clipboard', { host: { clipboard: null } })).toBe('untold');
    expect(judged('clipboard', { seen: said })).toBe('held');
    expect(judged('clipboard', { seen: { clipboard: [failed(ERRNO.EIO)] } })).toBe('untold');
  });

  it('is open where a protected file was not put back, or was not looked at', () => {
    const files = new Map(evidenceFor(MACHINE_ATTACKS).host.files).set(
      '.git/hooks/pre-commit',
      'its content changed',
    );
    expect(judged('write-hook', { host: { files } })).toBe('open');
    expect(judged('new-hook', { host: { files: files.set(NEW_HOOK, 'it was made') } })).toBe('open');
    expect(judged('write-hook', { host: { files: new Map() } })).toBe('open');
  });

  it('is open where the read-only share changed, though every write is said to have failed', () => {
    const files = new Map(evidenceFor(MACHINE_ATTACKS).host.files).set(
      READ_ONLY,
      'by-the-guest was made in it',
    );
    for (const id of ['write-read-only', 'root-read-only', 'remount-read-only'])
      expect(judged(id, { host: { files } })).toBe('open');
  });

  it('is open where a frame of its own came to a listener of the host', () => {
    const visits = [{ place: 'tcp 192.0.2.2', from: '192.168.64.2 port 47123' }];
    for (const id of ['mac-spoof', 'ip-spoof', 'other-address-host', 'other-route-host'])
      expect(judged(id, { host: { visits } }), id).toBe('open');
    expect(
      judged('wrapped-source-route', { host: { visits: [{ place: 'udp 192.0.2.2', from: 'x' }] } }),
    ).toBe('open');
  });

  it('is open where a resolver was asked for what its own policy would allow', () => {
    const questions = [`${MACHINE_GROUNDS.token}-widened.denied.example`];
    expect(judged('widen-policy', { host: { questions } })).toBe('open');
  });

  it('shows nothing by failing at its controls', () => {
    const seen = { 'control-root': [failed(ERRNO.EPERM)], 'control-frame': [failed(ERRNO.ETIMEDOUT)] };
    expect(judged('control-root', { seen })).toBe('untold');
    expect(judged('control-frame', { seen })).toBe('untold');
  });
});

describe('the words of a guest\u2019s program', () => {
  it('reads nothing of a guest that did not say that it had come to the end', () => {
    expect(parseNamedProbe('as a try root ok\nend\n')?.size).toBe(1);
    for (const said of ['as a try root ok\n', 'end\nas a try root ok\n', 'as a try root ok\nend', ''])
      expect(parseNamedProbe(said), said).toBeNull();
  });
});

describe('a guest whose network is another kernel\u2019s', () => {
  it('has its one card by the isolation', () => {
    const seen = (text: string) => ({ interfaces: [{ kind: 'interface', text } as const] });
    const at = (isolation: 'vm' | 'gvisor', name: string) =>
      judge(MACHINE_ATTACKS, evidenceFor(MACHINE_ATTACKS, { seen: seen(name) }), {
        link: 'namespace',
        kernel: 'own',
        isolation,
      }).find(({ id }) => id === 'interfaces')?.verdict;
    expect([at('vm', 'eth0'), at('gvisor', 'sand1')]).toEqual(['held', 'held']);
    expect([at('vm', 'sand1'), at('gvisor', 'eth0'), at('vm', 'eth1')]).toEqual(['open', 'open', 'open']);
  });
});
