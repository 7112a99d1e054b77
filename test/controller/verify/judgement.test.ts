import { describe, expect, it } from 'vitest';
import type { Judged } from '../../../controller/verify/attack.ts';
import { ERRNO } from '../../../controller/verify/errno.ts';
import { exitCodeOf, judge } from '../../../controller/verify/judgement.ts';
import {
  ATTACKS,
  attackOf,
  event,
  evidenceOf,
  failed,
  GROUNDS,
  refusal,
  type Spoilt,
  sent,
  worked,
} from './evidence.ts';

function judged(id: string, spoilt: Spoilt = {}): Judged['verdict'] {
  const row = judge(ATTACKS, evidenceOf(spoilt), GROUNDS).find((one) => one.id === id);
  if (row === undefined) throw new Error(`no row ${id}`);
  return row.verdict;
}

describe('a guest in which everything held', () => {
  it('has a row for each attack, all of them held', () => {
    const rows = judge(ATTACKS, evidenceOf(), GROUNDS);
    expect(rows.map(({ id }) => id)).toEqual(ATTACKS.map(({ id }) => id));
    expect(rows.filter(({ verdict }) => verdict !== 'held')).toEqual([]);
    expect(exitCodeOf(rows)).toBe(0);
  });
});

describe('fail closed', () => {
  it('has no exit 0 without a row', () => {
    expect(exitCodeOf([])).toBe(1);
  });

  it.each(ATTACKS.filter(({ attempt }) => attempt !== null).map(({ id }) => id))(
    'says nothing of it: %s has not held then',
    (id) => {
      expect(judged(id, { seen: { [id]: null } })).toBe('untold');
    },
  );

  it('holds nothing that the guest was to try where its words do not read', () => {
    const rows = judge(ATTACKS, evidenceOf({ observations: null }), GROUNDS);
    const held = rows.filter(({ verdict }) => verdict === 'held').map(({ id }) => id);
    expect(held).toEqual(['start-probes', 'canaries', 'log']);
    expect(exitCodeOf(rows)).toBe(1);
  });

  it('holds no attempt that was killed or did not end', () => {
    for (const outcome of ['died', 'timeout'] as const) {
      const gone = { kind: 'try', name: 'x', argument: null, outcome, errno: 0 } as const;
      expect(judged('raw-socket', { seen: { 'raw-socket': [gone] } })).toBe('untold');
      expect(judged('udp-203-0-113-7-443', { seen: { 'udp-203-0-113-7-443': [gone] }, events: [] })).toBe(
        'untold',
      );
    }
  });

  it('holds no protection of a file that was not there, or was not looked at', () => {
    expect(judged('write-hook', { seen: { 'write-hook': [failed(ERRNO.ENOENT)] } })).toBe('untold');
    expect(judged('write-hook', { host: { files: new Map() } })).toBe('open');
  });

  it('holds nothing unanswered where nothing shows that there is no other network', () => {
    const seen = { interfaces: [{ kind: 'interface', text: 'eth0' } as const] };
    expect(judged('tcp-203-0-113-7-443', { seen, events: [] })).toBe('untold');
    expect(judged('interfaces', { seen })).toBe('open');
    expect(judged('tcp-203-0-113-7-443', { events: [] })).toBe('held');
  });

  it('says that start probes which failed are open, and none at all are untold', () => {
    const probe = { kind: 'probe', name: 'routes', passed: false, detail: 'eth0' };
    expect(judged('start-probes', { events: [event(probe)] })).toBe('open');
    expect(judged('start-probes', { events: [] })).toBe('untold');
  });

  it('does not hold a log that is broken', () => {
    expect(judged('log', { logProblem: 'line 3 is torn' })).toBe('untold');
  });

  it('does not hold a guest that could not serve', () => {
    expect(judged('way-in', { seen: { 'way-in': [failed(ERRNO.EIO)] } })).toBe('untold');
  });
});

