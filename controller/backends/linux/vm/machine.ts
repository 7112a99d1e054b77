/**
 * The machine of a VM guest as text: how QEMU and virtiofsd are started inside the guest's own sandbox, and how both are
 * held together. Pure; `start.ts` runs it. What the machine boots says `initramfs.ts`.
 */

import type { Mount } from '../mounts.ts';
import type { Architecture } from '../seccomp.ts';
import { FILES_TAG, SYSTEM_FOLDER, SYSTEM_TAG } from './initramfs.ts';
import { CONSOLE, ENDED_FOLDER, MACHINE_FOLDER, NETWORK, SANDBOX } from './places.ts';
import { quoteWord, quoteWords } from './shell-words.ts';

export type Acceleration = 'kvm' | 'tcg';

export interface MachineSpec {
  readonly architecture: Architecture;
  readonly acceleration: Acceleration;
  readonly processors: number;
  readonly memoryMiB: number;
  /** In the sandbox. */
  readonly virtiofsd: string;
  /** Whether the system's programs are a share of their own. */
  readonly sharesSystem: boolean;
  /** Of the machine's loopback, shown at the same ports of the sandbox's: there the way in of the link ends. */
  readonly publishedPorts: readonly number[];
}

/** In the sandbox, less the guest's files; each is there before anything runs. */
export interface MachineFiles {
  /** On the host. */
  readonly kernel: string;
  readonly initramfs: Buffer;
  readonly clientKey: string;
  readonly serverPublicLine: string;
}

/**
 * What virtiofsd of QEMU 7 needs to make the sandbox's root its own and to let go of every right afterwards, which it
 * does. They count in the sandbox's user namespace, where they open nothing.
 */
export const MACHINE_CAPABILITIES: readonly string[] = ['CAP_SYS_CHROOT', 'CAP_SETPCAP'];

/** The same as /proc/self/status writes them: bits 8 and 18 of linux/capability.h. */
export const MACHINE_CAPABILITY_MASK = '0000000000040100';

/** Those that virtiofsd keeps unless told otherwise: it would switch users, and in the sandbox there is one. */
const GIVEN_UP = 'chown dac_override dac_read_search fowner fsetid setgid setuid mknod setfcap'.split(' ');

interface ArchitectureFacts {
  readonly program: string;
  /** Never `microvm` on x86: it hangs at boot in two of ten starts. */
  readonly machine: string;
  readonly console: string;
}

const FACTS: Readonly<Record<Architecture, ArchitectureFacts>> = {
  x64: { program: 'qemu-system-x86_64', machine: 'q35', console: 'ttyS0' },
  arm64: { program: 'qemu-system-aarch64', machine: 'virt', console: 'ttyAMA0' },
};

/** In the host's PATH and in the sandbox's. */
export function emulatorName(architecture: Architecture): string {
  return FACTS[architecture].program;
}

interface Share {
  readonly tag: string;
  readonly source: string;
  readonly socket: string;
  /** virtiofsd's `cache`: `auto` asks again after a second whether a file is still what it was. */
  readonly cache: 'auto' | 'always';
}

function sharesOf({ sharesSystem }: MachineSpec): readonly Share[] {
  const files: Share = { tag: FILES_TAG, source: '/', socket: SANDBOX.files, cache: 'auto' };
  const system: Share = { tag: SYSTEM_TAG, source: SYSTEM_FOLDER, socket: SANDBOX.system, cache: 'always' };
  return sharesSystem ? [files, system] : [files];
}

/**
 * What a kernel need not do on a processor that is emulated: that one has no side channels of its own to close, and what was
 * translated is found again only where programs lie at the same addresses. A third of what starting a program costs.
 */
const EMULATED: Readonly<Record<Acceleration, readonly string[]>> = {
  kvm: [],
  tcg: ['mitigations=off', 'norandmaps', 'init_on_alloc=0'],
};

export function planEmulator(spec: MachineSpec): readonly string[] {
  const { program, machine, console } = FACTS[spec.architecture];
  const forward = `tcp:127.0.0.1:${NETWORK.sshPort}-${NETWORK.machine4}:${NETWORK.sshPort}`;
  const network = {
    net: NETWORK.prefix4,
    host: NETWORK.host4,
    dns: NETWORK.resolver4,
    dhcpstart: NETWORK.machine4,
    'ipv6-net': NETWORK.prefix6,
    'ipv6-host': NETWORK.host6,
    'ipv6-dns': NETWORK.resolver6,
    hostfwd: forward,
  };
  return [
    program,
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
    ...['-machine', machine, ...accelerate(spec.acceleration), '-smp', String(spec.processors)],
    ...['-m', `${spec.memoryMiB}M`, '-numa', 'node,memdev=memory'],
    // virtiofsd reads and writes the machine's memory, so both map the same.
    ...['-object', `memory-backend-memfd,id=memory,size=${spec.memoryMiB}M,share=on`],
    ...sharesOf(spec).flatMap(({ tag, socket }) => [
      ...['-chardev', `socket,id=${tag},path=${socket}`],
      ...['-device', `vhost-user-fs-pci,chardev=${tag},tag=${tag},queue-size=1024`],
    ]),
    ...[
      '-netdev',
      `user,id=network,${Object.entries(network)
        .map((pair) => pair.join('='))
        .join(',')}`,
    ],
    ...['-device', 'virtio-net-pci,netdev=network,romfile=', '-device', 'virtio-rng-pci'],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-kernel', SANDBOX.kernel, '-initrd', SANDBOX.initramfs],
    ...['-append', ['quiet panic=-1', `console=${console}`, ...EMULATED[spec.acceleration]].join(' ')],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  ];
}

