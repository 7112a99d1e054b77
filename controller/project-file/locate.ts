/** Which project file a run has: the one that is named, else the one that is found as a policy is. Reads nothing of it. */
import { resolve } from 'node:path';
import { SandError } from '../errors.ts';
import { findUpward } from '../run/found-file.ts';
import { PROJECT_FILE_NAME } from './model.ts';

export interface LocatedProject {
  /** Absolute. */
  readonly path: string;
  /** Real path of the repository that it was found in; null where the person has named it, which is consent. */
  readonly repository: string | null;
}

/**
 * `named`: the value of `--project-file`, false for `--no-project-file`. Null: no file. Raises `project-unapproved`
 * for a found file of another user.
 */
export function locateProject(named: string | false | undefined, cwd: string): LocatedProject | null {
  if (named === false) return null;
  if (named !== undefined) return { path: resolve(cwd, named), repository: null };
  const found = findUpward(cwd, PROJECT_FILE_NAME);
  if (found === null || found.isOwn) return found;
  throw new SandError(
    'project-unapproved',
    `${found.path} belongs to another user, so it is not used unasked`,
    `name it with --project-file ${found.path}, or leave it out with --no-project-file`,
  );
}
