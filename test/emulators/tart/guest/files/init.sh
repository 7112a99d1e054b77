#!/bin/sh
# The first process of an emulated guest: finishes the root, brings its card up, asks for an address, and ends the guest on SIGTERM.
# Its arguments: the card, the user and group of admin, admin's home, and whether there is a card to wait for.
card=$1 owner=$2 home=$3 boots=$4
place=/.emulator
box=$place/busybox
PATH=/usr/sbin:/usr/bin:/sbin:/bin
# Whoever presses the button early is heard: the kernel drops what its first process does not catch.
halt() {
  trap '' TERM
  # Whoever asked for it hears that it was done.
  $box usleep 300000
  $box kill -TERM -1
  $box usleep 200000
  exit 0
}
trap halt TERM
$box chown "$owner" "$home"
$box cp $place/sudo-program /usr/bin/sudo && $box chmod 4755 /usr/bin/sudo
# The kernel does not know virtiofs here: what asks for it is given a bind mount instead.
[ ! -x /usr/bin/mount ] || { $box mv /usr/bin/mount $place/real-mount && $box cp $place/mount /usr/bin/mount; }
[ ! -e $place/tar ] || [ ! -x /usr/bin/tar ] || { $box mv /usr/bin/tar $place/real-tar && $box cp $place/tar /usr/bin/tar; }
# macOS is on a volume that nobody writes, root neither; what can be written lies in these.
if [ -e $place/darwin ]; then
  for folder in Users Volumes Library opt usr/local var etc tmp home root $place; do
    [ ! -d "/${folder#/}" ] || $box mount --rbind "/${folder#/}" "/${folder#/}"
  done
  for folder in var etc tmp; do $box mkdir -p /private/$folder && $box mount --rbind /$folder /private/$folder; done
  $box mount -o remount,bind,ro /
fi
: > $place/ready
if [ "$boots" = yes ]; then
  until [ -e "/sys/class/net/$card" ]; do $box usleep 5000; done
  $box ip link set "$card" up
  $box udhcpc -f -i "$card" -s $place/lease -t 3 -T 1 -A 1 -O wpad -O mtu -O search >> $place/udhcpc.log 2>&1 &
fi
# Also takes up what others leave behind.
while :; do
  $box sleep 3600 &
  wait $!
done
