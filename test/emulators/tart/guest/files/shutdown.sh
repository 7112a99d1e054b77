#!/bin/sh
# Ends the guest, for root alone, as the system's own would: at once, whatever time is given.
if [ "$(/.emulator/busybox id -u)" != 0 ]; then
  echo "${0##*/}: NOT super-user" >&2
  exit 1
fi
printf '%s\n' "$0 $*" >> /.emulator/told
/.emulator/busybox kill -TERM 1
