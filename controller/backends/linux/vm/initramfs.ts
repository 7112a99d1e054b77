/**
 * What a VM guest's machine boots: its first process and the files that one needs, as entries of an initial RAM file
 * system. That process mounts the sandbox's files as its root, brings up the network and starts the SSH server as the
 * guest's user. Pure; which kernel and modules, others decide.
 */
import type { GuestIdentity } from '../mounts.ts';
import { GUEST_HOSTNAME } from '../mounts.ts';
import type { ArchiveEntry } from './cpio.ts';
import { ENDING, REPORTING, RUNNING } from './guest-scripts.ts';
import { CONSOLE, MACHINE, MACHINE_FOLDER, NETWORK } from './places.ts';
import { quoteWord } from './shell-words.ts';

export interface InitramfsSpec {
  readonly busybox: Buffer;
  /** In the order to load them. */
  readonly modules: readonly { readonly name: string; readonly content: Buffer }[];
  readonly identity: Pick<GuestIdentity, 'uid' | 'gid'>;
  /** What every command of the guest has. */
  readonly environment: Readonly<Record<string, string>>;
  /** PEM. */
  readonly serverKey: string;
  readonly clientPublicLine: string;
  /** Whether the system's programs are a share of their own; see `SYSTEM_FOLDER`. */
  readonly sharesSystem: boolean;
}

/** The names of the two shares: the sandbox's root, and what of it nobody changes. */
export const FILES_TAG = 'guest';
export const SYSTEM_TAG = 'system';
/** Where most programs and libraries are. What is known of it is not asked for again, which halves what starting one costs. */
export const SYSTEM_FOLDER = '/usr';

const ROOT = '/guest';
const FOLDERS: readonly string[] = ['bin', 'dev', 'etc', 'guest', 'modules', 'proc', 'sand', 'sys'];

/**
 * The first process: pid 1, so it stays, and when the SSH server ends the machine is of no use. Nothing of it is
 * the guest's to change: it lies in the machine's memory, under the root that commands see. For busybox's sh.
 */
const FIRST_PROCESS = `#!/bin/busybox sh
PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
say() { echo "$*" >/dev/console; }
fail() { say "${CONSOLE.failed}: $*"; poweroff -f; }
mount -t proc proc /proc
mount -t sysfs sysfs /sys
. /sand/settings
for module in $MODULES; do insmod "/modules/$module.ko" || fail "the kernel module $module"; done
mount -t virtiofs -o nosuid ${FILES_TAG} ${ROOT} || fail "the guest's files"
[ -z "$SYSTEM" ] || mount -t virtiofs -o ro,nosuid,nodev ${SYSTEM_TAG} ${ROOT}${SYSTEM_FOLDER} || fail "the system's files"
mount -t proc -o nosuid,nodev,noexec proc ${ROOT}/proc || fail /proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs ${ROOT}/sys || fail /sys
mount -t devtmpfs -o nosuid dev ${ROOT}/dev || fail /dev
mkdir -p ${ROOT}/dev/pts ${ROOT}/dev/shm
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts ${ROOT}/dev/pts || fail /dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 shm ${ROOT}/dev/shm || fail /dev/shm
for link in 'ptmx pts/ptmx' 'fd /proc/self/fd' 'stdin fd/0' 'stdout fd/1' 'stderr fd/2'; do
  ln -sfn "\${link#* }" "${ROOT}/dev/\${link%% *}"
done
mount -t tmpfs -o nosuid,nodev,mode=0755 sand ${ROOT}${MACHINE_FOLDER} || fail ${MACHINE_FOLDER}
cp /sand/guest/* /bin/busybox ${ROOT}${MACHINE_FOLDER}/
mkdir -m 0700 ${ROOT}${MACHINE.commands}
chown "$IDENTITY" ${ROOT}${MACHINE.serverKey} ${ROOT}${MACHINE.commands}
hostname ${GUEST_HOSTNAME}
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
echo 0 >/proc/sys/net/ipv6/conf/${NETWORK.interface}/accept_ra
echo 0 >/proc/sys/net/ipv6/conf/${NETWORK.interface}/accept_dad
ip link set lo up
ip link set ${NETWORK.interface} up || fail "the network card"
ip addr add ${NETWORK.machine4}/${NETWORK.bits4} dev ${NETWORK.interface} || fail "the address"
ip route add default via ${NETWORK.host4} dev ${NETWORK.interface} || fail "the route"
ip -6 addr add ${NETWORK.machine6}/${NETWORK.bits6} dev ${NETWORK.interface} &&
  ip -6 route add default via ${NETWORK.host6} dev ${NETWORK.interface}
serve() {
  chroot ${ROOT} ${MACHINE.busybox} setpriv --nnp ${MACHINE.busybox} start-stop-daemon -S -c "$IDENTITY" \\
    -x /usr/sbin/sshd -- -D -e -f ${MACHINE.serverConfig} </dev/null >/dev/console 2>&1
}
serve &
server=$!
port=$(printf ':%04X' ${NETWORK.sshPort})
turns=0
until grep -q "$port 00000000:0000 0A" /proc/net/tcp; do
  turns=$((turns + 1))
  [ $turns -le 600 ] && [ -d /proc/$server ] || fail "the SSH server"
  usleep 50000
done
say "${CONSOLE.ready}"
wait $server
fail "the SSH server ended"
`;

