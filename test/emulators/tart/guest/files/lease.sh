#!/bin/sh
# Sets the card up as a lease says, and keeps the lease for whoever asks. Called by udhcpc with the lease in its environment.
place=/.emulator
box=$place/busybox
case $1 in
  deconfig)
    $box ip addr flush dev "$interface" scope global
    ;;
  bound | renew)
    env > $place/lease.env
    $box ip addr flush dev "$interface" scope global
    $box ip addr add "$ip/${mask:-24}" broadcast + dev "$interface"
    [ -z "$mtu" ] || $box ip link set "$interface" mtu "$mtu"
    for hop in $router; do
      # A gateway that the prefix does not cover is on the cable all the same.
      $box ip route add default via "$hop" dev "$interface" 2>/dev/null && break
      $box ip route add "$hop" dev "$interface" && $box ip route add default via "$hop" dev "$interface" && break
    done
    {
      [ -z "${search:-$domain}" ] || echo "search ${search:-$domain}"
      for server in $dns; do echo "nameserver $server"; done
    } > /etc/resolv.conf
    ;;
esac
exit 0
