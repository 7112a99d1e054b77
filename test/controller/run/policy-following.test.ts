import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import { runPlace } from '../../../audit/runs.ts';
import type { GuestName } from '../../../controller/guests/name.ts';
import { PolicyCourse } from '../../../controller/run/policy-course.ts';
import { followPolicy } from '../../../controller/run/policy-following.ts';
import type { SessionRequest } from '../../../controller/run/session-request.ts';
import type { PolicyInForce } from '../../../policies/model.ts';
import { createFakeBackend, type FakeOptions } from './fake-backend.ts';
import { policyOf } from './policies.ts';

const RUN = '20270101-000000-abcd';

let folder: string;
let close: () => void;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'following-')));
});
afterEach(() => {
  close();
  rmSync(folder, { recursive: true, force: true });
});

/** A guest whose policy reads as `next` once its file has changed, or once somebody sets it. */
function follow(next: PolicyInForce, fake: FakeOptions = {}, writable = false) {
  const path = join(folder, 'p.yaml');
  mkdirSync(join(folder, RUN));
  writeFileSync(path, 'before');
  const before = policyOf('version: 1\n');
  const inForce = { ...before, policy: { ...before.policy, files: [path] } };
  const course = new PolicyCourse(inForce);
  const told: AuditEntry[] = [];
  const enforced: PolicyInForce[] = [];
  const request: Pick<
    SessionRequest,
    'backend' | 'isolation' | 'mounts' | 'cache' | 'inForce' | 'layers' | 'reread' | 'choosePolicy'
  > = {
    backend: createFakeBackend(fake),
    isolation: 'namespaces',
    mounts: writable ? [{ source: folder, target: folder, writable }] : [],
    cache: null,
    layers: ['p.yaml', '--allow a.example'],
    inForce,
    reread: () => ({ ok: true, inForce: next }),
    choosePolicy: async () => ({ inForce: next, layers: ['next'], reread: null, file: null, notices: [] }),
  };
  const followed = followPolicy(request, {
    guest: { name: 'web' as GuestName, run: runPlace(folder, RUN) },
    course,
    record: (entry) => told.push(entry),
    enforce: async (one) => void enforced.push(one),
  });
  close = followed.close;
  return { ...followed, path, course, before, enforced, told, change: () => writeFileSync(path, 'changed') };
}

const STRONGER = policyOf('version: 1\nname: vault\nrequires: {isolation: vm}\n');
const CONFINED = policyOf('version: 1\nname: vault\nrequires: {confinement: enforced}\n');

describe.each([
  ['isolation', STRONGER, {}],
  ['confinement', CONFINED, { confinement: 'cooperative' }],
] as const)('a policy that requires more %s than the guest has', (what, next, fake) => {
  it('is not put in the place of its policy', async () => {
    const { replace, course, before, enforced, told } = follow(next, fake);
    await expect(replace(['next'])).rejects.toMatchObject({ code: `${what}-required` });
    expect(course.inForce.policy.digest).toBe(before.policy.digest);
    expect([enforced, told]).toEqual([[], []]);
  });

  it('is not taken from a changed file, and the log says so', async () => {
    const { change, course, before, enforced, told } = follow(next, fake);
    change();
    await vi.waitFor(() => expect(told).not.toEqual([]), { timeout: 10_000 });
    expect(told).toMatchObject([{ code: 'policy-reload-refused', detail: expect.stringContaining('vault') }]);
    expect(course.inForce.policy.digest).toBe(before.policy.digest);
    expect(enforced).toEqual([]);
  });
});

describe('a policy that requires what the guest has', () => {
  it('is taken from a changed file, and in the place of its policy', async () => {
    const { change, replace, enforced, told } = follow(CONFINED);
    change();
    await vi.waitFor(() => expect(told).toMatchObject([{ code: 'policy-reloaded' }]), { timeout: 10_000 });
    expect(await replace(['next'])).toBe(CONFINED.policy.digest);
    expect(enforced).toEqual([CONFINED, CONFINED]);
  });
});

describe('a policy file where the guest can write', () => {
  const WRITABLE = true;
  const cure = expect.stringContaining('sand policy set web p.yaml');

  it('is not followed, and told of once', async () => {
    const { change, enforced, told } = follow(CONFINED, {}, WRITABLE);
    change();
    await vi.waitFor(() => expect(told).toMatchObject([{ code: 'policy-file-unused', detail: cure }]), {
      timeout: 10_000,
    });
    expect(enforced).toEqual([]);
  });

  it('is told of once more when another file takes its place', async () => {
    const { change, path, replace, enforced, told } = follow(CONFINED, {}, WRITABLE);
    change();
    await vi.waitFor(() => expect(told.length).toBe(1), { timeout: 10_000 });
    writeFileSync(`${path}.saved`, 'saved');
    renameSync(`${path}.saved`, path);
    await vi.waitFor(() => expect(told[1]).toMatchObject({ code: 'policy-file-unprotected', detail: cure }), {
      timeout: 10_000,
    });
    expect(enforced).toEqual([]);
    await replace(['next']);
    expect(told.map((entry) => Reflect.get(entry, 'code'))).toEqual([
      'policy-file-unused',
      'policy-file-unprotected',
      'policy-replaced',
    ]);
  });
});
