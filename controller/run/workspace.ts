/**
 * Which folders of the host a guest gets, and where: the working directory, or what `--mount` names. Every
 * path is resolved once, here; what would give away the caller's home or sand's own state is refused.
 */
import { realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import type { MountSpec } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import { identityOf } from '../guest/file-state.ts';
import { hostPlaces } from './host-places.ts';
import type { MountFlag } from './options.ts';
import { refuseReserved } from './reserved-targets.ts';
import { isAtOrBelow, spelled } from './spelling.ts';

export interface WorkspaceRequest {
  readonly mounts: readonly MountFlag[];
  readonly workdir: string | null;
  readonly cwd: string;
  readonly home: string;
  /** Sand's own folders: state (audit logs) and configuration (approvals). */
  readonly own: readonly string[];
}

export interface WorkspacePlan {
  readonly mounts: readonly MountSpec[];
  readonly workdir: string;
}

/** Raises `workspace-refused` where the folder that sand was started in has been removed. */
export function workingFolder(): string {
  try {
    return process.cwd();
  } catch {
    throw refused('the working directory does not exist any more', 'change to a folder that exists');
  }
}

export function planWorkspace(
  request: WorkspaceRequest,
  platform: NodeJS.Platform = process.platform,
): WorkspacePlan {
  const flags =
    request.mounts.length > 0 ? request.mounts : [{ source: request.cwd, target: null, writable: true }];
  const mounts = flags
    .map((flag) => planMount(flag, request, platform))
    .sort((a, b) => a.target.length - b.target.length);
  const twice = mounts.find(({ target }, at) => mounts.findIndex((other) => other.target === target) < at);
  if (twice !== undefined)
    throw refused(`two mounts at ${twice.target}`, 'give each mount a place of its own');
  return { mounts, workdir: planWorkdir(request, mounts) };
}

/** The same, with nothing of the host that the guest can write. */
export function readOnly({ mounts, workdir }: WorkspacePlan): WorkspacePlan {
  return { mounts: mounts.map((mount) => ({ ...mount, writable: false })), workdir };
}

function planMount(flag: MountFlag, request: WorkspaceRequest, platform: NodeJS.Platform): MountSpec {
  const named = resolve(request.cwd, flag.source);
  const source = realOrRefuse(named);
  refuseLinkOut(named, source, request.cwd, platform);
  refuseSource(source, flag, request, platform);
  const target = flag.target === null ? source : resolve('/', flag.target);
  refuseReserved(target, request.home);
  return { source, target, writable: flag.writable };
}

/** A link inside the project may be a guest's work of an earlier run: what it leads to is not what was named. */
function refuseLinkOut(named: string, source: string, cwd: string, platform: NodeJS.Platform): void {
  const here = realOr(cwd);
  const isBelow = isAtOrBelow(spelled(named, platform), spelled(resolve(cwd), platform));
  if (!isBelow || isAtOrBelow(source, here)) return;
  throw refused(
    `${named} is a link that leads out of ${here}, to ${source}`,
    `if that is what you mean, name the place itself: --mount ${source}`,
  );
}

function realOrRefuse(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    throw refused(`${path} does not exist`, 'name a file or folder that exists');
  }
}

function refuseSource(
  source: string,
  flag: MountFlag,
  { home, own }: WorkspaceRequest,
  platform: NodeJS.Platform,
): void {
  const places = hostPlaces(platform);
  const spell = (path: string) => spelled(path, platform);
  const [at, realHome] = [spell(source), realOr(home)];
  const holds = (folder: string) =>
    isAtOrBelow(spell(folder), at) || isThereIn(identitiesAbove(folder), source);
  if (holds(realHome) || places.crowded.some((path) => spell(path) === at)) {
    throw refused(
      `${source} holds more than a project, so a guest does not get it`,
      'change to the project\u2019s own folder, or name one with --mount DIR',
    );
  }
  const above = identitiesAbove(source);
  const secret = places.credentials
    .map((name) => `${realHome}/${name}`)
    .find(
      (path) =>
        isAtOrBelow(at, spell(path)) || isThereIn(above, path) || (identityOf(path) !== null && holds(path)),
    );
  if (secret !== undefined) {
    throw refused(
      `${source} is where credentials are kept`,
      'copy what the guest needs into the project, or use --share',
    );
  }
  const program = places.programs.find((path) => flag.writable && isAtOrBelow(at, spell(path)));
  if (program !== undefined) {
    throw refused(
      `${source} is where this host keeps programs that it runs`,
      'mount it read-only: --mount DIR:/place:ro',
    );
  }
  const state = own
    .flatMap((folder) => [folder, realOr(folder)])
    .find((folder) => holds(folder) || isAtOrBelow(at, spell(folder)) || isThereIn(above, folder));
  if (state !== undefined) {
    throw refused(
      `${source} holds ${state}, where sand keeps its audit logs and approvals`,
      'use a project folder elsewhere, or set XDG_STATE_HOME and XDG_CONFIG_HOME to folders outside it',
    );
  }
  const stat = statSync(source);
  if (!stat.isDirectory() && !stat.isFile())
    throw refused(`${source} is no file or folder`, 'name a file or folder');
}

/** Of the folder and all above it: the same place by whatever other way is the same place. */
function identitiesAbove(source: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (let at = source; ; at = dirname(at)) {
    const identity = identityOf(at);
    if (identity !== null) found.add(identity);
    if (dirname(at) === at) return found;
  }
}

function isThereIn(identities: ReadonlySet<string>, path: string): boolean {
  const identity = identityOf(path);
  return identity !== null && identities.has(identity);
}

function planWorkdir(request: WorkspaceRequest, mounts: readonly MountSpec[]): string {
  if (request.workdir !== null) {
    if (!isAbsolute(request.workdir))
      throw refused(
        `--workdir ${request.workdir} is not absolute`,
        'write a path as the guest sees it, for example /project',
      );
    return resolve('/', request.workdir);
  }
  const cwd = realOr(request.cwd);
  const holding = mounts.find(({ source }) => cwd === source || cwd.startsWith(`${source}/`));
  if (holding !== undefined) return `${holding.target}${cwd.slice(holding.source.length)}`;
  return mounts.find(({ source }) => statSync(source).isDirectory())?.target ?? '/tmp';
}

function realOr(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}

function refused(message: string, hint: string): SandError {
  return new SandError('workspace-refused', message, hint);
}
