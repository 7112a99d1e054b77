import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FileState, isWithin } from '../../../controller/guest/file-state.ts';
import { type ProtectedFile, planProtection } from '../../../controller/guest/protected-files.ts';
import { PROTECTED_NAMES } from '../../../controller/guest/protected-names.ts';

const WORKSPACE = { source: '/p', target: '/p', writable: true };

function protectedFile(path: string, state: FileState = 'file', always = false): ProtectedFile {
  return { path, root: '/p', state, always };
}

describe('planProtection', () => {
  it('mounts what exists read-only, in the guest\u2019s place for it', () => {
    const { mounts } = planProtection([protectedFile('/p/.envrc')], [{ ...WORKSPACE, target: '/project' }]);
    expect(mounts).toEqual([
      { kind: 'bind', source: '/p/.envrc', target: '/project/.envrc', writable: false },
    ]);
  });

  it('makes every folder above it a mount point, outermost first, so that none can be renamed', () => {
    const { mounts } = planProtection([protectedFile('/p/a/b/policy.yaml', 'file', true)], [WORKSPACE]);
    expect(mounts).toEqual([
      { kind: 'bind', source: '/p/a', target: '/p/a', writable: true },
      { kind: 'bind', source: '/p/a/b', target: '/p/a/b', writable: true },
      { kind: 'bind', source: '/p/a/b/policy.yaml', target: '/p/a/b/policy.yaml', writable: false },
    ]);
  });

  it.each(['absent', 'symlink'] as const)('watches what is %s, since no mount can hold it', (state) => {
    const file = protectedFile('/p/.envrc', state);
    expect(planProtection([file], [WORKSPACE])).toEqual({ mounts: [], watched: [file] });
  });

  it('leaves what a mount names by itself, but never a policy file in force', () => {
    const named = [WORKSPACE, { source: '/p/.vscode', target: '/p/.vscode', writable: true }];
    expect(planProtection([protectedFile('/p/.vscode', 'folder')], named).mounts).toEqual([]);
    expect(planProtection([protectedFile('/p/.vscode/x.yaml', 'file', true)], named).mounts).toContainEqual(
      expect.objectContaining({ target: '/p/.vscode/x.yaml', writable: false }),
    );
  });

  it('protects in every place where a workspace shows the file', () => {
    const twice = [WORKSPACE, { source: '/p', target: '/again', writable: true }];
    const targets = planProtection([protectedFile('/p/.envrc')], twice).mounts.map(
      (mount) => 'target' in mount && mount.target,
    );
    expect(targets.toSorted()).toEqual(['/again/.envrc', '/p/.envrc']);
  });

  it('says nothing of a read-only workspace', () => {
    const readOnly = [{ ...WORKSPACE, writable: false }];
    expect(planProtection([protectedFile('/p/.envrc')], readOnly)).toEqual({ mounts: [], watched: [] });
  });

  it('leaves no protected file of a writable workspace writable, whatever its state', () => {
    const states = fc.constantFrom<FileState>('absent', 'file', 'folder', 'symlink');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...PROTECTED_NAMES), states)), (drawn) => {
        const files = [...new Map(drawn)].map(([name, state]) => protectedFile(`/p/${name}`, state));
        const { mounts, watched } = planProtection(files, [WORKSPACE]);
        for (const file of files) {
          const held = mounts.some(
            (mount) => mount.kind === 'bind' && !mount.writable && isWithin(file.path, mount.source),
          );
          expect(held || watched.includes(file)).toBe(true);
        }
      }),
    );
  });
});
