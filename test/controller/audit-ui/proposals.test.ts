import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UI_LIMITS } from '../../../controller/audit-ui/limits.ts';
import type { Offer } from '../../../controller/audit-ui/proposals.ts';
import { writeRunState } from '../../../controller/run/run-state.ts';
import { connection, dns, runStart } from '../../audit/samples.ts';
import { policyOf } from '../../policies/reader.ts';
import { RUN, UiWorld, writing } from './world.ts';

const TEXT = 'version: 1\nrules:\n  # ours\n  - allow: a.example\n';

let world: UiWorld;
let file: string;
beforeEach(async () => {
  world = new UiWorld();
  file = join(world.folder, 'sand.policy.yaml');
  writeFileSync(file, TEXT);
  world.run([
    runStart({ policy: { name: 'p', digest: 'sha256:0', mode: 'enforce', layers: ['./sand.policy.yaml'] } }),
    connection({ host: 'api.example.com' }),
    connection({ host: 'a.example', reason: 'would-be-denied', verdict: 'allow', disposition: 'forwarded' }),
    dns({ name: '<script>alert(1)</script>' }),
  ]);
  // What the page names is made from the folder that the command was called in, as `git` finds it.
  mkdirSync(join(world.folder, '.git'));
  await world.start();
});
afterEach(() => world.end());

type Offered = Extract<Offer, { kind: 'offered' }>;

async function post(
  path: string,
  body: object,
): Promise<{ readonly status: number; readonly value: unknown }> {
  opened ??= world.open();
  const session = await opened;
  const { status, text } = await world.ask(`${session.place}/api/${path}`, {
    method: 'POST',
    headers: writing(session),
    body: JSON.stringify(body),
  });
  return { status, value: JSON.parse(text) as unknown };
}
let opened: ReturnType<UiWorld['open']> | null = null;
beforeEach(() => {
  opened = null;
});

async function offer(seq: number, action: string): Promise<Offered> {
  const { value } = await post('proposals', { run: RUN, seq, action });
  expect(value).toMatchObject({ kind: 'offered' });
  return value as Offered;
}

/** What `run.json` says of a run that is over. */
function state(policyFile: string): void {
  writeRunState(
    { statePath: join(world.root, RUN, 'run.json'), id: RUN, directory: '', auditPath: '', policyPath: '' },
    {
      name: RUN,
      status: 'running',
      startedAt: '2026-11-21T20:15:00.000Z',
      command: ['true'],
      detached: false,
      backend: 'fake',
      isolation: 'namespaces',
      confinement: 'enforced',
      dnsPort: 1,
      policy: 'sha256:0',
      policyFile,
      mounts: [],
      workdir: '/',
      guest: {},
      end: { exitCode: 0, cause: 'exit', at: '2026-11-21T20:16:00.000Z' },
    },
  );
}

