import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
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

function keep() {
  const mounts = [{ source: work, target: work, writable: true }];
  const { watched } = planProtection(readProtectedFiles(mounts, []), mounts);
  return { copies: keepCopies(watched, join(base, 'copies')) };
}

/** What a guest, or somebody on the host, does in between. */
function around(deeds: () => void): readonly Observation[] {
  const { copies } = keep();
  deeds();
  return copies.restore();
}

/** Of a file what it holds, of a folder what all of its files hold. */
function contentBelow(name: string): string {
  const path = join(work, name);
  if (!statSync(path).isDirectory()) return read(name);
  return readdirSync(path)
    .sort()
    .map((below) => contentBelow(join(name, below)))
    .join('\n');
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

  it('are compared once', () => {
    const { copies } = keep();
    writeFileSync(join(work, '.git/config'), 'evil');
    expect(copies.restore()).toHaveLength(1);
    writeFileSync(join(work, '.git/config'), 'later');
    expect(copies.restore()).toEqual([]);
    expect(read('.git/config')).toBe('later');
  });

  it.skipIf(process.getuid?.() === 0)('put back what lies where the guest took the right to write', () => {
    const told = around(() => {
      writeFileSync(join(work, '.git/config'), 'evil');
      writeFileSync(join(work, '.envrc'), 'evil');
      chmodSync(join(work, '.git'), 0o500);
      chmodSync(work, 0o500);
    });
    expect(told).toMatchObject([{ code: 'protected-file-changed' }, { code: 'protected-file-created' }]);
    expect(read('.git/config')).toBe('honest');
    expect(existsSync(join(work, '.envrc'))).toBe(false);
    expect(statSync(join(work, '.git')).mode & 0o777).toBe(0o700);
  });
});

describe('what somebody on the host did meanwhile', () => {
  const commandOf = (told: readonly Observation[]): string =>
    /if (?:it is yours, |it was you, |you made it: )(mv .*)$/.exec(told[0]?.detail ?? '')?.[1] ?? 'false';

  it.each([
    ['a file', '.git/config', () => writeFileSync(join(work, '.git/config'), 'mine')],
    ['a folder', '.git/hooks', () => writeFileSync(join(work, '.git/hooks/post-merge'), 'mine')],
  ])('to %s is taken back by the command that is shown, and neither version is lost', (_what, name, deed) => {
    const told = around(deed);
    expect(told[0]?.detail).toContain(
      'The guest may have done that or somebody on the host, which cannot be told apart here',
    );
    const later = contentBelow(`${name}.made-by-guest`);
    const before = contentBelow(name);
    execFileSync('sh', ['-c', commandOf(told)]);
    expect(contentBelow(name)).toBe(later);
    expect(contentBelow(`${name}.before-guest`)).toBe(before);
    expect(later).toContain('mine');
    expect(before).not.toContain('mine');
  });

  it('to remove one is done again by the command', () => {
    const told = around(() => rmSync(join(work, '.git/hooks'), { recursive: true }));
    expect(existsSync(join(work, '.git/hooks/pre-commit'))).toBe(true);
    execFileSync('sh', ['-c', commandOf(told)]);
    expect(existsSync(join(work, '.git/hooks'))).toBe(false);
    expect(read('.git/hooks.before-guest/pre-commit')).toBe('honest');
  });

  it('to make one is taken back by the command', () => {
    const told = around(() => writeFileSync(join(work, '.envrc'), 'mine'));
    execFileSync('sh', ['-c', commandOf(told)]);
    expect(read('.envrc')).toBe('mine');
    expect(existsSync(join(work, '.envrc.before-guest'))).toBe(false);
  });

  it('is quoted in the command, whatever the folder is called', () => {
    const odd = join(base, "it's $(odd); name");
    renameSync(work, odd);
    work = odd;
    const told = around(() => writeFileSync(join(work, '.git/config'), 'mine'));
    execFileSync('sh', ['-c', commandOf(told)]);
    expect(read('.git/config')).toBe('mine');
    expect(read('.git/config.before-guest')).toBe('honest');
  });

  it('never overwrites what an earlier run left', () => {
    const config = join(work, '.git/config');
    writeFileSync(`${config}.made-by-guest`, 'first');
    for (let count = 2; count < 100; count++) writeFileSync(`${config}.made-by-guest-${count}`, `${count}`);
    const told = around(() => writeFileSync(config, 'mine'));
    expect(read('.git/config.made-by-guest')).toBe('first');
    execFileSync('sh', ['-c', commandOf(told)]);
    expect(read('.git/config')).toBe('mine');
  });
});
