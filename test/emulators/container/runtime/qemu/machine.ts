/** Decides what an emulated machine is: QEMU's command line, the folders that it is shown and how its guest is put together in it. Pure. */
import type { GuestParts } from '../namespaces/plan.ts';
import { planGuest } from '../namespaces/plan.ts';
import type { Kernel } from './kernel.ts';
import { EMULATOR } from './parts.ts';

/** In the guest's machine; see `initramfs.ts`. */
export const PLACES = { system: '/shares/system', files: '/shares/files', sockets: '/sockets' } as const;
const WORK_FOLDER = '/guest';

/** In the keeper's working directory. */
export const SOCKET_NAMES = {
  share: (tag: string) => `${tag}.share`,
  port: (at: number) => `${at}.port`,
} as const;

export interface Share {
  readonly tag: 'system' | 'files';
  /** What lies in it, by name; one without a name is all of it. */
  readonly folders: readonly {
    readonly name: string;
    readonly source: string;
    readonly isReadOnly: boolean;
  }[];
  /** virtiofsd's: what nobody changes is asked for once. */
  readonly cache: 'auto' | 'always';
}

export interface GuestFiles {
  readonly imageRoot: string;
  readonly layers: readonly string[];
  /** Those that are no sockets. */
  readonly binds: readonly { readonly source: string; readonly isReadOnly: boolean }[];
}

export function sharesOf({ imageRoot, layers, binds }: GuestFiles): readonly Share[] {
  const folders = [
    ...layers.map((source, at) => ({ name: layerName(at), source, isReadOnly: true })),
    ...binds.map(({ source, isReadOnly }, at) => ({ name: bindName(at), source, isReadOnly })),
  ];
  return [
    {
      tag: 'system',
      folders: [{ name: 'root', source: imageRoot, isReadOnly: true }],
      cache: 'always',
    },
    { tag: 'files', folders, cache: 'auto' },
  ];
}

function layerName(at: number): string {
  return `layer${at}`;
}

function bindName(at: number): string {
  return `mount${at}`;
}

/** Steps of entry.c on the host: what is read-only is so before the machine sees it, whatever its root does. */
export function planShare(share: Share, workFolder: string, virtiofsd: string): readonly string[] {
  return [
    ...['tied', 'unshare-files', 'fork', 'mount', 'tmpfs', 'tmpfs', workFolder, '', 'mode=755'],
    ...share.folders.flatMap(({ name, source, isReadOnly }) => [
      ...['bind', source, `${workFolder}/${name}`],
      ...(isReadOnly ? ['remount', `${workFolder}/${name}`, 'ro'] : []),
    ]),
    // Where it takes locks by the names of sockets, which all machines here have in common.
    ...['mount', 'tmpfs', 'tmpfs', '/var/run/virtiofsd', '', 'mode=700'],
    ...['env', 'PATH=/usr/bin:/bin', 'exec', virtiofsd, '-f', '--rlimit-nofile=0'],
    `--socket-path=${SOCKET_NAMES.share(share.tag)}`,
    ...[
      `source=${workFolder}`,
      `cache=${share.cache}`,
      'sandbox=chroot',
      'announce_submounts',
      'xattr',
    ].flatMap((option) => ['-o', option]),
  ];
}

const MEMORY_MIB = 1024;
/** What a kernel need not do on a processor that is emulated. */
const EMULATED = 'mitigations=off norandmaps init_on_alloc=0';

/** Without a network card. A port for processes, and one for each socket, of which `modes` are the guest's mode bits. */
export function planMachine(
  kernel: Kernel,
  initramfs: string,
  shares: readonly Share[],
  modes: readonly number[],
): readonly string[] {
  const ports = [null, ...modes];
  return [
    ...['tied', 'env', 'PATH=/usr/bin:/bin', 'exec', EMULATOR],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
    ...['-nic', 'none', '-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-smp', '1'],
    ...['-m', `${MEMORY_MIB}M`, '-numa', 'node,memdev=memory'],
    // virtiofsd reads and writes the machine's memory, so both map the same.
    ...['-object', `memory-backend-memfd,id=memory,size=${MEMORY_MIB}M,share=on`],
    ...shares.flatMap(({ tag }) => [
      ...['-chardev', `socket,id=${tag},path=${SOCKET_NAMES.share(tag)}`],
      ...['-device', `vhost-user-fs-pci,chardev=${tag},tag=${tag},queue-size=1024`],
    ]),
    ...['-device', 'virtio-serial-pci', '-device', 'virtio-rng-pci'],
    ...ports.flatMap((_, at) => [
      ...['-chardev', `socket,id=port${at},path=${SOCKET_NAMES.port(at)}`],
      ...['-device', `virtserialport,chardev=port${at},nr=${at + 1},name=port${at}`],
    ]),
    ...['-serial', 'file:console.log', '-kernel', kernel.image, '-initrd', initramfs, '-append'],
    `console=ttyS0 panic=-1 ${EMULATED} SOCKETS=${modes.map((mode) => mode.toString(8)).join(',')}`,
  ];
}

/** A guest's parts as its machine sees them. `socketNames` are the binds' sources that are sockets, in the order of their ports. */
export function planMachineGuest(
  parts: GuestParts,
  socketSources: readonly string[],
  isInteractive: boolean,
): readonly string[] {
  const files = parts.binds.filter(({ source }) => !socketSources.includes(source));
  const sourceOf = (bind: GuestParts['binds'][number]) => {
    const port = socketSources.indexOf(bind.source) + 1;
    return port > 0 ? `${PLACES.sockets}/${port}.sock` : `${PLACES.files}/${bindName(files.indexOf(bind))}`;
  };
  // The dot makes the kernel go into a share of its own, which it otherwise takes for the folder that it lies on.
  const seen: GuestParts = {
    ...parts,
    kernelLacks: parts.kernelLacks.filter((lack) => lack !== 'no-vsock'),
    hasNetworkOfItsOwn: false,
    workFolder: WORK_FOLDER,
    imageRoot: `${PLACES.system}/root/.`,
    layers: parts.layers.map((_, at) => `${PLACES.files}/${layerName(at)}/.`),
    // What the host enforces is said again, so that the guest's own tools see it.
    binds: parts.binds.map((bind) => ({ ...bind, source: sourceOf(bind) })),
  };
  return planGuest(seen, isInteractive);
}
