/**
 * A guest's specification as arguments: what `nsenter` and `bwrap` are told, and which bytes they are handed
 * on which descriptor. Pure.
 */
import { HOST_LAUNCHER, type Launcher } from './launcher.ts';
import type { GuestIdentity, Mount } from './mounts.ts';
import { GUEST_HOSTNAME } from './mounts.ts';

/** The one sandbox that is the guest: its mounts and its namespaces, held by a process that does nothing else. */
export interface InitSpec {
  /** A process in the link's user namespace and the guest's network namespace. */
  readonly holderPid: number;
  readonly mounts: readonly Mount[];
  readonly identity: GuestIdentity;
  readonly filter: Buffer;
  /** What puts the processes under the guest's limits before anything else; none without limits. */
  readonly joining: readonly string[];
  readonly launcher: Launcher;
  /** Puts the guest's root together first; null where that is of the host's folders, and read-only. */
  readonly overlay: readonly string[] | null;
}

/** A command in it. */
export interface CommandSpec {
  readonly holderPid: number;
  /** The guest's own first process, by its pid on the host. */
  readonly initPid: number;
  readonly identity: Pick<GuestIdentity, 'uid' | 'gid'>;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  /** Whether any of the standard streams is a terminal: then job control needs the caller's session. */
  readonly terminal: boolean;
  readonly filter: Buffer;
  /** Kept in the command's own user namespace, where they count alone; absent: none. */
  readonly capabilities?: readonly string[];
  readonly launcher: Launcher;
  readonly command: readonly string[];
  /** As for the init. */
  readonly joining: readonly string[];
}

export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  /** Bytes for the descriptors behind those that are named below, in order. */
  readonly data: readonly Buffer[];
}

/** The prelude writes its report here, and the guest's init its readiness. */
export const REPORT_DESCRIPTOR = 3;
/** The prelude waits here for leave to run the command; the guest's init lives until it ends. */
export const GO_DESCRIPTOR = 4;
/** Where bubblewrap names the guest's init; a command has none. */
export const STATUS_DESCRIPTOR = 5;
export const INIT_DATA_DESCRIPTOR = STATUS_DESCRIPTOR + 1;
const COMMAND_DATA_DESCRIPTOR = GO_DESCRIPTOR + 1;

/**
 * The guest's first process. It ignores its children's ends, so that the kernel reaps what is orphaned in the guest: a
 * shell cannot say so of itself, `env` can, and where the host's cannot, what is orphaned stays listed. As pid 1 no signal
 * from inside ends it; when sand dies its input ends, and the guest with it. POSIX sh.
 */
const initText = ({ cat, env, shell }: Launcher) => {
  const [ignoring, holding] = [`${env.join(' ')} --ignore-signal=CHLD`, cat.join(' ')];
  return `echo ready >&3; exec 3>&- <&4 >/dev/null 2>&1
${ignoring} ${shell.join(' ')} -c : && exec ${ignoring} ${holding}
exec ${holding}`;
};

/**
 * Runs in the guest before the command, as the process that becomes it, under the very filter, capabilities
 * and mounts that the command will have: reports them, waits for leave, then replaces itself. When sand dies
 * first, the read ends and so does the guest. POSIX sh.
 */
const preludeText = ({ cat, readlink }: Launcher) => `
PATH_WAS=$PATH; PATH=/usr/bin:/bin
{ ${cat.join(' ')} /proc/self/status; echo; ${cat.join(' ')} /proc/self/mountinfo; echo; ${readlink.join(' ')} /proc/self/ns/net
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

/** Until bubblewrap's own --die-with-parent holds. */
const TIED_TO_SAND = ['setpriv', '--pdeathsig', 'KILL', '--'];

/** Signals that a terminal or a caller sends to a whole process group, in which bubblewrap's own process stands. */
const GROUP_SIGNALS = 'HUP,INT,QUIT,TERM';
/**
 * On a terminal the guest's command shares its process group with the bubblewrap process on the host, which
 * would die of the command's Ctrl-C and take the guest along. So that process ignores such signals, and the
 * command gets its own dispositions back; a shell cannot give back what it was started with, `env` can.
 * Where the host's `env` cannot, everything keeps the dispositions that it has.
 */
const canRestore = ({ env, shell }: Launcher) =>
  `${env.join(' ')} --default-signal=${GROUP_SIGNALS} ${shell.join(' ')} -c : 2>/dev/null`;
const OUTLIVE_GROUP_SIGNALS = `${canRestore(HOST_LAUNCHER)} && trap '' HUP INT QUIT TERM; exec "$@"`;
const runText = (release: string) => `${release}exec "$@"\n`;
const runRestored = (launcher: Launcher, release: string) => {
  const [env, shell] = [launcher.env.join(' '), launcher.shell.join(' ')];
  const run = `${release}exec "$@"`;
  return `${canRestore(launcher)} && exec ${env} --default-signal=${GROUP_SIGNALS} ${shell} -c '${run}' sand "$@"
