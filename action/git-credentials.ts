/**
 * Whether git's settings in the workspace hold a credential: actions/checkout leaves the job's token there unless told not to, and
 * a guest sees the workspace.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of submodules, which checkout gives the token as well. */
const MOST_MODULES = 200;

/** A header that logs in, or an address with a password. */
export function holdsCredential(config: string): boolean {
  return (
    /extraheader\s*=\s*"?\s*authorization/i.test(config) || /=\s*"?\w+:\/\/[^\s/@]*:[^\s/@]+@/.test(config)
  );
}

/** The file that holds one, relative to the workspace; null where none does. */
export function findCredential(workspace: string): string | null {
  const modules = names(join(workspace, '.git/modules'));
  const files = ['.git/config', ...modules.map((name) => `.git/modules/${name}/config`)];
  return files.find((file) => holdsCredential(textOf(join(workspace, file)))) ?? null;
}

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder).slice(0, MOST_MODULES);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
