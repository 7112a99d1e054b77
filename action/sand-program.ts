/** Where `sand` comes from: an executable that is named, or a package that npm installs into a folder of the action's own. */
import { mkdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { ActionFailure } from './failure.ts';
import { LIMITS } from './limits.ts';
import { ask } from './process.ts';
import type { Environment } from './runner-files.ts';

export interface SandRequest {
  readonly spec: string;
  readonly workspace: string;
  /** Where it may be installed. */
  readonly folder: string;
  readonly environment: Environment;
}

const PACKAGE = /^(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*(@[\w.^~*-]+)?$/i;

/** Gives the words that start it. Raises `usage`, `tool-missing` and `tool-failed`. */
export async function createSandProgram(request: SandRequest): Promise<readonly string[]> {
  const { spec, workspace } = request;
  if (spec.endsWith('.tgz')) return install({ ...request, spec: resolve(workspace, spec) });
  if (!spec.includes('/') || spec.startsWith('@')) return install(request);
  const path = resolve(workspace, spec);
  if (!isExecutable(path))
    throw new ActionFailure(
      'tool-missing',
      `there is no program ${spec}`,
      'name an executable, or a package of npm',
    );
  return start(outside(path, workspace));
}

/** Fail closed: a guest writes the workspace, and would write the sand of the next step. */
function outside(path: string, workspace: string): string {
  const real = realpathSync.native(path);
  if (!real.startsWith(`${realpathSync.native(workspace)}/`)) return real;
  throw new ActionFailure(
    'usage',
    `${path} lies in the workspace, which guests can write`,
    'put sand elsewhere, or name a package of npm',
  );
}

async function install({ spec, folder, environment }: SandRequest): Promise<readonly string[]> {
  if (!isAbsolute(spec) && !PACKAGE.test(spec))
    throw new ActionFailure(
      'usage',
      `\`sand: ${spec}\` is no package`,
      'write NAME@VERSION, or the path of an executable',
    );
  // Of its own, so that no .npmrc of the workspace says where packages come from.
  const place = join(folder, 'package');
  mkdirSync(place);
  writeFileSync(join(place, 'package.json'), '{"private": true}\n');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = { argv: ['npm', 'install', ...flags, spec], cwd: place, environment };
  const { code, stderr } = await ask(npm, LIMITS.installMs);
  const path = join(place, 'node_modules/.bin/sand');
  if (code === 0 && isExecutable(path)) return start(realpathSync.native(path));
  throw new ActionFailure(
    'tool-failed',
    `npm did not install ${spec}: ${stderr.trim().slice(0, 1000)}`,
    'look at what npm says, or name an executable with `sand`',
  );
}

/** By the Node that runs the action, which is new enough, whatever PATH has. */
function start(path: string): readonly string[] {
  return /\.[cm]?js$/.test(path) ? [process.execPath, path] : [path];
}

function isExecutable(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