describe('a guest that lies', () => {
  it('is open where a listener was reached, by whatever way, though it says that nobody answered', () => {
    const visits = [{ place: 'tcp 192.0.2.2', from: '192.0.2.2 port 5' }];
    for (const id of ['tcp-192-0-2-2-40003', 'connect-192-0-2-2-40003', 'claim-192-0-2-2-40003', 'canaries'])
      expect(judged(id, { host: { visits } }), id).toBe('open');
    expect(judged('udp-192-0-2-2-40003', { host: { visits } })).toBe('held');
    expect(judged('udp-192-0-2-2-40003', { host: { visits: [{ place: 'udp 192.0.2.2', from: 'x' }] } })).toBe(
      'open',
    );
    expect(judged('host-socket', { host: { visits: [{ place: 'unix', from: 'x' }] } })).toBe('open');
  });

  it('is open where the host\u2019s resolver was asked for a denied name', () => {
    const { must } = attackOf('dns-tunnel');
    const name = must.kind === 'unasked' ? must.name : '';
    expect(judged('dns-tunnel', { host: { questions: [name.toUpperCase()] } })).toBe('open');
  });

  it('is open where a request arrived that was not judged for its server', () => {
    for (const id of ['sni-mismatch', 'host-mismatch', 'smuggled', 'sni-direct']) {
      const { must } = attackOf(id);
      const received = ['x', must.kind === 'unsent' ? `GET /${must.text} HTTP/1.1` : ''];
      expect(judged(id, { host: { received } }), id).toBe('open');
    }
  });

  it('is open where a file of the host changed, though every attempt is said to have failed', () => {
    const files = new Map(evidenceOf().host.files).set('.git/hooks/pre-commit', 'its content changed');
    for (const id of ['write-hook', 'rename-hooks', 'unmount-hooks'])
      expect(judged(id, { host: { files } })).toBe('open');
    expect(judged('write-policy', { host: { files } })).toBe('held');
  });

  it('is open where its server was reached from the host', () => {
    expect(judged('way-in', { host: { servedAt: ['127.0.0.1'] } })).toBe('open');
  });

  it('holds nothing by failing everywhere: the controls are untold', () => {
    const nobody = { kind: 'send', outcome: 'nobody', answer: '' } as const;
    const seen = Object.fromEntries(
      ATTACKS.flatMap(({ id, attempt }) => (attempt?.kind === 'send' ? [[id, [nobody]] as const] : [])),
    );
    const spoilt: Spoilt = { seen, host: { received: [] }, events: [] };
    const rows = judge(ATTACKS, evidenceOf(spoilt), GROUNDS);
    for (const id of ['control-proxy', 'control-name', 'control-tls', 'control-denied', 'host-mismatch'])
      expect(rows.find((row) => row.id === id)?.verdict, id).toBe('untold');
    expect(exitCodeOf(rows)).toBe(1);
  });

  it('controls nothing with answers that no server gave', () => {
    expect(judged('control-proxy', { host: { received: [] } })).toBe('untold');
    expect(judged('control-denied', { events: [] })).toBe('untold');
  });
});

describe('what the guest says', () => {
  it('is open where an attempt worked, and need not hold on a kernel of its own', () => {
    expect(judged('raw-socket', { seen: { 'raw-socket': [worked()] } })).toBe('open');
    const spoilt = evidenceOf({ seen: { keyring: [worked()], 'kernel-log': [worked()] } });
    expect(exitCodeOf(judge(ATTACKS, spoilt, GROUNDS))).toBe(0);
    const own = judge(ATTACKS, spoilt, GROUNDS).find(({ id }) => id === 'keyring');
    expect(own).toMatchObject({ verdict: 'open', must: false });
  });

  it('is open where somebody took or answered a raw connection, or a question, that no refusal is recorded of', () => {
    const tcp = { kind: 'tcp', address: '203.0.113.7', port: 443, answer: '' } as const;
    for (const outcome of ['silent', 'answered'] as const) {
      const spoilt: Spoilt = { seen: { 'tcp-203-0-113-7-443': [{ ...tcp, outcome }] } };
      expect(judged('tcp-203-0-113-7-443', { ...spoilt, events: [] })).toBe('open');
      expect(judged('tcp-203-0-113-7-443', spoilt)).toBe('held');
    }
    expect(judged('dns-other-4', { events: [] })).toBe('open');
    const ask = {
      kind: 'ask',
      server: '198.51.100.53',
      name: 'x',
      outcome: 'answered',
      addresses: ['192.0.2.1'],
    } as const;
    expect(judged('dns-other-4', { seen: { 'dns-other-4': [ask] } })).toBe('open');
  });

  it('takes only sand\u2019s own refusal where nobody else sees where it goes', () => {
    const id = 'connect-203-0-113-7-443';
    expect(judged(id, { seen: { [id]: [sent(refusal('raw-address'))] } })).toBe('held');
    expect(judged(id, { seen: { [id]: [sent('')] } })).toBe('untold');
    expect(judged(id, { seen: { [id]: [sent('HTTP/1.1 200 OK')] } })).toBe('open');
    expect(judged('sni-mismatch', { seen: { 'sni-mismatch': [sent('HTTP/1.1 200 OK')] } })).toBe('held');
  });

  it('is open where it has a route or a privilege that leads past the gateway', () => {
    const route = { kind: 'route', text: '4 00000000 via 0140A8C0 dev eth0' } as const;
    expect(judged('routes', { seen: { routes: [route] } })).toBe('open');
    const status = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(
      (name) => ({ kind: 'status', name, value: '0000000000001000' }) as const,
    );
    expect(judged('privileges', { seen: { privileges: status } })).toBe('open');
    expect(judged('privileges', { seen: { privileges: [] } })).toBe('untold');
  });

  it('wants a filter of system calls where the kernel is the host\u2019s', () => {
    const rows = judge(ATTACKS, evidenceOf(), { link: 'relay', kernel: 'host', isolation: 'namespaces' });
    expect(rows.find(({ id }) => id === 'privileges')?.verdict).toBe('open');
  });

  it('is judged at the gateway\u2019s own socket by what it claims', () => {
    const id = 'claim-203-0-113-7-80';
    const refused = event({
      kind: 'connection',
      via: 'transparent',
      host: '203.0.113.7',
      port: 80,
      reason: 'raw-address',
    });
    expect(judged(id, { seen: { [id]: [worked()] }, events: [] })).toBe('open');
    expect(judged(id, { seen: { [id]: [worked()] }, events: [refused] })).toBe('held');
    expect(judged(id, { seen: { [id]: [failed(ERRNO.ENOENT)] }, events: [] })).toBe('untold');
  });
});
