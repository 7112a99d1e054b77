import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileState } from '../../../controller/guest/file-state.ts';
import { identityOf } from '../../../controller/guest/file-state.ts';
import { planProtection } from '../../../controller/guest/protected-files.ts';
import { readProtectedFiles } from '../../../controller/guest/protected-reading.ts';
import { ASIDE_SUFFIX, compareWatched } from '../../../controller/guest/watched-files.ts';

describe('compareWatched', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'watched-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const watched = (name: string, state: FileState = 'absent') => [
    { path: join(root, name), root, state, always: false },
  ];

  it('says nothing where nothing was made', () => {
    expect(compareWatched(watched('.envrc'))).toEqual([]);
  });

  it('moves aside what the guest made, and says where', () => {
    writeFileSync(join(root, '.envrc'), 'made');
    const [observation] = compareWatched(watched('.envrc'));
    expect(observation).toMatchObject({
      code: 'protected-file-created',
      detail: expect.stringContaining(ASIDE_SUFFIX),
    });
    expect(existsSync(join(root, '.envrc'))).toBe(false);
    expect(readFileSync(join(root, `.envrc${ASIDE_SUFFIX}`), 'utf8')).toBe('made');
  });

  it('keeps what was moved aside before', () => {
    for (const content of ['one', 'two']) {
      writeFileSync(join(root, '.envrc'), content);
      compareWatched(watched('.envrc'));
    }
    expect(readFileSync(join(root, `.envrc${ASIDE_SUFFIX}`), 'utf8')).toBe('one');
    expect(readFileSync(join(root, `.envrc${ASIDE_SUFFIX}-2`), 'utf8')).toBe('two');
  });

  it('never moves a file behind a link that the guest put above it', () => {
    mkdirSync(join(root, 'elsewhere/hooks'), { recursive: true });
    mkdirSync(join(root, 'ws'));
    symlinkSync(join(root, 'elsewhere'), join(root, 'ws/.git'));
    const path = join(root, 'ws/.git/hooks');
    compareWatched([{ path, root: join(root, 'ws'), state: 'absent', always: false }]);
    expect(existsSync(join(root, 'elsewhere/hooks'))).toBe(true);
    expect(existsSync(join(root, 'ws/.git'))).toBe(false);
  });

  it('tells a symlink that is none any more, and leaves it', () => {
    writeFileSync(join(root, '.envrc'), 'now a file');
    expect(compareWatched(watched('.envrc', 'symlink'))).toMatchObject([{ code: 'protected-file-changed' }]);
    expect(existsSync(join(root, '.envrc'))).toBe(true);
  });

  const standing = (name: string, state: FileState) => {
    const path = join(root, name);
    return [{ path, root, state, always: false, identity: identityOf(path) ?? '' }];
  };

  it('tells a file that another one has replaced, and leaves it', () => {
    writeFileSync(join(root, 'sand.policy.yaml'), 'version: 1');
    const before = standing('sand.policy.yaml', 'file');
    expect(compareWatched(before)).toEqual([]);
    writeFileSync(join(root, 'saved'), 'version: 1');
    renameSync(join(root, 'saved'), join(root, 'sand.policy.yaml'));
    expect(compareWatched(before)).toMatchObject([{ code: 'protected-file-replaced' }]);
    expect(existsSync(join(root, 'sand.policy.yaml'))).toBe(true);
  });

  it('tells a symlink that leads elsewhere', () => {
    symlinkSync('/a', join(root, '.envrc'));
    const before = standing('.envrc', 'symlink');
    symlinkSync('/b', join(root, 'other'));
    renameSync(join(root, 'other'), join(root, '.envrc'));
    expect(compareWatched(before)).toMatchObject([{ code: 'protected-file-changed' }]);
  });
});

describe('where a name is found by other capitals too', () => {
  let root: string;
  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'watched-')));
    mkdirSync(join(root, '.git/hooks'), { recursive: true });
    writeFileSync(join(root, '.git/hooks/pre-commit'), 'true');
    writeFileSync(join(root, '.envrc'), 'own');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const workspaces = () => [{ source: root, target: '/work', writable: true }];
  const read = (foldsCase: boolean) =>
    planProtection(readProtectedFiles(workspaces(), [], foldsCase), workspaces()).watched;

  it('what a mount at the one spelling did not hold is told, and left where it is', () => {
    const watched = read(true);
    expect(compareWatched(watched)).toEqual([]);
    writeFileSync(join(root, '.envrc'), 'its');
    writeFileSync(join(root, '.git/hooks/post-commit'), 'false');
    expect(compareWatched(watched)).toMatchObject([
      { code: 'protected-file-changed', detail: expect.stringContaining(join(root, '.git/hooks')) },
      { code: 'protected-file-changed', detail: expect.stringContaining(join(root, '.envrc')) },
    ]);
    expect(existsSync(join(root, '.envrc'))).toBe(true);
  });

  it('a right to run is a change as well, and what lies behind a link is not read', () => {
    const watched = read(true);
    symlinkSync('/etc', join(root, '.git/hooks/link'));
    expect(compareWatched(watched)).toHaveLength(1);
    rmSync(join(root, '.git/hooks/link'));
    chmodSync(join(root, '.git/hooks/pre-commit'), 0o777);
    expect(compareWatched(watched)).toHaveLength(1);
  });

  it('nothing is read where mounts hold', () => {
    const watched = read(false);
    writeFileSync(join(root, '.envrc'), 'its');
    expect(compareWatched(watched)).toEqual([]);
  });
});
