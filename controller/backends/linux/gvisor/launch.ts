/**
 * What is run on the host for a gVisor guest, as arguments: the outer bubblewrap with `runsc run` in it, and
 * `runsc exec` for each command, beside a watcher that ends the command when sand is gone. Pure.
 */
import {
  enter,
  GO_DESCRIPTOR,
  giver,
  INIT_DATA_DESCRIPTOR,
  type Launch,
  lines,
  mountArguments,
  REPORT_DESCRIPTOR,
  STATUS_DESCRIPTOR,
} from '../argv.ts';
import type { Mount } from '../mounts.ts';
import { CONTAINER, END_SESSION } from './bundle.ts';
import { BUNDLE, GUEST_ROOT, OWN_FOLDER, PIDS, RUNSC, STATE } from './view.ts';

/** One word a line: a signal, or `done`; its end without that ends the command. */
export const CONTROL_DESCRIPTOR = 3;
const PROCESS_DESCRIPTOR = 4;

/**
 * For every version alike: writes go where the view has them, never to an overlay, and sockets of the host stay
 * out of reach. The network is that of the namespaces in which it is started: the guest's own.
 */
export const TRIAL_FLAGS: readonly string[] = [
  '--network=host',
  '--rootless=true',
  '--ignore-cgroups=true',
  '--overlay2=none',
  '--host-uds=none',
];
const RUNSC_FLAGS: readonly string[] = [`--root=${STATE}`, ...TRIAL_FLAGS];

/** Where the outer sandbox has its programs, wherever the host's are looked for. */
const OUTER_PATH = 'PATH=/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin';

/**
 * In the outer sandbox, POSIX sh: becomes `runsc`. Beside it one process carries the guest's first word, and one
 * ends all when sand is gone, for a guest that bubblewrap had not tied to itself yet.
 */
const HOLD = `${OUTER_PATH}
mkfifo ${OWN_FOLDER}/up
{ IFS= read -r word <${OWN_FOLDER}/up; echo "$word" >&${REPORT_DESCRIPTOR}; } ${GO_DESCRIPTOR}<&- &
exec ${REPORT_DESCRIPTOR}>&-
{ read -r gone; kill -KILL $$; } <&${GO_DESCRIPTOR} >/dev/null 2>&1 &
exec "$@" </dev/null >${OWN_FOLDER}/up ${GO_DESCRIPTOR}<&-`;

export interface HolderSpec {
  /** A process in the guest's user and network namespaces. */
  readonly linkPid: number;
  /** What puts the processes under the guest's limits before anything else; none without limits. */
  readonly joining: readonly string[];
  /** The outer sandbox's, bundle included. */
  readonly mounts: readonly Mount[];
}

/**
 * Root of the link's user namespace, with what that can do: `runsc` shuts its own processes in, and drops it.
 * No system call filter and no ban on further user namespaces either, since `runsc` makes and traces processes.
 */
export function planHolder(spec: HolderSpec): Launch {
  const data: Buffer[] = [];
  const give = giver(data, INIT_DATA_DESCRIPTOR);
  const options = [
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--cap-add', 'ALL', '--die-with-parent', '--new-session'],
    ...['--json-status-fd', String(STATUS_DESCRIPTOR)],
    ...spec.mounts.flatMap((mount) => mountArguments(mount, give)),
    ...['--remount-ro', GUEST_ROOT, '--remount-ro', '/', '--chdir', '/'],
  ];
  const handed = give(lines(options));
  const entering = ['nsenter', ...enter(spec.linkPid, ['user', 'net']), '--preserve-credentials', '--'];
  const run = [RUNSC, ...RUNSC_FLAGS, 'run', `--bundle=${BUNDLE}`, CONTAINER];
  return {
    file: 'setpriv',
    args: [
      ...['--pdeathsig', 'KILL', '--', ...spec.joining, ...entering, 'bwrap', '--args', handed, '--'],
      ...['/bin/sh', '-c', HOLD, 'sand', ...run],
    ],
    data,
  };
}

