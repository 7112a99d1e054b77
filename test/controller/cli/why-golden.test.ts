import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import { runPlace } from '../../../audit/runs.ts';
import { explainRequest, type WhyOptions } from '../../../controller/cli/why.ts';
import { formatPolicy } from '../../../policies/format.ts';
import { close, connection, dns, linesOf, runEnd, runStart, unplanted } from '../../audit/samples.ts';
import { policyOf } from '../../policies/reader.ts';

const NOW = Date.parse('2026-11-21T20:15:00Z');
const POLICY = `version: 1
name: web-app
rules:
  - allow: api.example
    http: [80, 8080]
    methods: [GET]
    paths: [/v1/**]
  - allow: "*.cdn.example"
  - allow: db.example
    tcp: [5432]
    addresses: [10.1.0.0/16]
  - allow: old.example
    until: 2026-01-31T18:00:00Z
  - allow: "**.gist.example"
  - deny: gist.example
    because: user content
  - deny: "**.bad.example"
  - mute: "**.telemetry.example"
`;
const CEILING = 'version: 1\nrules:\n  - allow: ["**.cdn.example", "**.gist.example"]\n    https: [443]\n';
const RUN = '20261121-201500-k3f9';

let folder: string;
let file: string;
let environ: Record<string, string>;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'why-')));
  file = join(folder, 'sand.policy.yaml');
  writeFileSync(file, POLICY);
  writeFileSync(join(folder, 'ceiling.yaml'), CEILING);
  environ = { HOME: folder, XDG_STATE_HOME: join(folder, 'state') };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function why(options: Partial<WhyOptions>): Promise<string> {
  let text = '';
  const code = await explainRequest({
    authority: 'api.example',
    address: [],
    policy: [file],
    allow: [],
    json: false,
    environ,
    nowMs: NOW,
    cwd: folder,
    write: (some) => {
      text += some;
    },
    tell: () => {},
    ...options,
  });
  return `${text.replaceAll(folder, '/project')}exit code ${code}\n`;
}

function expectGolden(name: string, actual: string): void {
  const golden = new URL(`golden/${name}`, import.meta.url);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, actual);
  expect(actual).toBe(readFileSync(golden, 'utf8'));
}

const CASES: readonly Partial<WhyOptions>[] = [
  { authority: 'api.example', method: 'GET', path: '/v1/users' },
  { authority: 'api.example', method: 'POST', path: '/v1/users' },
  { authority: 'api.example:8080', method: 'GET', path: '/v2' },
  { authority: 'api.example:443' },
  { authority: 'new.example' },
  { authority: 'new.example:22' },
  { authority: 'a.b.cdn.example' },
  { authority: 'below.api.example' },
  { authority: 'old.example' },
  { authority: 'gist.example' },
  { authority: 'x.bad.example' },
  { authority: 'x.telemetry.example' },
  { authority: 'db.example:5432' },
  { authority: 'db.example:5432', address: ['10.1.2.3'] },
  { authority: 'db.example:5432', address: ['192.168.1.1'] },
  { authority: 'a.cdn.example', address: ['127.0.0.1'] },
  { authority: '198.51.100.7' },
  { authority: '[2001:db8::1]:22' },
  { authority: '169.254.169.254:80' },
  { authority: 'host.sand:5432' },
  { authority: 'gateway.sand' },
  { authority: 'anything.example', policy: ['observe'] },
];

describe('sand why', () => {
  it('says the verdict, the rules in question and the smallest change', async () => {
    let text = '';
    for (const options of CASES) {
      const { authority, method = '', path = '', address = [], policy = [] } = options;
      const flags = [
        ...policy.map((name) => `--policy ${name}`),
        ...address.map((one) => `--address ${one}`),
      ];
      text += `$ ${['sand why', ...flags, authority, method, path].join(' ').trimEnd()}\n${await why(options)}\n`;
    }
    expectGolden('why.txt', text);
  });

  it('holds ceilings to what it says', async () => {
    const under = { environ: { ...environ, SAND_CEILING: join(folder, 'ceiling.yaml') } };
    let text = '';
    for (const authority of ['a.cdn.example', 'a.cdn.example:80', 'api.example:80', 'new.example']) {
      text += `$ sand why ${authority}\n${await why({ ...under, authority })}\n`;
    }
    expectGolden('why-ceiling.txt', text);
  });

  it('says all of it in JSON', async () => {
    const text = await why({ authority: 'gist.example', json: true });
    expectGolden('why-json.txt', text.replace(/exit code.*/, ''));
  });
});

