import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Observation } from '../../../controller/backends/backend.ts';
import { keepCopies } from '../../../controller/guest/kept-copies.ts';
import { planProtection } from '../../../controller/guest/protected-files.ts';
import { readProtectedFiles } from '../../../controller/guest/protected-reading.ts';

let base = '';
let work = '';
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'sand-copies-')));
  work = join(base, 'work');
  mkdirSync(join(work, '.git/hooks'), { recursive: true });
  writeFileSync(join(work, '.git/config'), 'honest');
  writeFileSync(join(work, '.git/hooks/pre-commit'), 'honest', { mode: 0o755 });
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** What a guest does in between. */
function around(deeds: () => void): readonly Observation[] {
  const mounts = [{ source: work, target: work, writable: true }];
  const { watched } = planProtection(readProtectedFiles(mounts, []), mounts);
  const copies = keepCopies(watched, join(base, 'copies'));
  deeds();
  return copies.restore();
}

const read = (name: string) => readFileSync(join(work, name), 'utf8');

describe('copies of protected files', () => {
  it('leave alone what did not change', () => {
    expect(around(() => writeFileSync(join(work, 'other'), 'x'))).toEqual([]);
    expect(read('.git/config')).toBe('honest');
  });

  it('put a changed file back, and keep what it had become', () => {
    const told = around(() => writeFileSync(join(work, '.git/config'), 'evil'));
    expect(told).toMatchObject([{ code: 'protected-file-changed' }]);
    expect(read('.git/config')).toBe('honest');
    expect(read('.git/config.made-by-guest')).toBe('evil');
  });

  it.each([
    ['a further hook', () => writeFileSync(join(work, '.git/hooks/post-merge'), 'evil')],
    ['another right', () => chmodSync(join(work, '.git/hooks/pre-commit'), 0o600)],
    [
      'a hook that is a link',
      () => {
        rmSync(join(work, '.git/hooks/pre-commit'));
        symlinkSync('/bin/true', join(work, '.git/hooks/pre-commit'));
      },
    ],
    ['no hooks', () => rmSync(join(work, '.git/hooks'), { recursive: true })],
    [
      'a file in their place',
      () => {
        rmSync(join(work, '.git/hooks'), { recursive: true });
        writeFileSync(join(work, '.git/hooks'), 'evil');
      },
    ],
  ])('put a folder back with %s', (_what, deed) => {
    expect(around(deed)).toMatchObject([{ code: 'protected-file-changed' }]);
    expect(read('.git/hooks/pre-commit')).toBe('honest');
    expect(statSync(join(work, '.git/hooks/pre-commit')).mode & 0o777).toBe(0o755);
    expect(existsSync(join(work, '.git/hooks/post-merge'))).toBe(false);
  });

  it('never write through a link that the guest put above', () => {
    const victim = join(base, 'victim');
    mkdirSync(victim);
    writeFileSync(join(victim, 'config'), 'somebody else\u2019s');
    around(() => {
      renameSync(join(work, '.git'), join(work, 'git'));
      symlinkSync(victim, join(work, '.git'));
    });
    expect(readFileSync(join(victim, 'config'), 'utf8')).toBe('somebody else\u2019s');
    expect(existsSync(join(victim, 'hooks'))).toBe(false);
    expect(lstatSync(join(work, '.git')).isDirectory()).toBe(true);
    expect(read('.git/config')).toBe('honest');
  });

  it('move aside what was not there', () => {
    const told = around(() => writeFileSync(join(work, '.envrc'), 'evil'));
    expect(told).toMatchObject([{ code: 'protected-file-created' }]);
    expect(read('.envrc.made-by-guest')).toBe('evil');
  });
});
