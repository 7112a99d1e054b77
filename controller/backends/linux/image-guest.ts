/**
 * What a guest of an image sees and is: gathers what the image and the host have, and has the pure parts decide. The
 * image's own files are read as anybody's making.
 */
import { join } from 'node:path';
import { isWithin, realPath } from '../../guest/file-state.ts';
import { type ProtectedFile, planProtection } from '../../guest/protected-files.ts';
import { readProtectedFiles } from '../../guest/protected-reading.ts';
import { lookBelow, namesInImage, readImageText } from '../../images/image-files.ts';
import { resolveInImage } from '../../images/image-path.ts';
import { IMAGE_LIMITS } from '../../images/limits.ts';
import { LINK } from '../../links/namespace/topology.ts';
import type { GuestSpec, UnpackedImage } from '../backend.ts';
import { BUNDLES, JAVA_LISTS, JVM_FOLDERS, LIST_IN_JVM, MAX_JAVA_LISTS } from './authority-lists.ts';
import { planEnvironment } from './environment.ts';
import { readHostFiles } from './host-files.ts';
import { guestIdentity } from './identity.ts';
import { planImageMounts } from './image-mounts.ts';
import type { LauncherPlan } from './launcher.ts';
import type { GuestIdentity, Mount } from './mounts.ts';
import { secretMounts } from './secrets.ts';
import { planShares } from './shares.ts';
import { type AuthorityLists, planTrust } from './trust.ts';

export interface ImageGuestPlan {
  readonly mounts: readonly Mount[];
  readonly folders: readonly string[];
  readonly watched: readonly ProtectedFile[];
  readonly environment: Readonly<Record<string, string>>;
  readonly identity: GuestIdentity;
}

export function planImageGuest(
  spec: GuestSpec,
  image: UnpackedImage,
  launcher: LauncherPlan,
): ImageGuestPlan {
  const caller = guestIdentity(null);
  const { uid, gid, user, home } = image.user;
  const identity = { uid, gid, user, home };
  const sources = spec.mounts.map(({ source }) => source);
  const host = readHostFiles(caller.home, process.getuid?.() === 0, sources);
  const protection = planProtection(readProtectedFiles(spec.mounts, spec.policyFiles), spec.mounts);
  const shares = planShares(spec.shares, spec.cache, caller, process.env);
  const trust = planTrust(spec.authorities, () => readImageAuthorities(image.root));
  const read = (path: string) => readImageText(image.root, path, IMAGE_LIMITS.accountBytes);
  const { mounts, folders } = planImageMounts({
    host,
    image,
    look: lookBelow(image.root),
    passwd: read('/etc/passwd'),
    group: read('/etc/group'),
    launcher,
    readOnly: spec.readOnly ?? false,
    workspaces: spec.mounts,
    guards: protection.mounts,
    extras: [
      ...shares.mounts.map((mount) => atHome(mount, caller.home, home)),
      ...trust.mounts,
      ...secretMounts(spec.secrets ?? []),
    ],
    nameserver: LINK.gateway4,
    ...(spec.lookupSeconds === undefined ? {} : { lookupSeconds: spec.lookupSeconds }),
  });
  const isShown = (path: string) => spec.mounts.some(({ target }) => isWithin(path, target));
  const environment = planEnvironment({
    caller: process.env,
    identity,
    image: image.environment,
    named: { ...shares.environment, ...trust.environment, ...spec.environment },
    visible: (path) => realPath(path) !== null && isShown(path),
  });
  return { mounts, folders, watched: protection.watched, environment, identity };
}

/** What is the caller's own on the host lies in the home of the image's user. */
function atHome(mount: Mount, from: string, to: string): Mount {
  if (!('target' in mount) || !isWithin(mount.target, from)) return mount;
  return { ...mount, target: `${to}${mount.target.slice(from.length)}` };
}

/** The image's own lists, at their places in it. */
function readImageAuthorities(root: string): AuthorityLists {
  const look = lookBelow(root);
  const file = (path: string): readonly string[] => {
    const place = resolveInImage(path, look);
    return place?.entry?.kind === 'file' ? [place.path] : [];
  };
  const [bundle] = BUNDLES.flatMap(file);
  const text = bundle === undefined ? null : readImageText(root, bundle, IMAGE_LIMITS.authorityBytes);
  const jvms = JVM_FOLDERS.flatMap((folder) => namesInImage(root, folder).map((name) => join(folder, name)));
  const lists = [...JAVA_LISTS, ...jvms.flatMap((jvm) => LIST_IN_JVM.map((name) => join(jvm, name)))];
  const java = [...new Set(lists.flatMap(file))].slice(0, MAX_JAVA_LISTS);
  return { system: bundle === undefined || text === null ? null : { path: bundle, text }, java };
}
