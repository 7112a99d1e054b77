/** Finds what is to be protected in a guest's workspaces, with what stands there now. What is done about it is `protected-files.ts`'s. */
import { dirname, join } from 'node:path';
import type { MountSpec } from '../backends/backend.ts';
import { contentOf } from './file-content.ts';
import { identityOf, isWithin, realPath, stateOf } from './file-state.ts';
import type { ProtectedFile } from './protected-files.ts';
import { PROTECTED_NAMES } from './protected-names.ts';

/**
 * The protected names of each workspace and the policy files in force, with what stands there now. `foldsCase`: whether the file
 * systems may find a name by other capitals too, as macOS's usual ones do.
 */
export function readProtectedFiles(
  workspaces: readonly MountSpec[],
  policyFiles: readonly string[],
  foldsCase: boolean = process.platform === 'darwin',
): readonly ProtectedFile[] {
  const policies = new Set(policyFiles.flatMap((path) => [path, realPath(path) ?? path]));
  const rootOf = (path: string) =>
    workspaces.find(({ source }) => isWithin(path, source))?.source ?? dirname(path);
  const roots = new Set(workspaces.filter(({ writable }) => writable).map(({ source }) => source));
  const others = [...roots].flatMap((root) => protectedBelow(root).map((path) => ({ path, root })));
  return [
    ...others
      .filter(({ path }) => !policies.has(path))
      .map((file) => ({ ...file, ...lookAt(file.path, foldsCase), always: false })),
    ...[...policies].map((path) => ({ path, root: rootOf(path), ...lookAt(path, foldsCase), always: true })),
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

function lookAt(path: string, foldsCase: boolean): Pick<ProtectedFile, 'state' | 'identity' | 'content'> {
  const [state, identity] = [stateOf(path), identityOf(path)];
  const isThere = state === 'file' || state === 'folder';
  return {
    state,
    ...(identity === null ? {} : { identity }),
    ...(foldsCase && isThere ? { content: contentOf(path) } : {}),
  };
}
