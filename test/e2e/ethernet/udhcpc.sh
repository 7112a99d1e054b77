#!/bin/sh
# What busybox's DHCP client calls with what it was given.
[ "$1" = bound ] || exit 0
mask=30
[ "$subnet" = 255.255.255.252 ] || mask=0
ip addr add "$ip/$mask" dev "$interface"
[ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
ip route add default via "$router"
printf 'ip=%s router=%s dns=%s mtu=%s wpad=%s lease=%s mask=%s\n' "$ip" "$router" "$dns" "$mtu" "$wpad" "$lease" "$subnet"