/** A tenth of a second each: `runsc exec` names the process within that, or on a busy machine within seconds. */
const PID_TRIES = 100;

/**
 * In the outer sandbox, POSIX sh. What ends this process leaves the command in gVisor running, so a watcher
 * that nothing of the caller's ends stays behind until the command is told to be done, or sand is gone.
 */
const EXEC = `${OUTER_PATH}
pid=${PIDS}/$1; shift
cat <&${PROCESS_DESCRIPTOR} >"$pid.json"; exec ${PROCESS_DESCRIPTOR}<&-
named() {
  tries=0
  until [ -s "$pid" ]; do tries=$((tries + 1)); [ $tries -le ${PID_TRIES} ] || exit 0; sleep 0.1; done
  number=$(cat "$pid")
}
watch() {
  trap '' HUP INT QUIT TERM
  while IFS= read -r word; do
    [ "$word" != done ] || { rm -f "$pid" "$pid.json"; exit 0; }
    named; "$@" kill --pid "$number" ${CONTAINER} "$word"
  done
  named; rm -f "$pid" "$pid.json"
  exec "$@" exec ${CONTAINER} /bin/sh -c '${END_SESSION}' sand "$number"
}
watch "$@" <&${CONTROL_DESCRIPTOR} >/dev/null 2>&1 ${CONTROL_DESCRIPTOR}<&- &
exec ${CONTROL_DESCRIPTOR}<&-
exec setpriv --pdeathsig KILL -- "$@" exec --internal-pid-file="$pid" --process="$pid.json" ${CONTAINER}
`;

/**
 * On a terminal these come to the caller's whole process group, in which `nsenter` stands and would die of
 * them; `runsc` takes them all the same, and carries them to the guest's foreground job.
 */
const OUTLIVE_GROUP_SIGNALS = `trap '' HUP INT QUIT TERM; exec "$@"`;

export interface ExecSpec {
  readonly holderPid: number;
  /** bubblewrap's process in the outer sandbox. */
  readonly initPid: number;
  /** Of this command, among those of the guest. */
  readonly id: string;
  /** The process document; see `bundle.ts`. On a descriptor, since every user of the host reads arguments. */
  readonly process: string;
  readonly terminal: boolean;
  /** As for the holder. */
  readonly joining: readonly string[];
}

export function planExec(spec: ExecSpec): Launch {
  const outlive = spec.terminal ? ['/bin/sh', '-c', OUTLIVE_GROUP_SIGNALS, 'sand'] : [];
  const run = ['/bin/sh', '-c', EXEC, 'sand', spec.id, RUNSC, ...RUNSC_FLAGS];
  return {
    file: 'setpriv',
    args: ['--pdeathsig', 'KILL', '--', ...spec.joining, ...outlive, ...join(spec), ...run],
    data: [Buffer.from(spec.process)],
  };
}

/** For the process runner: SIGTERM to everything in the guest. */
export function planAskToEnd(spec: Pick<ExecSpec, 'holderPid' | 'initPid'>): readonly string[] {
  return [...join(spec), RUNSC, ...RUNSC_FLAGS, 'kill', '--all', CONTAINER, 'TERM'];
}

/** For the process runner: what runs in the guest, one JSON object each. */
export function planListing(spec: Pick<ExecSpec, 'holderPid' | 'initPid'>): readonly string[] {
  return [...join(spec), RUNSC, ...RUNSC_FLAGS, 'ps', '--format=json', CONTAINER];
}

/** From the link's user namespace, which owns the outer sandbox's. */
function join({ holderPid, initPid }: Pick<ExecSpec, 'holderPid' | 'initPid'>): readonly string[] {
  const owner = ['nsenter', ...enter(holderPid, ['user']), '--preserve-credentials', '--'];
  const outer = [...enter(holderPid, ['net']), ...enter(initPid, ['mnt', 'pid', 'ipc', 'uts'])];
  return [...owner, 'nsenter', ...outer, '--'];
}
