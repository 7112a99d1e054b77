import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunPlace, runPlace } from '../../../audit/runs.ts';
import { createRunDirectory } from '../../../controller/run/run-directory.ts';
import { isAlive, isRunAlive, readRunState, writeRunState } from '../../../controller/run/run-state.ts';

const STATE = {
  name: 'web',
  status: 'running',
  startedAt: '2026-11-21T20:15:00.000Z',
  command: ['true'],
  detached: false,
  backend: 'linux',
  isolation: 'namespaces',
  confinement: 'enforced',
  dnsPort: 5300,
  policy: 'sha256:0',
  mounts: [],
  workdir: '/project',
  guest: { holder: 7 },
} as const;

let root: string;
let run: RunPlace;
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/run-state-`);
  run = createRunDirectory(root);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('the state of a run', () => {
  it('is read back as written, by nobody but its owner', () => {
    writeRunState(run, STATE);
    expect(readRunState(run)).toMatchObject({ ...STATE, run: run.id, pid: process.pid });
    expect(statSync(run.statePath).mode & 0o777).toBe(0o600);
    expect(statSync(run.directory).mode & 0o777).toBe(0o700);
  });

  it('lives while the very process lives that wrote it: a pid alone may be another\u2019s', () => {
    writeRunState(run, STATE);
    const state = readRunState(run);
    if (state === null) throw new Error('no state');
    expect(isAlive(state)).toBe(true);
    expect(isAlive({ ...state, pidStart: '1' })).toBe(false);
    expect(isAlive({ ...state, pidStart: '' })).toBe(false);
  });

  it('counts as alive where nobody can say which process it is that is there', () => {
    writeRunState(run, STATE);
    const state = readRunState(run);
    if (state === null) throw new Error('no state');
    const sight = (start: string | null) => ({ start: () => start, isForeground: () => true });
    expect(isAlive(state, sight('unknown'))).toBe(true);
    expect(isAlive(state, sight(null))).toBe(false);
    expect(
      isAlive({ ...state, pidStart: 'Sat Nov 28 20:30:29 2026' }, sight('Sat Nov 28 20:30:29 2026')),
    ).toBe(true);
    expect(
      isAlive({ ...state, pidStart: 'Sat Nov 28 20:30:29 2026' }, sight('Sat Nov 28 20:30:30 2026')),
    ).toBe(false);
  });

  it('that is not there yet may still come', () => {
    expect(readRunState(run)).toBeNull();
    expect(isRunAlive(run)).toBe(true);
  });

  it.each(['{', '[]', '{"run": "x"}', 'null'])('%s is no state', (text) => {
    writeFileSync(run.statePath, text);
    expect(() => readRunState(run)).toThrow(expect.objectContaining({ code: 'file-invalid' }));
  });
});

it('two runs never share a directory', () => {
  const ids = Array.from({ length: 20 }, () => createRunDirectory(root).id);
  expect(new Set(ids).size).toBe(20);
  mkdirSync(runPlace(root, run.id).directory, { recursive: true });
});
