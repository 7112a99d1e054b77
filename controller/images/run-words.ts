/** What an image's configuration makes of a run: its command, variables and working directory. Pure. */
import { SandError } from '../errors.ts';
import type { ImageConfig } from './config.ts';

/** Where an image names no search path; the one of other engines. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** As docker does: what the caller gives replaces Cmd, and Entrypoint is kept. Raises `usage` when nothing is left. */
export function planImageCommand(
  config: ImageConfig,
  given: readonly string[],
  mayBeNone = false,
): readonly string[] {
  const command = [...config.entrypoint, ...(given.length > 0 ? given : config.cmd)];
  const [program] = command;
  if (program !== undefined && program !== '') return command;
  if (program === undefined && mayBeNone) return [];
  throw new SandError(
    'usage',
    'no command to run: the image names none',
    'write sand run --image IMAGE -- CMD [ARG...]',
  );
}

export function planImageEnvironment(config: ImageConfig): Readonly<Record<string, string>> {
  return { PATH, ...config.environment };
}