describe('a proposal', () => {
  it('shows the patch and what it opens with a witness, and writes nothing', async () => {
    const offered = await offer(2, 'allow');
    expect(offered).toMatchObject({ subjects: ['api.example.com'], changed: true, widens: 1, isNew: false });
    expect(offered.patch).toContain('+  - allow: api.example.com\n');
    expect(offered.difference).toContain('now allowed: https to api.example.com:443');
    expect(offered.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(readFileSync(file, 'utf8')).toBe(TEXT);
  });

  it('is written once, and then only', async () => {
    const { id } = await offer(2, 'allow');
    const { value } = await post(`proposals/${id}/apply`, {});
    expect(value).toMatchObject({ kind: 'written', file: 'sand.policy.yaml' });
    expect(readFileSync(file, 'utf8')).toBe(`${TEXT}  - allow: api.example.com\n`);
    expect(world.told).toEqual(['written: sand.policy.yaml']);
    expect((await post(`proposals/${id}/apply`, {})).value).toMatchObject({ kind: 'gone' });
    expect((await offer(2, 'allow')).changed).toBe(false);
  });

  it('is not written where the file has changed since, and says so', async () => {
    const { id } = await offer(2, 'allow');
    writeFileSync(file, `${TEXT}  - deny: b.example\n`);
    expect((await post(`proposals/${id}/apply`, {})).value).toMatchObject({ kind: 'stale' });
    expect(readFileSync(file, 'utf8')).toBe(`${TEXT}  - deny: b.example\n`);
    const again = await offer(2, 'allow');
    await post(`proposals/${again.id}/apply`, {});
    expect(readFileSync(file, 'utf8')).toBe(`${TEXT}  - deny: b.example\n  - allow: api.example.com\n`);
  });

  it('is not written after its time, nor one that others have pushed out', async () => {
    const { id } = await offer(2, 'allow');
    world.nowMs += UI_LIMITS.proposalMs + 1;
    expect((await post(`proposals/${id}/apply`, {})).value).toMatchObject({ kind: 'gone' });
    const first = await offer(2, 'allow');
    for (let at = 0; at < UI_LIMITS.proposals; at += 1) await offer(2, 'allow');
    expect((await post(`proposals/${first.id}/apply`, {})).value).toMatchObject({ kind: 'gone' });
    expect(readFileSync(file, 'utf8')).toBe(TEXT);
  });

  it.each(['deny', 'mute'])('writes a %s rule', async (action) => {
    const { id } = await offer(3, action);
    await post(`proposals/${id}/apply`, {});
    expect(readFileSync(file, 'utf8')).toBe(`${TEXT}  - ${action}: a.example\n`);
  });

  it('goes into the policy file that the run was started under', async () => {
    const own = join(world.folder, 'other.yaml');
    writeFileSync(own, TEXT);
    state(own);
    const offered = await offer(2, 'allow');
    expect(offered).toMatchObject({ file: 'other.yaml', path: own, notes: [] });
    const { value } = await post(`proposals/${offered.id}/apply`, {});
    expect(value).toMatchObject({ command: 'sand run --policy other.yaml -- COMMAND' });
    expect(readFileSync(file, 'utf8')).toBe(TEXT);
  });

  it('is none where that file is gone', async () => {
    state(join(world.folder, 'gone.yaml'));
    const { status, value } = await post('proposals', { run: RUN, seq: 2, action: 'allow' });
    expect(status).toBe(409);
    expect(value).toMatchObject({ error: { code: 'policy-missing' } });
  });

  it('says that the owner of the machine denies it all the same', async () => {
    world.ceilings = [policyOf('version: 1\nrules:\n  - allow: a.example\n')];
    const { stillDenied, widens } = await offer(2, 'allow');
    expect(stillDenied).toEqual([
      expect.stringContaining("stays denied by the ceiling of this machine's owner"),
    ]);
    expect(widens).toBe(0);
  });

  it('says that a deny rule beats it', async () => {
    writeFileSync(file, `${TEXT}  - deny: api.example.com\n`);
    expect((await offer(2, 'allow')).stillDenied).toEqual([
      expect.stringContaining('stays denied by sand.policy.yaml:5'),
    ]);
  });

  it('becomes a new file that extends what the run went by, where only presets spoke', async () => {
    const { rmSync } = await import('node:fs');
    rmSync(file);
    world.run([
      runStart({ policy: { name: 'strict', digest: 'sha256:0', mode: 'enforce', layers: ['strict'] } }),
      connection({ host: 'api.example.com' }),
    ]);
    const offered = await offer(2, 'allow');
    expect(offered).toMatchObject({ isNew: true, digest: null });
    expect(offered.notes[0]).toContain('where no rule can be added');
    await post(`proposals/${offered.id}/apply`, {});
    expect(readFileSync(file, 'utf8')).toBe(
      'version: 1\nextends: [strict]\nrules:\n  - allow: api.example.com\n',
    );
  });

  it('is none for what a guest wrote in the place of a host', async () => {
    const { value } = await post('proposals', { run: RUN, seq: 4, action: 'allow' });
    expect(value).toMatchObject({ kind: 'refused', message: expect.stringContaining('no host') });
  });

  it('is none for an event that the log does not have', async () => {
    const { status, value } = await post('proposals', { run: RUN, seq: 99, action: 'allow' });
    expect(status).toBe(409);
    expect(value).toMatchObject({ error: { code: 'run-missing' } });
  });

  it('is none for a file that cannot be changed, with what to paste', async () => {
    writeFileSync(file, 'version: 1\nrules: [\n');
    const { status, value } = await post('proposals', { run: RUN, seq: 2, action: 'allow' });
    expect(status).toBe(409);
    expect(value).toMatchObject({ error: { code: 'policy-invalid' } });
  });
});
