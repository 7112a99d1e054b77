/**
 * The file system of a guest of an image as an ordered list of mounts: the image's root, which the guest may
 * write for itself, and over it what is sand's own, the workspaces and what starts its commands. Every place is
 * resolved in the image first, for the image's links are anybody's making. Pure.
 */
import { isWithin } from '../../guest/file-state.ts';
import { invalid } from '../../images/config.ts';
import { type ImagePlace, type LookInImage, resolveInImage } from '../../images/image-path.ts';
import type { UnpackedImage } from '../backend.ts';
import { type LauncherPlan, RESERVED } from './launcher.ts';
import {
  GUEST_HOSTNAME,
  type HostFiles,
  type Mount,
  maskSockets,
  procMounts,
  resolverText,
  type Workspace,
} from './mounts.ts';
import { overlayRoot } from './overlay.ts';

export interface ImageFilesRequest {
  /** Of the host only its procfs and its sockets show. */
  readonly host: Pick<HostFiles, 'procWritable' | 'procHidden' | 'sockets'>;
  readonly image: Pick<UnpackedImage, 'scratch' | 'user'>;
  readonly look: LookInImage;
  /** Text of the image's own; null where it has none. */
  readonly passwd: string | null;
  readonly group: string | null;
  readonly launcher: Pick<LauncherPlan, 'mounts'>;
  readonly readOnly: boolean;
  readonly workspaces: readonly Workspace[];
  readonly guards: readonly Mount[];
  /** Package caches, shares and authorities. */
  readonly extras: readonly Mount[];
  readonly nameserver: string;
  readonly lookupSeconds?: number;
}

/** A guest that could replace one of these would choose what a later command is started by. */
const NO_LINKS: readonly string[] = ['/etc', '/run', '/proc', '/dev'];

export interface ImageMounts {
  /** Later mounts cover earlier ones. */
  readonly mounts: readonly Mount[];
  /**
   * Folders of the image in which places for mounts may have to be made. They are made anew in the guest's own layer:
   * one that belongs to another user of the host could not be written there.
   */
  readonly folders: readonly string[];
}

/** Raises `image-invalid` where the image cannot be mounted safely. */
export function planImageMounts(request: ImageFilesRequest): ImageMounts {
  const { image, look, launcher, host } = request;
  for (const path of NO_LINKS) requireFolder(path, look);
  const root = overlayRoot(image.scratch);
  const own: readonly Mount[] = [
    // A mount of its own cannot be renamed away, and with it the file below that the loader obeys.
    { kind: 'bind', source: `${root}/etc`, target: '/etc', writable: true },
    ...procMounts(host),
    { kind: 'dev' },
    ...['/tmp', '/dev/shm'].map((target): Mount => ({ kind: 'tmpfs', target, mode: '1777' })),
    { kind: 'tmpfs', target: '/run', mode: '0755' },
    { kind: 'directory', target: `/run/user/${image.user.uid}`, mode: '0700' },
    { kind: 'tmpfs', target: RESERVED, mode: '0755' },
    { kind: 'directory', target: image.user.home, mode: '0700' },
    ...launcher.mounts,
    ...request.extras,
    ...request.workspaces.map((workspace): Mount => ({ kind: 'bind', ...workspace })),
    ...request.guards,
    ...maskSockets({ host: { ...host, system: [], toolchains: [] }, workspaces: request.workspaces }),
    ...identityFiles(request),
    { kind: 'seal', target: RESERVED },
  ];
  const placed = placeMounts(own, look);
  // Last, since what is mounted over it wants a place made there.
  const sealed = request.readOnly ? ['/etc', '/'].map((target): Mount => ({ kind: 'seal', target })) : [];
  const mounts: readonly Mount[] = [
    { kind: 'bind', source: root, target: '/', writable: true },
    ...placed,
    ...sealed,
  ];
  return { mounts, folders: foldersBefore(placed, look) };
}

