/**
 * What `runsc` is told of a guest and of each command, as the documents of the OCI runtime specification: no
 * capability, no new privileges, the guest's user by a user namespace of gVisor's own. Pure.
 */
import type { GuestIdentity } from '../mounts.ts';
import { GUEST_HOSTNAME } from '../mounts.ts';
import { type BundleMount, GUEST_ROOT } from './view.ts';

/** The guest's name to `runsc`; its state and its network namespace are the guest's own, so it meets no other. */
export const CONTAINER = 'guest';

/** Holds the guest, and waits for whatever loses its parent, so that no dead process stays in the table. */
const HOLD = `echo ready; while :; do sleep 86400 & wait $!; done`;

/** POSIX sh, in the guest: a command without a terminal. */
const RUN = 'exec "$@"';
/**
 * On a terminal the command becomes the foreground job of a shell: only then gVisor gives Ctrl-C to all of the
 * command's processes. A job that was stopped goes on when the caller's shell lets sand go on.
 */
const RUN_ON_TERMINAL = `set -m; "$@"
code=$?
while [ "$code" -ge 147 ] && [ "$code" -le 150 ] && [ -n "$(jobs -p)" ]; do fg >/dev/null 2>&1; code=$?; done
exit "$code"`;

/** Ends a command and all that is left of its session. Its first process's id is the session's. */
export const END_SESSION = `for stat in /proc/[0-9]*/stat; do
  IFS= read -r line <"$stat" || continue
  session=$1; pid=\${line%% *}
  set -- "$session" \${line##*) }
  [ "$5" = "$session" ] && kill -KILL "$pid"
done`;

/**
 * In the guest, as the command would run: reports what it is and where, in parts that begin with a mark. Asks
 * its resolver for a name that this guest's gateway alone knows.
 */
const REPORT = `
PATH_WAS=$PATH; PATH=/usr/bin:/bin:/usr/sbin:/sbin
echo @status; cat /proc/self/status
echo @kernel; cat /proc/version; dmesg 2>/dev/null | head -n 1
echo @resolver; getent ahostsv4 "$1" || nslookup -type=a "$1" | sed -n '/^Name/,$s/^Address[^:]*: *//p'
shift; PATH=$PATH_WAS
echo @command; if command -v -- "$1" >/dev/null 2>&1; then echo found; else echo missing; fi
echo @end
`;

/** `process` of an OCI bundle, and the document that `runsc exec --process` reads. */
export interface BundleProcess {
  readonly terminal: boolean;
  readonly user: { readonly uid: number; readonly gid: number };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Readonly<Record<string, readonly string[]>>;
  readonly noNewPrivileges: true;
}

export interface CommandSpec {
  readonly identity: Pick<GuestIdentity, 'uid' | 'gid'>;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly command: readonly string[];
}

export function planConfig(bundle: readonly BundleMount[]): string {
  const holder = processOf(['/bin/sh', '-c', HOLD], { environment: { PATH: '/usr/bin:/bin' }, workdir: '/' });
  return JSON.stringify({
    ociVersion: '1.0.2',
    process: holder,
    // What is read-only in it is so by the mounts of the view.
    root: { path: GUEST_ROOT, readonly: false },
    hostname: GUEST_HOSTNAME,
    mounts: bundle,
    linux: { namespaces: ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })) },
  });
}

export function planCommandProcess(spec: CommandSpec, terminal: boolean): string {
  const script = terminal ? RUN_ON_TERMINAL : RUN;
  const args = asUser(spec.identity, ['/bin/sh', '-c', script, 'sand', ...spec.command]);
  return JSON.stringify({ ...processOf(args, spec), terminal });
}

/** The same process but for what it runs. */
export function planReportProcess(spec: CommandSpec, reservedName: string): string {
  const args = asUser(spec.identity, ['/bin/sh', '-c', REPORT, 'sand', reservedName, ...spec.command]);
  return JSON.stringify(processOf(args, spec));
}

/**
 * The host's files belong to the caller, who is gVisor's user 0; a user namespace of gVisor's kernel shows
 * that one user as the guest's. Its capabilities in there end with the `exec`, since it is not root.
 */
function asUser(identity: CommandSpec['identity'], command: readonly string[]): readonly string[] {
  if (identity.uid === 0) return command;
  const maps = [`--map-user=${identity.uid}`, `--map-group=${identity.gid}`];
  return ['/usr/bin/unshare', '--user', ...maps, '--', ...command];
}

const NO_CAPABILITIES = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] } as const;

function processOf(
  args: readonly string[],
  { environment, workdir }: Pick<CommandSpec, 'environment' | 'workdir'>,
): BundleProcess {
  return {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args,
    env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    cwd: workdir,
    capabilities: NO_CAPABILITIES,
    noNewPrivileges: true,
  };
}
