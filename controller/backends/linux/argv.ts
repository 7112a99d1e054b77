/**
 * A guest's specification as arguments: what `nsenter` and `bwrap` are told, and which bytes they are handed
 * on which descriptor. Pure.
 */
import type { GuestIdentity, Mount } from './mounts.ts';
import { GUEST_HOSTNAME } from './mounts.ts';

export interface LaunchSpec {
  /** A process in the guest's user and network namespaces. */
  readonly holderPid: number;
  readonly mounts: readonly Mount[];
  readonly identity: GuestIdentity;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  /** Whether any of the standard streams is a terminal: then job control needs the caller's session. */
  readonly terminal: boolean;
  readonly filter: Buffer;
  readonly command: readonly string[];
}

export interface Launch {
  readonly file: 'setpriv';
  readonly args: readonly string[];
  /** Bytes for descriptors from `FIRST_DATA_DESCRIPTOR` on, in order. */
  readonly data: readonly Buffer[];
}

/** The prelude writes its report here. */
export const REPORT_DESCRIPTOR = 3;
/** The prelude waits here for leave to run the command. */
export const GO_DESCRIPTOR = 4;
export const STATUS_DESCRIPTOR = 5;
export const FIRST_DATA_DESCRIPTOR = 6;

/**
 * Runs in the guest before the command, as the process that becomes it, under the very filter, capabilities
 * and mounts that the command will have: reports them, waits for leave, then replaces itself. When sand dies
 * first, the read ends and so does the guest. POSIX sh.
 */
const PRELUDE = `
PATH_WAS=$PATH; PATH=/usr/bin:/bin
{ cat /proc/self/status; echo; cat /proc/self/mountinfo; echo; readlink /proc/self/ns/net
if ( : >/proc/sys/kernel/core_pattern ) 2>/dev/null; then echo writable; else echo read-only; fi
PATH=$PATH_WAS
if command -v -- "$1" >/dev/null 2>&1; then echo found; else echo missing; fi
echo end; } >&3
exec 3>&-
IFS= read -r go <&4 || exit 125
[ "$go" = go ] || exit 125
exec 4<&-
unset go PATH_WAS
`;

/** Signals that a terminal or a caller sends to a whole process group, in which bubblewrap's own process stands. */
const GROUP_SIGNALS = 'HUP,INT,QUIT,TERM';
/**
 * On a terminal the guest's command shares its process group with the bubblewrap process on the host, which
 * would die of the command's Ctrl-C and take the guest along. So that process ignores such signals, and the
 * command gets its own dispositions back; a shell cannot give back what it was started with, `env` can.
 * Where the host's `env` cannot, everything keeps the dispositions that it has.
 */
const CAN_RESTORE = `/usr/bin/env --default-signal=${GROUP_SIGNALS} /bin/sh -c : 2>/dev/null`;
const OUTLIVE_GROUP_SIGNALS = `${CAN_RESTORE} && trap '' HUP INT QUIT TERM; exec "$@"`;
const RUN = 'exec "$@"\n';
const RUN_RESTORED = `${CAN_RESTORE} && exec /usr/bin/env --default-signal=${GROUP_SIGNALS} /bin/sh -c 'exec "$@"' sand "$@"
${RUN}`;

export function planLaunch(spec: LaunchSpec): Launch {
  const data: Buffer[] = [];
  const give = (bytes: Buffer): string => String(FIRST_DATA_DESCRIPTOR + data.push(bytes) - 1);
  const namespaces = ['--user', '--net'].map((kind) => `${kind}=/proc/${spec.holderPid}/ns/${kind.slice(2)}`);
  const options = [
    ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--disable-userns', '--cap-drop', 'ALL', '--die-with-parent'],
    ...(spec.terminal ? [] : ['--new-session']),
    ...['--uid', String(spec.identity.uid), '--gid', String(spec.identity.gid), '--hostname', GUEST_HOSTNAME],
    ...['--json-status-fd', String(STATUS_DESCRIPTOR), '--seccomp', give(spec.filter)],
    ...spec.mounts.flatMap((mount) => mountArguments(mount, give)),
    ...['--remount-ro', '/', '--chdir', spec.workdir, '--clearenv'],
    ...Object.entries(spec.environment).flatMap(([name, value]) => ['--setenv', name, value]),
  ];
  // On a descriptor, since the arguments of a process can be read by every user of the host.
  const handed = give(Buffer.from(options.map((option) => `${option}\0`).join('')));
  const prelude = PRELUDE + (spec.terminal ? RUN_RESTORED : RUN);
  const command = ['--', '/bin/sh', '-c', prelude, 'sand', ...spec.command];
  const outliving = spec.terminal ? ['/bin/sh', '-c', OUTLIVE_GROUP_SIGNALS, 'sand'] : [];
  // Until bubblewrap's own --die-with-parent holds, this one does.
  const args = [
    '--pdeathsig',
    'KILL',
    '--',
    ...outliving,
    'nsenter',
    ...namespaces,
    '--preserve-credentials',
    '--',
  ];
  return { file: 'setpriv', args: [...args, 'bwrap', '--args', handed, ...command], data };
}

function mountArguments(mount: Mount, give: (bytes: Buffer) => string): readonly string[] {
  switch (mount.kind) {
    case 'bind':
      return [mount.writable ? '--bind' : '--ro-bind', mount.source, mount.target];
    case 'device':
      return ['--dev-bind', mount.source, mount.target];
    case 'tmpfs':
      return ['--perms', mount.mode, '--tmpfs', mount.target];
    case 'symlink':
      return ['--symlink', mount.value, mount.target];
    case 'data':
      return ['--ro-bind-data', give(bytesOf(mount.content)), mount.target];
    case 'file': {
      const perms = mount.mode === undefined ? [] : ['--perms', mount.mode];
      return [...perms, '--file', give(bytesOf(mount.content)), mount.target];
    }
    case 'directory':
      return ['--perms', mount.mode, '--dir', mount.target];
    case 'proc':
      return ['--proc', '/proc'];
    case 'dev':
      return ['--dev', '/dev'];
  }
}

function bytesOf(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content;
}
