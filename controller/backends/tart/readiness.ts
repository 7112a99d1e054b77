/** Whether the tool is there and new enough; asked before a guest is made. The wall of checks is `checks.ts`'s. */
import { SandError } from '../../errors.ts';
import { VERSION } from './argv.ts';
import { askTart, TOOL_LIMITS } from './tool.ts';
import { formatVersion, isBelow, parseVersion, TART_FLOOR } from './version.ts';

/** Where releases come from since April 2026; the old tap has no new ones. */
export const UPGRADE =
  'brew install openai/tools/tart (and brew untap cirruslabs/cli, where that is the tap)';

/** Raises `tool-missing` and `backend-unavailable`. */
export async function requireTool(): Promise<void> {
  const output = await askTart(VERSION, TOOL_LIMITS.queryMs);
  const found = output.exitCode === 0 ? parseVersion(output.stdout) : null;
  if (found === null) {
    throw new SandError(
      'backend-unavailable',
      'the program called tart does not answer as Tart does',
      'this backend runs on a Mac with Apple silicon; look what `tart --version` says',
    );
  }
  if (!isBelow(found, TART_FLOOR)) return;
  throw new SandError(
    'backend-unavailable',
    `tart ${formatVersion(found)} is older than ${formatVersion(TART_FLOOR)}, the first that sand trusts with a guest`,
    UPGRADE,
  );
}
