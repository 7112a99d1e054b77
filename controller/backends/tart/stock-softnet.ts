/**
 * Whether the host's own Softnet can hold a guest's card: it is there, new enough, and may become root, without which it
 * opens no network. Asked before a guest is made; the same is told by Tart itself, minutes later and in fewer words.
 */
import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../../errors.ts';
import { runTool } from '../../process/runner.ts';
import { toolPath } from '../../process/tool-path.ts';
import { TOOL_LIMITS } from './tool.ts';
import { formatVersion, isBelow, parseVersion, SOFTNET_FLOOR, type ToolVersion } from './version.ts';

const PROGRAM = 'softnet';
const SUID = 0o4000;
export const SOFTNET_UPGRADE = 'brew install openai/tools/softnet, or brew upgrade softnet';

export interface StockSoftnet {
  /** Links followed: the file whose bits count. */
  readonly path: string;
  /** Null: it tells none, as releases before the floor do. */
  readonly version: ToolVersion | null;
  /** Whether it is root's and SUID. */
  readonly isSuid: boolean;
  /** Whether sudo runs it without a password. */
  readonly maySudo: boolean;
}

/** Raises `tool-missing` and `backend-unavailable`, with what to do. `uid` is of whoever runs sand. */
export function requireUsable(found: StockSoftnet | null, uid: number | null): void {
  if (found === null)
    throw new SandError(
      'tool-missing',
      'softnet is not installed, which --link softnet needs',
      SOFTNET_UPGRADE,
    );
  const { path, version, isSuid, maySudo } = found;
  // Fail closed: what an unknown Softnet makes of a list nobody can tell.
  if (version === null || isBelow(version, SOFTNET_FLOOR)) {
    const is = version === null ? 'tells no version' : `is ${formatVersion(version)}`;
    throw new SandError(
      'backend-unavailable',
      `${path} ${is}, and --link softnet needs ${formatVersion(SOFTNET_FLOOR)} or newer`,
      SOFTNET_UPGRADE,
    );
  }
  if (uid !== 0 && !isSuid && !maySudo) throw powerless(path);
}

export function powerless(path = '$(readlink -f "$(command -v softnet)")'): SandError {
  return new SandError(
    'backend-unavailable',
    'softnet may not become root, and without that it gives no guest a network',
    `run once, and again after each upgrade of it: sudo chown root ${path} && sudo chmod u+s ${path}. Or leave out --link softnet: sand\u2019s own needs no root`,
  );
}

/** Raises `tool-missing` and `backend-unavailable`. */
export async function requireStockSoftnet(): Promise<void> {
  requireUsable(await findStockSoftnet(), process.getuid?.() ?? null);
}

/** The first in the tools' PATH, as Tart itself looks for it; null where there is none. */
async function findStockSoftnet(): Promise<StockSoftnet | null> {
  for (const folder of toolPath(process.env).split(':')) {
    const path = realFile(join(folder, PROGRAM));
    if (path === null) continue;
    const { mode, uid } = statSync(path);
    return {
      path,
      version: await versionOf(),
      isSuid: uid === 0 && (mode & SUID) !== 0,
      maySudo: await maySudo(path),
    };
  }
  return null;
}

function realFile(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    return null;
  }
}

async function versionOf(): Promise<ToolVersion | null> {
  const output = await runTool(PROGRAM, ['--version'], { timeoutMs: TOOL_LIMITS.queryMs });
  return output.exitCode === 0 ? parseVersion(output.stdout) : null;
}

/** Looks, and runs nothing as root. */
async function maySudo(path: string): Promise<boolean> {
  try {
    const { exitCode } = await runTool('sudo', ['-n', '-l', '--', path], { timeoutMs: TOOL_LIMITS.queryMs });
    return exitCode === 0;
  } catch {
    return false;
  }
}
