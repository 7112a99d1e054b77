/** Finds the host's own programs that start commands in a guest of an image, and asks `ldd` what they need. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../../errors.ts';
import { realPath } from '../../guest/file-state.ts';
import { runTool } from '../../process/runner.ts';
import { toolPath } from '../../process/tool-path.ts';
import { LAUNCHER_PROGRAMS, type LauncherPlan, type LauncherProgram, planLauncher } from './launcher.ts';

/** `ldd` starts each program's loader once: some milliseconds. */
const LDD_MS = 10_000;

export async function readLauncher(): Promise<LauncherPlan> {
  const folders = toolPath(process.env).split(':');
  const linked = LAUNCHER_PROGRAMS.map(async (program) => {
    const path = programIn(folders, program);
    const { stdout } = await runTool('ldd', [path], { timeoutMs: LDD_MS });
    return { program, path, linked: stdout };
  });
  return planLauncher(await Promise.all(linked));
}

function programIn(folders: readonly string[], program: LauncherProgram): string {
  for (const folder of folders) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return realPath(path) ?? path;
    } catch {
      // The next folder, then.
    }
  }
  throw new SandError(
    'tool-missing',
    `${program} is not installed`,
    'run `sand doctor`: it names what is missing and the command that installs it',
    { details: { tool: program } },
  );
}
