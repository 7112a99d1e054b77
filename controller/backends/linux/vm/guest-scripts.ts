/**
 * The scripts that run in a VM guest's machine: one that becomes a command, one that ends all commands, and one that
 * tells what can be seen from there. Text for `initramfs.ts`; what is reported `report.ts` judges.
 */
import { ENDED_FOLDER, MACHINE } from './places.ts';

/** What the SSH server sets, and a guest does not have otherwise. */
const SERVER_VARIABLES = 'USER LOGNAME HOME PATH SHELL MAIL SSH_CLIENT SSH_CONNECTION SSH_TTY';

/**
 * `run ID FOLDER [NAME=VALUE ...] -- COMMAND`: the command has the guest's variables and is found by its process id
 * under its name; its end by a signal becomes 128+N here, where SSH would say 255. A terminal's signals
 * reach this shell as well, which has to outlive the command, and says nothing of it. SSH waits until nobody holds the
 * output any more; where a process that the command left does, the status is told beside. For the guest's own /bin/sh.
 */
export const RUNNING = `trap : HUP INT QUIT TERM
name=$1; id=${MACHINE.commands}/$1; folder=$2; shift 2
echo $$ >"$id.group"
unset ${SERVER_VARIABLES}
. ${MACHINE.environment}
while [ "$1" != -- ]; do export "$1"; shift; done
shift
cd -- "$folder" || exit 126
unset folder
exec 9>&2 2>/dev/null
/bin/sh -c 'echo $$ >"$1"; shift; unset OLDPWD; exec 2>&9 9>&- "$@"' sand "$id" "$@"
status=$?
left=
for other in /proc/[0-9]*/fd/[12]; do
  case $other in /proc/$$/*) continue ;; esac
  if [ "$other" -ef /proc/$$/fd/1 ] || [ "$other" -ef /proc/$$/fd/9 ]; then left=yes; fi
done
[ -z "$left" ] || echo $status >"${ENDED_FOLDER}/$name"
${MACHINE.busybox} rm -f "$id" "$id.group"
exit $status
`;

/**
 * `end SECONDS`: SIGTERM to every process of the guest but the SSH server's and its own, and time to end. It looks without
 * a subshell, which would find itself. busybox sh.
 */
export const ENDING = `deadline=$(($(date +%s) + $1))
look() {
  others=
  for folder in /proc/[0-9]*; do
    pid=\${folder#/proc/}
    [ -O "$folder" ] && [ "$pid" != $$ ] && read -r name <"$folder/comm" && [ "$name" != sshd ] &&
      others="$others $pid"
  done 2>/dev/null
}
look
[ -z "$others" ] || kill -s TERM $others 2>/dev/null
while [ -n "$others" ] && [ $(date +%s) -lt $deadline ]; do usleep 100000; look; done
`;

/**
 * `report PLAN`: lines of `connect ADDRESS PORT` and `ask SERVER NAME`, each tried at the same time as the others and
 * answered in a line of its own; then what the kernel says. busybox sh.
 */
export const REPORTING = `PATH=
b=${MACHINE.busybox}
connect() {
  answer=$($b timeout 10 $b nc "$1" "$2" </dev/null 2>/dev/null)
  status=$?
  echo "connect $1 $2 $status \${answer%%
*}"
}
ask() {
  answer=$($b timeout 10 $b nslookup -type=a "$2" "$1" 2>&1 | $b tr '\\n' ' ')
  echo "ask $1 $2 $answer"
}
$b echo "$1" | {
  while IFS=' ' read -r what first second; do
    case $what in connect|ask) $what "$first" "$second" & ;; esac
  done
  wait
}
for interface in /sys/class/net/*; do echo "interface \${interface##*/}"; done
$b ip route | while read -r route; do echo "route $route"; done
$b ip -6 route | while read -r route; do case $route in default*) echo "route6 $route" ;; esac; done
echo "kernel $($b uname -r)"
echo "user $($b id -u):$($b id -g)"
while read -r line; do echo "status $line"; done </proc/self/status
echo end
`;
