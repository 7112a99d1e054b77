/**
 * Where sand looks for the programs that it runs on the host. Never the caller's PATH: that may name folders
 * of a project (`npx` puts one first), and what a guest has written there would run outside it.
 */

const SYSTEM_PATH =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin:/run/wrappers/bin';
/** Homebrew's folder belongs to the person at the computer, so what the system itself has comes first. */
const MAC_PATH = '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin';

/** `SAND_TOOL_PATH` replaces it, for systems that keep their programs elsewhere. Pure. */
export function toolPath(
  environ: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform = process.platform,
): string {
  const named = environ.SAND_TOOL_PATH ?? '';
  if (named !== '') return named;
  return platform === 'darwin' ? MAC_PATH : SYSTEM_PATH;
}

/** The whole environment of such a program. */
export function toolEnvironment(
  environ: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  return { PATH: toolPath(environ), LC_ALL: 'C' };
}