function requireFolder(path: string, look: LookInImage): void {
  const entry = look(path);
  if (entry !== null && entry.kind !== 'folder')
    throw invalid(`its ${path} is a ${entry.kind}, and must be a folder`);
}

/** Where each of them really is once those before it are there: what a mount covers, the image has no say in. */
function placeMounts(mounts: readonly Mount[], look: LookInImage): readonly Mount[] {
  const covered: string[] = [];
  const seen: LookInImage = (path) => {
    if (covered.includes(path)) return { kind: 'folder' };
    return covered.some((cover) => isWithin(path, cover)) ? null : look(path);
  };
  return mounts.flatMap((mount): readonly Mount[] => {
    if (mount.kind === 'proc' || mount.kind === 'dev') {
      covered.push(`/${mount.kind}`);
      return [mount];
    }
    const place = resolveInImage(mount.target, seen);
    if (place === null) throw invalid(`its ${mount.target} leads nowhere`);
    // What is there already is left as it is.
    if (mount.kind === 'directory' && place.entry !== null) return [];
    requireFitting(mount, place);
    // The image's own /etc shows through, so that its links count.
    if ((mount.kind === 'bind' || mount.kind === 'tmpfs') && place.path !== '/etc') covered.push(place.path);
    return [{ ...mount, target: place.path }];
  });
}

/** Every folder of the image above a mount's place; the places have no links. */
function foldersBefore(mounts: readonly Mount[], look: LookInImage): readonly string[] {
  const folders = new Set<string>();
  for (const mount of mounts) {
    const parts = 'target' in mount ? mount.target.split('/').slice(1) : [];
    for (let depth = 1; depth < parts.length; depth += 1) {
      const folder = `/${parts.slice(0, depth).join('/')}`;
      if (look(folder)?.kind !== 'folder') break;
      folders.add(folder);
    }
  }
  return [...folders].sort();
}

function requireFitting(mount: Mount, { entry, path }: ImagePlace): void {
  const wantsFolder = mount.kind === 'tmpfs' || mount.kind === 'directory';
  if (wantsFolder && entry !== null && entry.kind !== 'folder') throw invalid(`its ${path} is no folder`);
  const wantsFile = mount.kind === 'data' || mount.kind === 'file';
  if (wantsFile && entry?.kind === 'folder') throw invalid(`its ${path} is a folder`);
}

/** Last, so that no other mount covers what names the guest's resolver and its user. */
function identityFiles(request: ImageFilesRequest): readonly Mount[] {
  const { image, look, passwd, group } = request;
  const { uid, gid, user, home, listed } = image.user;
  const hasOrder = resolveInImage('/etc/nsswitch.conf', look)?.entry?.kind === 'file';
  const data = (target: string, content: string): Mount => ({ kind: 'data', target, content });
  const lines = (text: string | null) =>
    text === null || text === '' || text.endsWith('\n') ? (text ?? '') : `${text}\n`;
  const knowsGroup = lines(group)
    .split('\n')
    .some((line) => line.split(':')[2] === String(gid));
  return [
    // Read by the loader that starts commands, before the command is confined.
    data('/etc/ld.so.preload', ''),
    data('/etc/resolv.conf', resolverText(request.nameserver, request.lookupSeconds)),
    data('/etc/hosts', `127.0.0.1 localhost ${GUEST_HOSTNAME}\n::1 localhost ip6-localhost ip6-loopback\n`),
    // A C library that asks nsswitch asks these; one of musl or Go has no such file, and needs none.
    ...(hasOrder
      ? [
          data(
            '/etc/nsswitch.conf',
            'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n',
          ),
        ]
      : []),
    // The guest's own to change, as an image expects of files in /etc.
    ...(listed
      ? []
      : [own('/etc/passwd', `${lines(passwd)}${user}:x:${uid}:${gid}:guest of sand:${home}:/bin/sh\n`)]),
    ...(knowsGroup ? [] : [own('/etc/group', `${lines(group)}${user}:x:${gid}:\n`)]),
  ];
}

function own(target: string, content: string): Mount {
  return { kind: 'file', target, content };
}
