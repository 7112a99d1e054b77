/**
 * Named volumes of Apple's `container`: disks of its own, made on demand, each for one running guest at a time. Which are
 * sand's, their labels say.
 */
import { randomUUID } from 'node:crypto';
import { SandError } from '../../errors.ts';
import { runArguments } from '../../links/relay/relay-program.ts';
import type { KeptVolume, VolumeKeeper } from '../../volumes/keeping.ts';
import type { GuestVolume } from '../backend.ts';
import { LIST } from './argv.ts';
import { planVolumeCreate, planVolumeDelete, VOLUME_LIST } from './image-argv.ts';
import { unreadable } from './images.ts';
import { askRelay } from './in-guest.ts';
import { parseComplaint, parseContainers, parseVolumes, type VolumeFacts } from './parse.ts';
import { askContainer, failure, runContainer, TOOL_LIMITS } from './tool.ts';

/** Texts of a person's, so each is written without what a label cannot hold. */
const LABEL = 'dev.sand.volume';
const PROJECT = 'dev.sand.project';

/** Before a guest is created. Raises `volume-busy`, `tool-failed`. */
export async function prepareVolumes(volumes: readonly GuestVolume[]): Promise<void> {
  if (volumes.length === 0) return;
  await refuseBusy(volumes);
  const known = new Set((await listVolumes()).map(({ name }) => name));
  for (const { name, label, project } of volumes) {
    if (known.has(name)) continue;
    const args = planVolumeCreate(name, { [LABEL]: label, [PROJECT]: project });
    const output = await askContainer(args, TOOL_LIMITS.createMs);
    // Another run of this project may have been first.
    if (output.exitCode !== 0 && !(await listVolumes()).some((one) => one.name === name))
      throw failure(args, output);
  }
}

/** The tool's own refusal comes when the guest boots, and names a disk. */
async function refuseBusy(volumes: readonly GuestVolume[]): Promise<void> {
  const containers = parseContainers(await runContainer(LIST, TOOL_LIMITS.queryMs));
  if (containers === null) throw unreadable(LIST);
  for (const { name, label } of volumes) {
    const holder = containers.find((one) => one.state === 'running' && one.volumes.includes(name));
    if (holder !== undefined) throw busy(label, `the guest ${holder.id} has it`);
  }
}

/**
 * A new disk is root's, and not empty: what makes its file system leaves a folder for lost files, which programs that want
 * an empty one stumble over. By programs of the image, so behind the start probes, and before the command.
 */
export async function giveVolumes(
  container: string,
  volumes: readonly GuestVolume[],
  user: string,
): Promise<void> {
  if (volumes.length === 0) return;
  const targets = volumes.map(({ target }) => target);
  const inGuest = (command: readonly string[]) =>
    askRelay({ container, words: runArguments({ id: randomUUID(), user: '', workdir: '/', command }) });
  // With files in it, it stays; where it is gone, that is what was wanted.
  await inGuest(['rmdir', ...targets.map((target) => `${target}/lost+found`)]);
  if (/^(|0|root)(:.*)?$/.test(user)) return;
  const owned = await inGuest(['chown', user, ...targets]);
  if (owned.exitCode === 0) return;
  throw new SandError(
    'guest-failed',
    `the volumes could not be given to the user ${user} of the guest: ${parseComplaint(owned.stderr)}`,
    'use an image that has chown, or run the command as root: --user 0',
  );
}

export const CONTAINER_VOLUMES: VolumeKeeper = {
  async list() {
    const volumes = (await listVolumes()).map(described).filter((volume) => volume !== null);
    return volumes.sort((a, b) => a.project.localeCompare(b.project) || a.label.localeCompare(b.label));
  },
  async remove(name) {
    const args = planVolumeDelete(name);
    const output = await askContainer(args, TOOL_LIMITS.commandMs);
    if (output.exitCode === 0) return;
    const error = failure(args, output);
    throw /in use/i.test(error.message) ? busy(name, 'a container has it') : error;
  },
};

async function listVolumes(): Promise<readonly VolumeFacts[]> {
  const volumes = parseVolumes(await runContainer(VOLUME_LIST, TOOL_LIMITS.queryMs));
  if (volumes === null) throw unreadable(VOLUME_LIST);
  return volumes;
}

/** Null for one that sand did not make. */
function described({ name, date, labels }: VolumeFacts): KeptVolume | null {
  const [label, project] = [labels[LABEL], labels[PROJECT]];
  if (label === undefined || project === undefined) return null;
  return { name, date, label: readLabel(label), project: readLabel(project) };
}

function readLabel(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function busy(label: string, why: string): SandError {
  return new SandError(
    'volume-busy',
    `the volume ${label} is in use (${why}), and Apple\u2019s container gives it to one running guest at a time`,
    'wait for that guest, end it (sand ls, sand stop), or give this one a volume of another name',
  );
}
