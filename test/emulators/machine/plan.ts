/**
 * Decides what an emulated machine is: QEMU's command line, its card, and the folders that it is shown. Pure. What runs in it is decided
 * by the emulator whose guest it is.
 */
import type { Kernel } from './kernel.ts';
import { EMULATOR } from './parts.ts';

/** In the machine; see `initramfs.ts`. */
export const PLACES = { system: '/shares/system', files: '/shares/files', sockets: '/sockets' } as const;

/** In the working directory of whoever starts it. */
export const SOCKET_NAMES = {
  share: (tag: string) => `${tag}.share`,
  port: (at: number) => `${at}.port`,
} as const;

export interface ShownFolder {
  readonly name: string;
  /** Of files, one is shown as it is. */
  readonly source: string;
  readonly isReadOnly: boolean;
  /** Whose files on the host are whose in the machine; absent: everybody is who he is. Of folders alone. */
  readonly users?: {
    readonly hostUid: number;
    readonly uid: number;
    readonly hostGid: number;
    readonly gid: number;
  };
}

export interface Share {
  readonly tag: 'system' | 'files';
  readonly folders: readonly ShownFolder[];
  /** virtiofsd's: what nobody changes is asked for once. */
  readonly cache: 'auto' | 'always';
}

/** The root that the guest's own lies over, and everything else that it sees of the host. */
export function sharesOf(root: string, folders: readonly ShownFolder[]): readonly Share[] {
  return [
    { tag: 'system', folders: [{ name: 'root', source: root, isReadOnly: true }], cache: 'always' },
    { tag: 'files', folders, cache: 'auto' },
  ];
}

/** Steps of entry.c on the host: what is read-only is so before the machine sees it, whatever its root does. */
export function planShare(share: Share, workFolder: string, virtiofsd: string): readonly string[] {
  return [
    // Of the processes of its own namespace, which whose files are whose is told by.
    ...['tied', 'unshare-files', 'fork', 'mount', 'proc', 'proc', '/proc', '', ''],
    ...['mount', 'tmpfs', 'tmpfs', workFolder, '', 'mode=755'],
    ...share.folders.flatMap((folder) => planFolder(folder, `${workFolder}/${folder.name}`)),
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

function planFolder({ source, isReadOnly, users }: ShownFolder, place: string): readonly string[] {
  const ids = users === undefined ? [] : [users.hostUid, users.uid, users.hostGid, users.gid].map(String);
  return [
    ...[users === undefined ? 'bind' : 'share', source, place, ...ids],
    ...(isReadOnly ? ['remount', place, 'ro'] : []),
  ];
}

/** The other end of its cable is a datagram socket, a frame a datagram. */
export interface Card {
  /** The number by which QEMU inherits the socket. */
  readonly descriptor: number;
  readonly mac: string;
  /** As the machine's kernel calls it from its boot on. */
  readonly name: string;
}

const MEMORY_MIB = 1024;
/** What a kernel need not do on a processor that is emulated. */
const EMULATED = 'mitigations=off norandmaps init_on_alloc=0';

/** A port for processes, and one for each socket, of which `modes` are the machine's mode bits. Without a card there is no network. */
export function planMachine(
  kernel: Kernel,
  initramfs: string,
  shares: readonly Share[],
  modes: readonly number[],
  card: Card | null,
): readonly string[] {
  const ports = [null, ...modes];
  const sockets = modes.map((mode) => mode.toString(8)).join(',');
  return [
    ...['tied', 'env', 'PATH=/usr/bin:/bin', 'exec', EMULATOR],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
    ...planCard(card),
    ...['-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-smp', '1'],
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
    // What the kernel does not know itself, its first process has as variables.
    `console=ttyS0 panic=-1 ${EMULATED} SOCKETS=${sockets} CARD=${card?.name ?? ''}`,
  ];
}

function planCard(card: Card | null): readonly string[] {
  if (card === null) return ['-nic', 'none'];
  return [
    ...['-netdev', `dgram,id=cable,local.type=fd,local.str=${card.descriptor}`],
    ...['-device', `virtio-net-pci,netdev=cable,mac=${card.mac},romfile=`],
  ];
}
