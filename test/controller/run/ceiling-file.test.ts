import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkCeiling } from '../../../controller/doctor/ceiling.ts';
import { CEILING_PATH, findTrouble, judgeKept, requireKept } from '../../../controller/run/ceiling-file.ts';
import { ceilingPaths } from '../../../controller/run/policy-choice.ts';

describe('the machine owner\u2019s ceiling', () => {
  const judge = (uid: number, mode: number, gid = 0) =>
    judgeKept(CEILING_PATH, { uid, mode, gid }, { isOwners: true, me: 1_000 })?.why ?? null;

  it.each([
    ['of root, for everybody to read', 0, 0o100644, 0, null],
    ['of root, with the group that is root\u2019s', 0, 0o100664, 0, null],
    ['of the caller, who is the owner then', 1_000, 0o100600, 1_000, null],
    ['of an owner without a number here', 65_534, 0o100644, 65_534, null],
    ['that everybody can write', 0, 0o100646, 0, 'everybody can write it'],
    ['that a group can write', 0, 0o100664, 80, 'its group (80) can write it'],
    ['of somebody else', 1_001, 0o100644, 0, 'it belongs to another user (1001)'],
    ['in a folder that everybody can write', 0, 0o040777, 0, 'everybody can write it'],
    ['in a folder where nobody can replace another\u2019s', 0, 0o041777, 0, null],
  ])('%s', (_, uid, mode, gid, why) => {
    expect(judge(uid, mode, gid)).toBe(why);
  });
});

describe('a ceiling', () => {
  let root: string;
  let path: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ceiling-'));
    mkdirSync(join(root, 'sand'));
    path = join(root, 'sand/ceiling.yaml');
    writeFileSync(path, 'version: 1\n', { mode: 0o644 });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('that only its owner can write is taken', () => {
    expect(ceilingPaths({ SAND_CEILING: path })).toContain(path);
    expect(findTrouble(path, true)).toBeNull();
  });

  it('that everybody can write is refused, with the command that mends it', () => {
    chmodSync(path, 0o666);
    expect(() => ceilingPaths({ SAND_CEILING: path })).toThrow(
      expect.objectContaining({ code: 'policy-invalid', hint: `sudo chmod go-w ${path}` }),
    );
  });

  it('that everybody can replace is refused: by its folder, and by that of what a link leads to', () => {
    chmodSync(join(root, 'sand'), 0o777);
    expect(() => requireKept(path)).toThrow(/everybody can write it/);
    const link = join(root, 'link.yaml');
    symlinkSync(path, link);
    expect(() => requireKept(link)).toThrow(/everybody can write it/);
    chmodSync(join(root, 'sand'), 0o755);
    expect(() => requireKept(link)).not.toThrow();
  });

  it('is told by the doctor', () => {
    chmodSync(path, 0o666);
    expect(checkCeiling(() => false)).toMatchObject({ state: 'ok', message: `none at ${CEILING_PATH}` });
    const bad = checkCeiling(
      () => true,
      () => findTrouble(path, true),
    );
    expect(bad).toMatchObject({ state: 'failed', remedy: `sudo chmod go-w ${path}` });
    const good = checkCeiling(
      () => true,
      () => null,
    );
    expect(good).toMatchObject({ state: 'ok' });
  });
});
