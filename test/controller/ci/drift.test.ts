import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../../audit/summary.ts';
import { OTHER_HOSTS } from '../../../audit/summary.ts';
import { type Baseline, baselineOf, usageOfRun } from '../../../controller/ci/baseline.ts';
import { findDrift } from '../../../controller/ci/drift.ts';
import { describeDrift } from '../../../controller/ci/drift-text.ts';
import { denied, row, usages, uses } from './samples.ts';

const recorded: readonly Row[] = [
  row(),
  row({ host: 'cdn.example.com', rule: { id: 'p/allow:cdn', file: 'p', line: 4 }, bytesIn: 5_000_000 }),
  denied('telemetry.example', { port: null, how: ['dns'] }),
];

function drift(rows: readonly Row[], baseline: Baseline = baselineOf(usageOfRun(recorded)), isWhole = true) {
  return findDrift(baseline, usageOfRun(rows), isWhole).map(describeDrift);
}

describe('drift', () => {
  it('is none in the same run again, however often it asked', () => {
    expect(drift(recorded)).toEqual([]);
    expect(drift(recorded.map((one) => ({ ...one, count: 900 })))).toEqual([]);
  });

  it('is none against the baseline of that very run', () => {
    fc.assert(
      fc.property(usages, fc.boolean(), (usage, isWhole) => {
        expect(findDrift(baselineOf(usage), usage, isWhole)).toEqual([]);
      }),
    );
  });

  it('is any host more, also where the command failed', () => {
    fc.assert(
      fc.property(usages, uses, fc.boolean(), (usage, drawn, isWhole) => {
        const added = { ...drawn, host: `added.${drawn.host.replace(/^\d.*/, 'example')}` };
        const found = findDrift(baselineOf(usage), { ...usage, used: [...usage.used, added] }, isWhole);
        expect(found).toContainEqual(expect.objectContaining({ kind: 'new-host', host: added.host }));
      }),
    );
  });

  it('is any host less, unless the command failed', () => {
    fc.assert(
      fc.property(usages, (usage) => {
        const [first, ...used] = usage.used;
        fc.pre(first !== undefined);
        const baseline = baselineOf(usage);
        expect(findDrift(baseline, { ...usage, used }, true)).toContainEqual(
          expect.objectContaining({ kind: 'vanished-host', host: first?.host, port: first?.port }),
        );
        expect(findDrift(baseline, { ...usage, used }, false)).toEqual([]);
      }),
    );
  });

  it('names a host, a port, a denial, a rule and bytes', () => {
    expect(
      drift([
        row({ bytesOut: 40_000 }),
        row({ port: 8443 }),
        row({ host: 'new.example', rule: { id: 'p/allow:**', file: 'p', line: 9 } }),
        denied('telemetry.example', { port: null, how: ['dns'] }),
        denied('evil.example'),
      ]),
    ).toEqual([
      'new port of a known host: https api.example.com:8443, allowed by p/allow:api.example.com',
      'new host: https new.example:443, allowed by p/allow:**',
      'new denial: https evil.example:443, no-rule',
      'sent to https api.example.com:443: <10kB is recorded, and now it was 10kB',
      'vanished host: https cdn.example.com:443, was allowed by p/allow:cdn',
      'rule no longer used: p/allow:cdn',
    ]);
  });

  it('is less of the bytes as well, where the run was whole', () => {
    const less = [
      row(),
      row({ host: 'cdn.example.com', rule: { id: 'p/allow:cdn', file: 'p', line: 4 }, bytesIn: 0 }),
    ];
    expect(drift(less)).toEqual([
      'received from https cdn.example.com:443: 1MB is recorded, and now it was <10kB',
    ]);
    expect(drift(less, undefined, false)).toEqual([]);
  });

  it('is a denial for another reason', () => {
    const other = denied('telemetry.example', { port: null, how: ['dns'], reason: 'deny-rule' });
    expect(drift([...recorded.slice(0, 2), other])).toEqual(['new denial: dns telemetry.example, deny-rule']);
  });

  it('is no denial less, nothing muted, and nothing that the host asked', () => {
    const others = [denied('m.example', { muted: true }), denied('h.example', { asker: 'host' })];
    expect(drift([...recorded.slice(0, 2), ...others])).toEqual([]);
  });

  it('is no name that was only looked up, and no upstream that failed', () => {
    const rows = [
      row({ verdict: 'failed', reason: 'upstream-refused', bytesIn: 20_000 }),
      ...recorded.slice(1),
    ];
    expect(drift([...rows, row({ host: 'looked.example', port: null, how: ['dns'] })])).toEqual([]);
  });

  it('is a run of more hosts than are told apart', () => {
    expect(drift([...recorded, row({ host: OTHER_HOSTS, port: null })])).toEqual([
      'more distinct hosts than can be compared',
    ]);
  });
});

describe('a pattern in a baseline', () => {
  const shards = ['a1', 'a2'].map((label) => row({ host: `${label}.store.example.com`, bytesIn: 600_000 }));
  const written = baselineOf(usageOfRun(shards));
  const [entry] = written.hosts;
  const baseline: Baseline = {
    ...written,
    hosts: [{ ...(entry ?? never()), host: '*.store.example.com', bytesIn: '1MB' }],
  };

  it('covers names that change, with the sum of their bytes', () => {
    expect(drift([row({ host: 'zz.store.example.com', bytesIn: 1_200_000 })], baseline)).toEqual([]);
    expect(drift([row({ host: 'zz.store.example.com', bytesIn: 50_000_000 })], baseline)).toEqual([
      'received from https *.store.example.com:443: 1MB is recorded, and now it was 10MB',
    ]);
  });

  it('covers no other port, and vanishes as a whole', () => {
    expect(drift([row({ host: 'zz.store.example.com', port: 8443 })], baseline)).toEqual([
      'new host: https zz.store.example.com:8443, allowed by p/allow:api.example.com',
      'vanished host: https *.store.example.com:443, was allowed by p/allow:api.example.com',
    ]);
  });

  it('stays when the baseline is recorded anew', () => {
    expect(baselineOf(usageOfRun(shards), baseline)).toEqual(baseline);
    expect(baselineOf(usageOfRun([row()]), baseline).hosts.map(({ host }) => host)).toEqual([
      'api.example.com',
    ]);
  });
});

function never(): never {
  throw new Error('there is an entry');
}
