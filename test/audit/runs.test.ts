import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { auditRoot, findRun, isRunId, listRuns, newRunId, runPlace } from '../../audit/runs.ts';
import { START_MS, temporaryDirectory } from './samples.ts';

function rootWith(...ids: readonly string[]): string {
  const root = temporaryDirectory();
  for (const id of ids) mkdirSync(join(root, id));
  return root;
}

const A = '20261121-201500-k3f9';
const B = '20261121-201500-k3fz';
const C = '20261122-080000-0000';

test('runs lie in the state directory', () => {
  expect(auditRoot({ XDG_STATE_HOME: '/s', HOME: '/h' })).toBe('/s/sand/runs');
  expect(auditRoot({ HOME: '/h' })).toBe('/h/.local/state/sand/runs');
  expect(auditRoot({ XDG_STATE_HOME: '', HOME: '/h' })).toBe('/h/.local/state/sand/runs');
});

test('a relative state directory is void', () => {
  expect(auditRoot({ XDG_STATE_HOME: 's', HOME: '/h' })).toBe('/h/.local/state/sand/runs');
  expect(auditRoot({ HOME: 'h' })).toMatch(/^\/.*\/\.local\/state\/sand\/runs$/);
});

test('run ids are in UTC and sort by time', () => {
  expect(
    newRunId(
      () => START_MS,
      () => 20,
    ),
  ).toBe('20261121-201500-00kk');
  fc.assert(
    fc.property(fc.nat({ max: 3e12 }), fc.nat({ max: 3e12 }), fc.nat({ max: 35 }), (a, b, r) => {
      const [first, second] = [
        newRunId(
          () => a,
          () => r,
        ),
        newRunId(
          () => b,
          () => 35 - r,
        ),
      ];
      expect(isRunId(first)).toBe(true);
      if (a < b) expect(first < second).toBe(true);
    }),
  );
});

test('the last run is the one without a name', async () => {
  expect(await findRun(rootWith(C, A, B))).toMatchObject({ kind: 'found', run: { id: C } });
});

test('a beginning names its run, several are ambiguous, none is missing', async () => {
  const root = rootWith(A, B, C);
  expect(await findRun(root, '20261122')).toMatchObject({ kind: 'found', run: { id: C } });
  expect(await findRun(root, A)).toMatchObject({ kind: 'found', run: { id: A } });
  expect(await findRun(root, '20261121')).toEqual({ kind: 'ambiguous', ids: [A, B] });
  expect(await findRun(root, '20251121')).toEqual({ kind: 'missing' });
  expect(await findRun(rootWith())).toEqual({ kind: 'missing' });
  expect(await findRun(join(root, 'nowhere'))).toEqual({ kind: 'missing' });
});

test.each(['', '.', '..', '../x', '/etc/passwd', `${A}/..`, 'a\0b', `${A}x`, '*', '-r', '20261121\n'])(
  'the name %j leads nowhere',
  async (name) => {
    expect(await findRun(rootWith(A), name)).toEqual({ kind: 'malformed' });
    expect(() => runPlace('/root', name)).toThrow(RangeError);
  },
);

test('no text as a name leaves the directory', async () => {
  const root = rootWith(A);
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 24 }), async (name) => {
      const found = await findRun(root, name);
      if (found.kind === 'found') expect(found.run.directory).toBe(join(root, A));
    }),
    { numRuns: 50 },
  );
});

test('links, files and other names are not runs', async () => {
  const root = rootWith(A, 'other', '.hidden');
  symlinkSync('/', join(root, B));
  writeFileSync(join(root, C), '');
  expect((await listRuns(root)).map((run) => run.id)).toEqual([A]);
});

test('a run has its files', () => {
  expect(runPlace('/r', A)).toEqual({
    id: A,
    directory: `/r/${A}`,
    auditPath: `/r/${A}/audit.jsonl`,
    policyPath: `/r/${A}/policy.yaml`,
    statePath: `/r/${A}/run.json`,
  });
});
