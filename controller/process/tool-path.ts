/**
 * Where sand looks for the programs that it runs on the host. Never the caller's PATH: that may name folders
 * of a project (`npx` puts one first), and what a guest has written there would run outside it.
 */

const SYSTEM_PATH =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin:/run/wrappers/bin';

/** `SAND_TOOL_PATH` replaces it, for systems that keep their programs elsewhere. Pure. */
export function toolPath(environ: Readonly<Record<string, string | undefined>>): string {
  const named = environ.SAND_TOOL_PATH ?? '';
  return named === '' ? SYSTEM_PATH : named;
}

/** The whole environment of such a program. */
export function toolEnvironment(
  environ: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  return { PATH: toolPath(environ), LC_ALL: 'C' };
}
