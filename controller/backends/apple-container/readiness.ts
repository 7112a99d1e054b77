/**
 * Whether the tool is there and new enough; asked before a guest is made. That its services run shows in whatever they
 * are asked for next. The wall of checks is `checks.ts`'s.
 */
import { SandError } from '../../errors.ts';
import { askContainer, TOOL_LIMITS } from './tool.ts';
import { FLOOR, formatVersion, isBelow, parseVersionLine } from './version.ts';

export const UPGRADE =
  'install the newest release of Apple\u2019s container (github.com/apple/container), or `brew upgrade container`';
export const START = 'container system start --enable-kernel-install';

/** Raises `tool-missing` and `backend-unavailable`. */
export async function requireTool(): Promise<void> {
  const version = await askContainer(['--version'], TOOL_LIMITS.queryMs);
  const found = version.exitCode === 0 ? parseVersionLine(version.stdout) : null;
  if (found === null) {
    throw new SandError(
      'backend-unavailable',
      'the program called container does not answer as Apple\u2019s does',
      'this backend runs on a Mac with Apple silicon and macOS 26; look what `container --version` says',
    );
  }
  if (isBelow(found, FLOOR)) {
    throw new SandError(
      'backend-unavailable',
      `container ${formatVersion(found)} is older than ${formatVersion(FLOOR)}, the first that sand trusts with a guest`,
      UPGRADE,
    );
  }
}