describe('sand why of an event', () => {
  const digest = policyOf(POLICY).digest;
  const facts = { policy: digest };

  function writeRun(entries: readonly AuditEntry[], kept = POLICY): void {
    const run = runPlace(join(folder, 'state/sand/runs'), RUN);
    mkdirSync(run.directory, { recursive: true, mode: 0o700 });
    writeFileSync(
      run.auditPath,
      linesOf(entries)
        .map((line) => `${line}\n`)
        .join(''),
    );
    writeFileSync(run.policyPath, formatPolicy(policyOf(kept)));
  }

  const start = () => {
    const policy = { name: 'web-app', digest, mode: 'enforce', layers: [file] };
    return runStart({ run: RUN, policy });
  };
  const db = {
    host: 'db.example',
    port: 5432,
    protocol: 'tcp',
    via: 'socks',
    address: '10.1.2.3',
  } as const;
  const entries = (): readonly AuditEntry[] => [
    start(),
    dns({
      ...facts,
      name: 'db.example',
      verdict: 'allow',
      reason: 'allowed-by-rule',
      disposition: 'answered',
      rcode: 'NOERROR',
      answer: ['198.18.0.1'],
    }),
    connection({
      ...facts,
      ...db,
      verdict: 'allow',
      reason: 'allowed-by-rule',
      disposition: 'forwarded',
      rule: { id: 'web-app/allow:db.example', file, line: 9 },
      destination: '198.18.0.1:5432',
    }),
    close({
      connection: 1,
      host: 'db.example',
      port: 5432,
      address: '10.1.2.3',
      reason: 'limit-time',
      detail: 'idle',
    }),
    connection({
      ...facts,
      ...db,
      address: undefined as never,
      connection: 2,
      reason: 'address-not-listed',
      detail: 'db.example is at 192.168.1.1',
    }),
    connection({
      ...facts,
      connection: 3,
      host: 'api.example',
      port: 80,
      protocol: 'http',
      method: 'POST',
      path: '/v1/users',
      reason: 'method-not-allowed',
    }),
    unplanted({ ...facts, host: '198.51.100.7', port: 25 }),
    connection({ ...facts, connection: 4, host: '..', port: 0, protocol: null, reason: 'request-malformed' }),
    runEnd(),
  ];

  it('tells what was asked, resolved and dialled, and whether the policy has changed since', async () => {
    writeRun(entries());
    let text = '';
    for (const authority of ['2', '3', '4', `${RUN}#5`, '20261121#6', '7', '8']) {
      text += `$ sand why ${authority}\n${await why({ authority, policy: [] })}\n`;
    }
    expectGolden('why-event.txt', text);
    expect(
      JSON.parse((await why({ authority: '3', policy: [], json: true })).split('\n')[0] ?? ''),
    ).toMatchObject({
      decision: 'allow',
      event: { run: RUN, seq: 3, policyIsSame: true, resolved: '10.1.2.3', dialled: '10.1.2.3' },
    });
  });

  it('falls back to the policy that the run kept, and says so', async () => {
    writeRun(entries());
    writeFileSync(file, POLICY.replace('db.example', 'other.example'));
    const text = await why({ authority: '3', policy: [] });
    writeFileSync(file, POLICY);
    expect(text).toContain('the policy has changed since');
    expect(text).toContain(`policy: /project/state/sand/runs/${RUN}/policy.yaml`);
    expect(text).toContain('db.example:5432: allow (allowed-by-rule');
  });

  it('asks the policy that is named', async () => {
    writeRun(entries());
    const text = await why({ authority: '3', policy: ['offline'] });
    expect(text).toContain('the policy has changed since');
    expect(text).toContain('db.example:5432: deny (no-rule');
  });

  it('refuses what decides nothing, and what is not there', async () => {
    writeRun(entries());
    await expect(why({ authority: '1' })).rejects.toThrow('nothing was decided');
    await expect(why({ authority: '99' })).rejects.toMatchObject({ code: 'run-missing' });
    await expect(why({ authority: '2019#1' })).rejects.toMatchObject({ code: 'run-missing' });
    await expect(why({ authority: '2', method: 'GET', path: '/' })).rejects.toThrow('own request');
  });
});
