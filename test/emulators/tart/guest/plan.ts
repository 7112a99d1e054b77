/** Decides the steps by which entry.c boots an emulated guest and runs commands in it, on whichever kernel; what of the host it needs is found by the caller. */
import { capabilityMask } from '../../container/capabilities.ts';
import {
  MASKED,
  planRoot,
  planSystem,
  type RootParts,
  SEALED,
} from '../../container/runtime/namespaces/plan.ts';
import { DEFAULT_TAG, type Share } from '../shares.ts';
import type { GuestOs } from '../vms.ts';
import type { AgentRequest } from './frames.ts';
import { ACCOUNTS, accountFiles, CARDS, type GuestFile, guestFiles, PLACE } from './scripts.ts';

export interface GuestParts extends RootParts {
  readonly os: GuestOs;
  readonly hostname: string;
  readonly shares: readonly SeenShare[];
  readonly kernel: KernelOf;
  readonly capabilities: string;
  readonly busybox: string;
  readonly sudo: string;
  /** Of the image. */
  readonly passwd: string;
  readonly group: string;
  readonly hasZsh: boolean;
  /** Of an empty disk nothing asks for an address. */
  readonly boots: boolean;
}

/** Whose kernel a guest runs on: the emulating machine's, or one of its own, where nobody else's is to be kept from it. */
export type KernelOf = 'shared' | 'own';

export interface SeenShare extends Share {
  /** Where the steps find it. */
  readonly source: string;
  /** Whose files it has on the host, which are admin's in the guest; null where that is settled. */
  readonly users: { readonly hostUid: number; readonly hostGid: number } | null;
}

/** In hexadecimal. */
export const ALL_CAPABILITIES = capabilityMask(['ALL'], []).toString(16);

/** A machine of its own has them all; these would change the one that emulates it. */
const WITHHELD = [
  ...['SYS_MODULE', 'SYS_RAWIO', 'SYS_BOOT', 'SYS_TIME', 'MKNOD', 'SYSLOG', 'BPF', 'PERFMON'],
  ...['MAC_ADMIN', 'MAC_OVERRIDE', 'AUDIT_CONTROL', 'AUDIT_READ', 'WAKE_ALARM', 'BLOCK_SUSPEND'],
];

/** In hexadecimal; `held` is what whoever boots the guest has. */
export function guestCapabilities(held: bigint): string {
  const withheld = WITHHELD.map((name) => `CAP_${name}`);
  return (capabilityMask(['ALL'], withheld) & held).toString(16);
}

const PATHS: Readonly<Record<GuestOs, string>> = {
  darwin: '/bin:/usr/bin:/usr/sbin:/usr/local/bin:/opt/homebrew/bin',
  linux: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

export function planBoot(parts: GuestParts): readonly string[] {
  const { os, workFolder, kernel } = parts;
  const root = `${workFolder}/root`;
  const { uid, gid, home } = ACCOUNTS[os];
  const files = [...accountFiles(os, parts.passwd, parts.group), ...guestFiles(os, parts.hasZsh)];
  return [
    ...['tied', kernel === 'own' ? 'unshare-guest' : 'unshare', 'fork', 'lo', 'hostname', parts.hostname],
    ...planRoot(parts, root),
    ...['pivot', root],
    ...planSystem(undefined),
    ...['file', '/etc/hosts', '127.0.0.1 localhost\n', 'file', '/etc/resolv.conf', ''],
    ...(os === 'darwin' ? [...ownSbin(), 'unlink', '/var/run', 'folder', '/var/run'] : []),
    ...files.flatMap(planFile),
    ...['folder', home],
    ...['bind', `/.old${parts.busybox}`, `${PLACE}/busybox`],
    ...['bind', `/.old${parts.sudo}`, `${PLACE}/sudo-program`],
    ...parts.shares.flatMap((share) => planShare(parts, share)),
    ...MASKED.flatMap((path) => ['mask', path]),
    ...SEALED.flatMap((path) => ['seal', path]),
    ...['unpivot', ...lacks(kernel), 'chdir', '/', 'credentials', parts.capabilities, '0', '0', ''],
    ...['env', `PATH=${PATHS.linux}`],
    ...['exec', `${PLACE}/init`, CARDS[os], `${uid}:${gid}`, home, parts.boots ? 'yes' : 'no'],
  ];
}

/** AF_VSOCK is a family without namespaces: on a kernel that is shared it would reach whatever this machine runs on. */
function lacks(kernel: KernelOf): readonly string[] {
  return kernel === 'shared' ? ['no-vsock'] : [];
}

/** Where the image has a link to `/usr/sbin`, as Linux does, macOS has a folder. */
function ownSbin(): readonly string[] {
  return [
    'unlink',
    '/sbin',
    'folder',
    '/sbin',
    ...['shutdown', 'halt', 'reboot', 'poweroff'].flatMap((name) => ['unlink', `/usr/sbin/${name}`]),
  ];
}

function planFile({ path, text, mode }: GuestFile): readonly string[] {
  return ['file', path, text, 'mode', path, mode];
}

/** Where shares appear: macOS mounts those of its own tag by itself; the others wait to be asked for by their tag. */
function planShare(
  { os }: GuestParts,
  { name, source, users, isReadOnly, tag }: SeenShare,
): readonly string[] {
  const place =
    os === 'darwin' && tag === DEFAULT_TAG ? '/Volumes/My Shared Files' : `${PLACE}/shares/${tag}`;
  const target = name === null ? place : `${place}/${name}`;
  const { uid, gid } = ACCOUNTS[os];
  const ids = users === null ? [] : [users.hostUid, uid, users.hostGid, gid].map(String);
  return [
    ...[users === null ? 'bind' : 'share', `/.old${source}`, target, ...ids],
    ...(isReadOnly ? ['remount', target, 'ro'] : []),
  ];
}

/** As the agent's user, with the environment that launchd or systemd gives it. */
export function planExec(
  init: number,
  os: GuestOs,
  kernel: KernelOf,
  capabilities: string,
  { command, isInteractive, isTerminal }: AgentRequest & { kind: 'exec' },
): readonly string[] {
  const { uid, gid, home } = ACCOUNTS[os];
  const isMac = os === 'darwin';
  const environment = [
    `PATH=${PATHS[os]}`,
    ...[`HOME=${home}`, 'USER=admin', 'LOGNAME=admin', `SHELL=${isMac ? '/bin/zsh' : '/bin/bash'}`],
    ...(isTerminal ? ['TERM=xterm-256color'] : []),
  ];
  return [
    ...['tied', ...(isInteractive ? ['stdin'] : []), ...(isTerminal ? ['pty'] : [])],
    ...['join', String(init), 'fork', ...lacks(kernel), 'chdir', isMac ? home : '/'],
    ...['credentials', capabilities, String(uid), String(gid), isMac ? `${gid},80` : String(gid)],
    ...environment.flatMap((entry) => ['env', entry]),
    ...['exec', ...command],
  ];
}

/** What a file of the guest's kernel says. */
export function planLook(init: number, path: string): readonly string[] {
  return ['tied', 'join', String(init), 'fork', 'exec', '/bin/cat', path];
}