${runText(release)}`;
};

/**
 * These change what the shell or the loader of the prelude itself does, so that they would speak in its report: the
 * command alone gets them. Until then they have another name.
 */
const HELD_BACK = /^(LD_[A-Z0-9_]+|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|ENV|BASH_ENV|SHELLOPTS|BASHOPTS|PS4)$/;
const HELD_NAME = 'SAND_HELD_';

function holdBack(environment: Readonly<Record<string, string>>): {
  readonly variables: readonly (readonly [string, string])[];
  readonly release: string;
} {
  const names = Object.keys(environment).filter((name) => HELD_BACK.test(name));
  const variables = Object.entries(environment).map(([name, value]): readonly [string, string] => [
    names.includes(name) ? `${HELD_NAME}${name}` : name,
    value,
  ]);
  const release = names.map((name) => `export ${name}="$${HELD_NAME}${name}"; unset ${HELD_NAME}${name}\n`);
  return { variables, release: release.join('') };
}

/**
 * What a guest is made of, once. Nothing of the caller's choosing runs in it. It is not tied to sand's end before bubblewrap's
 * own --die-with-parent holds: killed earlier, bubblewrap would leave a child that waits for its leave for ever. When sand
 * dies by then, the init's input ends, and with it the init.
 */
export function planInit(spec: InitSpec): Launch {
  const data: Buffer[] = [];
  const give = giver(data, INIT_DATA_DESCRIPTOR);
  const options = [
    ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--disable-userns', '--as-pid-1', '--cap-drop', 'ALL', '--die-with-parent', '--new-session'],
    ...['--uid', String(spec.identity.uid), '--gid', String(spec.identity.gid), '--hostname', GUEST_HOSTNAME],
    ...['--json-status-fd', String(STATUS_DESCRIPTOR), '--seccomp', give(spec.filter)],
    ...spec.mounts.flatMap((mount) => mountArguments(mount, give)),
    ...(spec.overlay === null ? ['--remount-ro', '/'] : []),
    ...['--chdir', '/', '--clearenv', '--setenv', 'PATH', '/usr/bin:/bin'],
  ];
  const handed = give(lines(options));
  const namespaces = enter(spec.holderPid, ['user', 'net']);
  const overlay = spec.overlay ?? [];
  return launch([...spec.joining, 'nsenter', ...namespaces, '--preserve-credentials', '--', ...overlay], {
    bubblewrap: HOST_LAUNCHER.bubblewrap,
    handed,
    data,
    program: [...spec.launcher.shell, '-c', initText(spec.launcher)],
  });
}

/**
 * Joins the guest from the link's user namespace, which owns all of its namespaces, and becomes a sandbox of its own
 * there, in a user namespace beside the init's: bubblewrap's waiting process stays in the link's, out of the guest's reach.
 */
export function planCommand(spec: CommandSpec): Launch {
  const data: Buffer[] = [];
  const give = giver(data, COMMAND_DATA_DESCRIPTOR);
  const { launcher } = spec;
  const { variables, release } = holdBack(spec.environment);
  const options = [
    ...['--unshare-user', '--unshare-cgroup-try', '--disable-userns', '--cap-drop', 'ALL'],
    ...(spec.capabilities ?? []).flatMap((name) => ['--cap-add', name]),
    '--die-with-parent',
    ...(spec.terminal ? [] : ['--new-session']),
    ...['--uid', String(spec.identity.uid), '--gid', String(spec.identity.gid)],
    ...['--seccomp', give(spec.filter), '--dev-bind', '/', '/', '--chdir', spec.workdir, '--clearenv'],
    ...variables.flatMap(([name, value]) => ['--setenv', name, value]),
  ];
  const handed = give(lines(options));
  const prelude = preludeText(launcher) + (spec.terminal ? runRestored(launcher, release) : runText(release));
  const outliving = spec.terminal ? ['/bin/sh', '-c', OUTLIVE_GROUP_SIGNALS, 'sand'] : [];
  const owner = ['nsenter', ...enter(spec.holderPid, ['user']), '--preserve-credentials', '--'];
  const guest = [
    'nsenter',
    ...enter(spec.holderPid, ['net']),
    ...enter(spec.initPid, ['mnt', 'pid', 'ipc', 'uts']),
    '--',
  ];
  return launch([...TIED_TO_SAND, ...spec.joining, ...outliving, ...owner, ...guest], {
    bubblewrap: launcher.bubblewrap,
    handed,
    data,
    program: [...launcher.shell, '-c', prelude, 'sand', ...spec.command],
  });
}

function launch(
  entering: readonly string[],
  inside: {
    readonly bubblewrap: readonly string[];
    readonly handed: string;
    readonly data: readonly Buffer[];
    readonly program: readonly string[];
  },
): Launch {
  const [file = '', ...args] = [...entering, ...inside.bubblewrap, '--args', inside.handed, '--'];
  return { file, args: [...args, ...inside.program], data: inside.data };
}

export function giver(data: Buffer[], first: number): (bytes: Buffer) => string {
  return (bytes) => String(first + data.push(bytes) - 1);
}

/** On a descriptor, since the arguments of a process can be read by every user of the host. */
export function lines(options: readonly string[]): Buffer {
  return Buffer.from(options.map((option) => `${option}\0`).join(''));
}

/** nsenter(1)'s options for namespaces of a process, by their names in /proc. */
export function enter(
  pid: number,
  kinds: readonly ('user' | 'net' | 'mnt' | 'pid' | 'ipc' | 'uts')[],
): readonly string[] {
  return kinds.map((kind) => `--${kind === 'mnt' ? 'mount' : kind}=/proc/${pid}/ns/${kind}`);
}

export function mountArguments(mount: Mount, give: (bytes: Buffer) => string): readonly string[] {
  switch (mount.kind) {
    case 'bind':
      return [mount.writable ? '--bind' : '--ro-bind', mount.source, mount.target];
    case 'device':
      return ['--dev-bind', mount.source, mount.target];
    case 'tmpfs':
      return [
        ...['--perms', mount.mode],
        ...(mount.sizeBytes === undefined ? [] : ['--size', String(mount.sizeBytes)]),
        ...['--tmpfs', mount.target],
      ];
    case 'read-only':
      return ['--remount-ro', mount.target];
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
    case 'seal':
      return ['--remount-ro', mount.target];
    case 'proc':
      return ['--proc', '/proc'];
    case 'dev':
      return ['--dev', '/dev'];
  }
}

function bytesOf(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content;
}
