#!/bin/sh
# The first process of a user-mode kernel whose only control groups are of version 2. Delegates one to an ordinary user, runs
# the program of the kernel's command line in it, and ends the kernel. Sees the host's files, and can write none of them.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t cgroup2 none /sys/fs/cgroup
export PATH="$sand_path" HOME=/run
groups=/sys/fs/cgroup
echo '+cpu +memory +pids' >$groups/cgroup.subtree_control
mkdir $groups/user
echo '+cpu +memory +pids' >$groups/user/cgroup.subtree_control
mkdir $groups/user/delegated $groups/user/foreign
for name in . cgroup.procs cgroup.subtree_control cgroup.threads; do
  chown 54321:54321 "$groups/user/delegated/$name"
done
for place in foreign delegated; do
  sh -c 'echo 0 >"$1/cgroup.procs"; shift; exec setpriv --reuid 54321 --regid 54321 --clear-groups sh -c '\''"$@"; :'\'' sh "$@"' \
    sh "$groups/user/$place" "$sand_node" "$sand_program" "$place"
done
echo o >/proc/sysrq-trigger
sleep 60
