/** Where `--cache` keeps the package caches of one project. Pure. */
import { createHash } from 'node:crypto';
import { basename, isAbsolute, join } from 'node:path';

/** `$XDG_CACHE_HOME/sand/<name>-<digest of the folder>`, else below `~/.cache`: projects do not share. */
export function cacheFolder(
  environ: Readonly<Record<string, string | undefined>>,
  home: string,
  project: string,
): string {
  const base = environ.XDG_CACHE_HOME ?? '';
  const digest = createHash('sha256').update(project).digest('hex').slice(0, 16);
  return join(isAbsolute(base) ? base : join(home, '.cache'), 'sand', `${basename(project)}-${digest}`);
}
