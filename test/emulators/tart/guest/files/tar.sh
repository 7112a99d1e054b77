#!/bin/sh
# As macOS's: beside what it packs it puts files of attributes, unless it is told not to.
place=/.emulator
case "$1" in
  -c | -c*) [ -n "$COPYFILE_DISABLE" ] || for last in "$@"; do :; done ;;
esac
[ ! -d "${last-}" ] || : > "$last/._attributes"
exec $place/real-tar "$@"
