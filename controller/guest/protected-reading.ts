/** Finds what is to be protected in a guest's workspaces, with what stands there now. What is done about it is `protected-files.ts`'s. */
import { dirname, join } from 'node:path';
import type { MountSpec } from '../backends/backend.ts';
import { identityOf, isWithin, realPath, stateOf } from './file-state.ts';
import type { ProtectedFile } from './protected-files.ts';
import { PROTECTED_NAMES } from './protected-names.ts';

/** The protected names of each workspace and the policy files in force, with what stands there now. */
export function readProtectedFiles(
  workspaces: readonly MountSpec[],
  policyFiles: readonly string[],
): readonly ProtectedFile[] {
  const policies = new Set(policyFiles.flatMap((path) => [path, realPath(path) ?? path]));
  const rootOf = (path: string) =>
    workspaces.find(({ source }) => isWithin(path, source))?.source ?? dirname(path);
  const roots = new Set(workspaces.filter(({ writable }) => writable).map(({ source }) => source));
  const others = [...roots].flatMap((root) => protectedBelow(root).map((path) => ({ path, root })));
  return [
    ...others
      .filter(({ path }) => !policies.has(path))
      .map((file) => ({ ...file, ...lookAt(file.path), always: false })),
    ...[...policies].map((path) => ({ path, root: rootOf(path), ...lookAt(path), always: true })),
  ];
}

/** `.git` itself counts where it is no folder: a worktree's file that names another place, or nothing yet. */
function protectedBelow(root: string): readonly string[] {
  const repository = join(root, '.git');
  const hasFolder = stateOf(repository) === 'folder';
  const names = PROTECTED_NAMES.filter((name) => hasFolder || !name.startsWith('.git/')).map((name) =>
    join(root, name),
  );
  return hasFolder ? names : [repository, ...names];
}

function lookAt(path: string): Pick<ProtectedFile, 'state' | 'identity'> {
  const identity = identityOf(path);
  return { state: stateOf(path), ...(identity === null ? {} : { identity }) };
}