/** On KVM, outside any sandbox, with nothing of a guest's: no network, no files but these two. */
export function planTrialBoot(
  architecture: Architecture,
  kernel: string,
  initramfs: string,
): readonly string[] {
  const { program, machine, console } = FACTS[architecture];
  return [
    program,
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
    ...['-machine', machine, ...accelerate('kvm'), '-m', '256M', '-serial', 'stdio', '-nic', 'none'],
    ...['-kernel', kernel, '-initrd', initramfs, '-append', `console=${console} quiet panic=-1`],
  ];
}

function accelerate(acceleration: Acceleration): readonly string[] {
  // A host that offers this register without letting it be written ends QEMU.
  if (acceleration === 'kvm') return ['-accel', 'kvm', '-cpu', 'host,-arch-capabilities'];
  return ['-accel', 'tcg,thread=multi', '-cpu', 'max'];
}

/**
 * `announce_submounts` gives each mount of the sandbox a device number of its own in the machine, as it has outside; and
 * each file that the machine knows is an open file here.
 */
function planFileServer(virtiofsd: string, share: Share): readonly string[] {
  return [
    virtiofsd,
    ...[`--socket-path=${share.socket}`, '--rlimit-nofile=0', '-f'],
    ...[
      '-o',
      `source=${share.source}`,
      '-o',
      `cache=${share.cache}`,
      '-o',
      'sandbox=chroot',
      '-o',
      'announce_submounts',
      '-o',
      'log_level=warn',
    ],
    ...['-o', `modcaps=${GIVEN_UP.map((name) => `-${name}`).join(':')}`],
  ];
}

/** How long virtiofsd may take to be there, and then the SSH client, in turns of `TURN_SECONDS`. */
const TURNS = 600;
const TURN_SECONDS = '0.05';

/** Prints what the machine's console says, with lines of its own, and ends when QEMU or virtiofsd does. */
export const HOLDER_LINES = { connected: 'sand-holder: connected', failed: 'sand-holder: failed' } as const;

/**
 * The command that is the machine. QEMU runs without the capabilities that virtiofsd starts with. When the console says
 * that the machine is ready, one SSH client connects and stays: later ones go through its connection, and so
 * need no key exchange of their own, which takes seconds on an emulated processor.
 */
export function planHolder(spec: MachineSpec): readonly string[] {
  const emulator = [
    'setpriv',
    '--inh-caps=-all',
    '--ambient-caps=-all',
    '--bounding-set=-all',
    ...planEmulator(spec),
  ];
  const ways = spec.publishedPorts.flatMap((port) => ['-L', `127.0.0.1:${port}:127.0.0.1:${port}`]);
  const client = ['ssh', '-F', SANDBOX.clientConfig, ...ways, '-f', '-N', '-M', 'guest'];
  return [
    '/bin/sh',
    '-c',
    `ulimit -S -n "$(ulimit -H -n)"
fail() { echo "${HOLDER_LINES.failed}: $*"; kill $$; }
${sharesOf(spec)
  .map(
    (share) =>
      `( ${quoteWords(planFileServer(spec.virtiofsd, share))}; fail "virtiofsd ended with $?" ) 2>&1 &\n`,
  )
  .join('')}turns=0
until ${sharesOf(spec)
      .map(({ socket }) => `[ -S ${socket} ]`)
      .join(' && ')}; do
  turns=$((turns + 1))
  [ $turns -le ${TURNS} ] || fail "virtiofsd does not answer"
  sleep ${TURN_SECONDS}
done
${quoteWords(emulator)} </dev/null 2>&1 | {
  is_ready=
  while IFS= read -r line; do
    printf '%s\\n' "$line"
    case $is_ready$line in ${quoteWord(CONSOLE.ready)}*)
      is_ready=yes
      ${quoteWords(client)} </dev/null 2>&1 && echo "${HOLDER_LINES.connected}" || fail "the SSH client"
    ;; esac
  done
}
`,
  ];
}

/** ssh_config(5). Where the client that stays connected has ended, a command connects by itself, only later. */
const CLIENT_CONFIG = `Host guest
  HostName 127.0.0.1
  Port ${NETWORK.sshPort}
  HostKeyAlias guest
  StrictHostKeyChecking yes
  UserKnownHostsFile ${SANDBOX.knownHosts}
  GlobalKnownHostsFile /dev/null
  IdentityFile ${SANDBOX.clientKey}
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  BatchMode yes
  ControlMaster no
  ExitOnForwardFailure yes
  ControlPath ${SANDBOX.control}
  ConnectTimeout 30
  EscapeChar none
  LogLevel ERROR
`;

/** Last of a guest's mounts, so that nothing covers them. */
export function planMachineMounts(files: MachineFiles, acceleration: Acceleration): readonly Mount[] {
  const data = (target: string, content: string | Buffer): Mount => ({ kind: 'data', target, content });
  return [
    { kind: 'directory', target: MACHINE_FOLDER, mode: '0700' },
    { kind: 'directory', target: ENDED_FOLDER, mode: '0700' },
    { kind: 'bind', source: files.kernel, target: SANDBOX.kernel, writable: false },
    data(SANDBOX.initramfs, files.initramfs),
    data(SANDBOX.clientKey, files.clientKey),
    data(SANDBOX.knownHosts, `guest ${files.serverPublicLine}\n`),
    data(SANDBOX.clientConfig, CLIENT_CONFIG),
    ...(acceleration === 'kvm' ? [{ kind: 'device', source: '/dev/kvm', target: '/dev/kvm' } as const] : []),
  ];
}
