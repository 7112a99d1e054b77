/** Whether the tool is there, new enough, and its services run; asked before a guest is made. The wall of checks is `checks.ts`'s. */
import { SandError } from '../../errors.ts';
import { STATUS } from './argv.ts';
import { parseSystemStatus } from './parse.ts';
import { askContainer, TOOL_LIMITS } from './tool.ts';
import { FLOOR, formatVersion, isBelow, parseVersionLine } from './version.ts';

export const UPGRADE =
  'install the newest release of Apple\u2019s container (github.com/apple/container), or `brew upgrade container`';
export const START = 'container system start --enable-kernel-install';

/** Raises `tool-missing` and `backend-unavailable`. */
export async function requireTool(): Promise<void> {
  const [version, status] = await Promise.all([
    askContainer(['--version'], TOOL_LIMITS.queryMs),
    askContainer(STATUS, TOOL_LIMITS.queryMs),
  ]);
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
  if (parseSystemStatus(status.stdout)?.status !== 'running')
    throw new SandError(
      'backend-unavailable',
      'the services of Apple\u2019s container do not run',
      `start them: ${START}`,
    );
}
