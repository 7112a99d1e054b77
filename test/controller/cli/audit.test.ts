import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { auditRoot } from '../../../audit/runs.ts';
import { auditVerify } from '../../../controller/cli/audit.ts';
import { auditShow } from '../../../controller/cli/audit-show.ts';
import { auditTail } from '../../../controller/cli/audit-tail.ts';
import {
  ALLOWED,
  close,
  connection,
  dns,
  linesOf,
  runEnd,
  runStart,
  temporaryDirectory,
} from '../../audit/samples.ts';

const RUN = '20261121-201500-k3f9';
const LOG = linesOf([
  runStart(),
  dns(),
  connection(),
  connection({ ...ALLOWED, connection: 2, host: 'api.example.com' }),
  close({ connection: 2 }),
  connection({ connection: 3, host: 'stats.telemetry.example', muted: true }),
  { kind: 'notice', code: 'policy-file-touched', detail: 'sand.policy.yaml\u001b[2J' },
  runEnd(),
]);

function stateWith(runs: Readonly<Record<string, readonly string[] | null>>): { XDG_STATE_HOME: string } {
  const env = { XDG_STATE_HOME: temporaryDirectory() };
  for (const [id, lines] of Object.entries(runs)) {
    mkdirSync(join(auditRoot(env), id), { recursive: true });
    const text = lines?.map((line) => `${line}\n`).join('');
    if (text !== undefined) writeFileSync(join(auditRoot(env), id, 'audit.jsonl'), text);
  }
  return env;
}

function output(env: { XDG_STATE_HOME: string }, json = false) {
  const written: string[] = [];
  const write = (text: string) => {
    written.push(text);
  };
  return { options: { env, write, json }, text: () => written.join('') };
}

test('show prints header, table and findings of the last run, escaped', async () => {
  const { options, text } = output(stateWith({ '20251121-201500-aaaa': LOG.slice(0, 2), [RUN]: LOG }));
  expect(await auditShow({ ...options, all: false })).toBe(0);
  expect(text()).toMatch(/^run {5}20261121-201500-k3f9, started 2026/);
  expect(text()).toMatch(/^denied {3}evil\.example:443 +dns\+https +1/m);
  expect(text()).toMatch(/^allowed {2}api\.example\.com:443 +https +1 +1\.5 KiB +1\.9 MiB/m);
  expect(text()).not.toContain('telemetry');
  expect(text()).toContain('1 muted, not shown (--all shows them)\n');
  expect(text()).toContain('notice: policy-file-touched: sand.policy.yaml\\x1b[2J\n');
});

test('show --all shows muted rows, --json the same as one object', async () => {
  const env = stateWith({ [RUN]: LOG });
  const all = output(env);
  await auditShow({ ...all.options, all: true });
  expect(all.text()).toContain('stats.telemetry.example:443');
  const json = output(env, true);
  expect(await auditShow({ ...json.options, all: false })).toBe(0);
  expect(json.text()).not.toContain('\u001b');
  expect(JSON.parse(json.text())).toMatchObject({
    run: RUN,
    events: 8,
    mutedCount: 1,
    faultCount: 0,
    start: { sand: '0.1.0' },
    end: { exitCode: 0 },
    rows: [{ verdict: 'denied', host: 'evil.example' }, { verdict: 'allowed' }],
  });
});

test('show tells unreadable lines and ends with 1', async () => {
  const { options, text } = output(stateWith({ [RUN]: [...LOG.slice(0, 2), 'x', ...LOG.slice(2, 4)] }));
  expect(await auditShow({ ...options, all: false })).toBe(1);
  expect(text()).toContain('line 3 is unreadable: the line is not JSON\n');
  expect(text()).toContain('ended without its seal');
});

test('verify: sealed 0, unsealed 1, broken 1 with the line', async () => {
  const verify = async (lines: readonly string[]) => {
    const { options, text } = output(stateWith({ [RUN]: lines }));
    return [await auditVerify(options), text()];
  };
  expect(await verify(LOG)).toEqual([0, `run ${RUN}: intact, 8 events, sealed\n`]);
  expect(await verify(LOG.slice(0, 3))).toEqual([
    1,
    expect.stringContaining('3 events intact, but it ended without its seal'),
  ]);
  expect(await verify([...LOG.slice(0, 2), ...LOG.slice(3)])).toEqual([
    1,
    `run ${RUN}: broken at line 3: event 4 stands where event 3 belongs\n`,
  ]);
  const json = output(stateWith({ [RUN]: LOG }), true);
  expect(await auditVerify(json.options)).toBe(0);
  expect(JSON.parse(json.text())).toEqual({
    run: RUN,
    intact: true,
    events: 8,
    ended: true,
    key: null,
    signed: false,
  });
});

test('tail prints the last events, one line each', async () => {
  const { options, text } = output(stateWith({ [RUN]: LOG }));
  expect(await auditTail({ ...options, follow: false })).toBe(0);
  expect(text().split('\n')).toHaveLength(9);
  expect(text()).toMatch(/ {2}denied {11}evil\.example dns A NXDOMAIN, no-rule$/m);
});

test('tail begins with the last twenty events', async () => {
  const many = linesOf(Array.from({ length: 50 }, (_, i) => dns({ name: `h${i}.example` })));
  const { options, text } = output(stateWith({ [RUN]: many }), true);
  expect(await auditTail({ ...options, follow: false })).toBe(0);
  const seqs = text()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).seq);
  expect(seqs).toEqual(Array.from({ length: 20 }, (_, i) => i + 31));
});

test('tail --follow ends at the seal', async () => {
  const { options, text } = output(stateWith({ [RUN]: LOG }), true);
  expect(await auditTail({ ...options, follow: true })).toBe(0);
  expect(text().trim().split('\n')).toHaveLength(LOG.length);
});

test('tail --follow of a dead run ends with 1', async () => {
  const { options, text } = output(stateWith({ [RUN]: LOG.slice(0, 3) }));
  expect(await auditTail({ ...options, follow: true, alive: () => false })).toBe(1);
  expect(text()).toMatch(/^run .*: it ended without its seal/m);
});

test('a run that is missing, ambiguous, malformed or without a log has its code', async () => {
  const env = stateWith({ [RUN]: LOG, '20261121-201500-k3fz': null });
  const code = async (run: string | undefined, state = env) => {
    try {
      await auditVerify({ ...output(state).options, run });
      return 'none';
    } catch (error) {
      return (error as { code?: unknown }).code;
    }
  };
  expect(await code('2025')).toBe('run-missing');
  expect(await code('2026')).toBe('run-missing');
  expect(await code('../../etc')).toBe('usage');
  expect(await code('20261121-201500-k3fz')).toBe('audit-broken');
  expect(await code(undefined, stateWith({}))).toBe('run-missing');
  expect(await code(RUN)).toBe('none');
});
