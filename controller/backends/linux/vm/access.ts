/**
 * A command for a VM guest's machine as a command for its sandbox: an SSH client that goes through the connection which is
 * already there, and hands on signals. Exit status, separate output streams, terminal and its size are SSH's. Pure.
 */
import { ENDED_FOLDER, MACHINE, SANDBOX } from './places.ts';
import { quoteWord, quoteWords } from './shell-words.ts';

export interface MachineCommand {
  /** Unique among the commands of the guest: letters, digits and dashes. */
  readonly id: string;
  readonly argv: readonly string[];
  readonly workdir: string;
  /** On top of the guest's own variables. */
  readonly environment: Readonly<Record<string, string>>;
}

/** execve(2): one argument takes 128 KiB, and SSH hands the whole command over as one. */
export const COMMAND_BYTES = 128 * 1024 - 1;

/** Also of arguments that come out of a script, so that they need no quotes. */
const ID = /^[a-zA-Z0-9-]{1,64}$/;

/** How long what was printed may still be on its way when a command has ended that left a process behind. */
const LEFT_SECONDS = 2;

/**
 * The client runs in the background of this shell so that a trap is taken at once, and with the shell's own standard
 * input by another number: a background process has none by the usual one. Where a signal broke off the wait and the client
 * ended meanwhile, its status is still to be had; else the second wait knows of no client, and says 127. A terminal at both ends is made one in the guest.
 */
const CLIENT = `id=$1; remote=$2; ended=${ENDED_FOLDER}/$1
relay() { ssh -F ${SANDBOX.clientConfig} -n -T guest "read -r pid <${MACHINE.commands}/$id && kill -s $1 \\$pid" >/dev/null 2>&1; }
terminal=-T
[ -t 0 ] && [ -t 1 ] && terminal=-tt
exec 5<&0
for name in HUP INT QUIT TERM USR1 USR2; do trap "relay $name" $name; done
ssh -F ${SANDBOX.clientConfig} $terminal guest "$remote" <&5 5<&- &
client=$!
watch() {
  until [ -s "$ended" ]; do
    sleep 0.5
    kill -0 $client || return
  done
  sleep ${LEFT_SECONDS}
  kill $client
}
watch </dev/null >/dev/null 2>&1 5<&- &
watcher=$!
while :; do
  wait $client
  status=$?
  kill -0 $client 2>/dev/null || break
done
if [ $status -gt 128 ]; then
  wait $client 2>/dev/null
  late=$?
  [ $late = 127 ] || status=$late
fi
kill $watcher 2>/dev/null
[ ! -s "$ended" ] || read -r status <"$ended"
rm -f "$ended"
exit $status
`;

/** For the sandbox: in any folder, and with a PATH that finds ssh. Null where the command is too long to hand over. */
export function planAccess(command: MachineCommand): readonly string[] | null {
  if (!ID.test(command.id)) throw new TypeError(`no identifier of a command: ${command.id}`);
  const variables = Object.entries(command.environment).map(([name, value]) => `${name}=${value}`);
  const words = [command.id, command.workdir, ...variables, '--', ...command.argv];
  const remote = `exec /bin/sh ${MACHINE.run} ${quoteWords(words)}`;
  if (Buffer.byteLength(remote) > COMMAND_BYTES) return null;
  return ['/bin/sh', '-c', CLIENT, 'sand', command.id, remote];
}

/** Ends what is left of a command in the machine, with the processes of its group. */
export function planSweep(id: string): readonly string[] {
  return client(`read -r group <${MACHINE.commands}/${id}.group && kill -s KILL -- "-$group"`);
}

export function planEnding(graceSeconds: number): readonly string[] {
  return client(`exec ${MACHINE.busybox} sh ${MACHINE.end} ${Math.ceil(graceSeconds)}`);
}

/** `plan` as `guest-scripts.ts` reads it. */
export function planReport(plan: string): readonly string[] {
  return client(`exec ${MACHINE.busybox} sh ${MACHINE.report} ${quoteWord(plan)}`);
}

function client(remote: string): readonly string[] {
  return ['ssh', '-F', SANDBOX.clientConfig, '-n', '-T', 'guest', remote];
}
