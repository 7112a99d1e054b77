/**
 * `--volume NAME:PATH` and `volumes:`: text → what is kept under which name, and where the guest sees it. Names are a
 * project's own, so that projects do not share by accident. Pure.
 */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { GuestVolume, MountSpec } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import { refuseReserved } from '../run/reserved-targets.ts';

export interface VolumeFlag {
  readonly name: string;
  /** As written. */
  readonly target: string;
  /** Folder of the host that a relative target is below; null: the working directory. */
  readonly folder: string | null;
}

/** The whole name has a prefix and a project before it, and the tools have bounds of their own. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;
const PROJECT_DIGITS = 16;

/** `word` is what stands before such a text where it is written: `--volume `. Raises `usage`. */
export function parseVolume(text: string, word: string): VolumeFlag {
  const colon = text.indexOf(':');
  const [name, target] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)];
  const example = `write for example ${word}node_modules:./node_modules`;
  if (!NAME.test(name))
    throw usage(
      `${word}${text} does not read as NAME:PATH`,
      /^[./~]/.test(text) ? `${example}; a folder of this host is given with --mount` : example,
    );
  if (target === '' || /[:\u0000-\u001f\u007f]/.test(target) || target.startsWith('~'))
    throw usage(`${word}${text}: ${JSON.stringify(target)} is no place in the guest`, example);
  return { name, target, folder: null };
}

export function parseVolumeFlag(text: string): VolumeFlag {
  return parseVolume(text, '--volume ');
}

export interface VolumeContext {
  /** Real path of the folder whose volumes they are: that of its `sand.yaml`, else the working directory. */
  readonly project: string;
  /** Real path of the working directory. */
  readonly cwd: string;
  readonly mounts: readonly MountSpec[];
  readonly home: string;
}

/** Raises `workspace-refused` for a place that cannot be had. A relative one is where the mounts show that path of the host. */
export function planVolumes(flags: readonly VolumeFlag[], context: VolumeContext): readonly GuestVolume[] {
  const { project, mounts } = context;
  const volumes = flags.map((flag) => ({
    name: volumeName(project, flag.name),
    target: targetOf(flag, context),
    label: flag.name,
    project,
  }));
  for (const [at, { target, name }] of volumes.entries()) {
    const others = [...mounts, ...volumes.slice(0, at)];
    if (others.some((other) => other.target === target))
      throw refused(`two things are to stand at ${target}`, 'give each mount and each volume its own place');
    if (volumes.findIndex((other) => other.name === name) < at)
      throw refused(`the volume ${flags[at]?.name} is named twice`, 'name it once');
  }
  return volumes.toSorted((a, b) => a.target.length - b.target.length);
}

export function volumeName(project: string, name: string): string {
  return `sand-${createHash('sha256').update(project).digest('hex').slice(0, PROJECT_DIGITS)}-${name}`;
}

function targetOf({ name, target, folder }: VolumeFlag, { cwd, mounts, home }: VolumeContext): string {
  if (target.startsWith('/')) return refuseReserved(resolve('/', target), home);
  const onHost = resolve(folder ?? cwd, target);
  const holding = mounts.findLast(
    ({ source }) => onHost === source || onHost.startsWith(source === '/' ? '/' : `${source}/`),
  );
  if (holding !== undefined)
    return refuseReserved(resolve('/', `${holding.target}${onHost.slice(holding.source.length)}`), home);
  throw refused(
    `the volume ${name} is to stand at ${onHost}, which no mount shows the guest`,
    `write the place as the guest sees it: ${name}:/work/${name}`,
  );
}

function usage(message: string, hint: string): SandError {
  return new SandError('usage', message, hint);
}

function refused(message: string, hint: string): SandError {
  return new SandError('workspace-refused', message, hint);
}