/** For one user who is already that user: nothing is switched, so nothing needs a right. sshd_config(5). */
const SERVER_CONFIG = `AddressFamily inet
ListenAddress ${NETWORK.machine4}:${NETWORK.sshPort}
HostKey ${MACHINE.serverKey}
AuthorizedKeysFile ${MACHINE.authorizedKeys}
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
PrintMotd no
PrintLastLog no
UseDNS no
AllowTcpForwarding local
PermitOpen 127.0.0.1:*
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
PermitUserRC no
MaxSessions 1024
LogLevel ERROR
`;

export function planInitramfs(spec: InitramfsSpec): readonly ArchiveEntry[] {
  const { uid, gid } = spec.identity;
  const settings = `MODULES='${spec.modules.map(({ name }) => name).join(' ')}'\nIDENTITY=${uid}:${gid}\nSYSTEM=${spec.sharesSystem ? 'yes' : ''}\n`;
  const guestFiles: Readonly<Record<string, string>> = {
    [MACHINE.serverConfig]: SERVER_CONFIG,
    [MACHINE.authorizedKeys]: `${spec.clientPublicLine}\n`,
    [MACHINE.environment]: exportLines(spec.environment),
    [MACHINE.run]: RUNNING,
    [MACHINE.report]: REPORTING,
    [MACHINE.end]: ENDING,
  };
  return [
    ...[...FOLDERS, 'sand/guest'].map((path): ArchiveEntry => ({ kind: 'directory', path, mode: 0o755 })),
    { kind: 'file', path: 'bin/busybox', mode: 0o755, content: spec.busybox },
    { kind: 'symlink', path: 'bin/sh', value: 'busybox' },
    text('init', FIRST_PROCESS, 0o755),
    // For start-stop-daemon, which looks its user up.
    text('etc/passwd', `sand:x:${uid}:${gid}::/:/bin/sh\n`, 0o644),
    text('sand/settings', settings, 0o600),
    text(`sand/guest/${baseOf(MACHINE.serverKey)}`, spec.serverKey, 0o600),
    ...Object.entries(guestFiles).map(([path, content]) =>
      text(`sand/guest/${baseOf(path)}`, content, 0o644),
    ),
    ...spec.modules.map(
      ({ name, content }): ArchiveEntry => ({
        kind: 'file',
        path: `modules/${name}.ko`,
        mode: 0o600,
        content,
      }),
    ),
  ];
}

/** To be read by sh. A name that is no variable of a shell cannot be handed on this way, and is left out. */
function exportLines(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `export ${name}=${quoteWord(value)}\n`)
    .join('');
}

function text(path: string, content: string, mode: number): ArchiveEntry {
  return { kind: 'file', path, mode, content: Buffer.from(content) };
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
