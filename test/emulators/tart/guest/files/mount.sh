#!/bin/sh
# `mount -t virtiofs TAG FOLDER`, `mount_virtiofs TAG FOLDER`: the share that the guest was given by that tag. Everything else is the system's own.
place=/.emulator
if [ "${0##*/}" = mount_virtiofs ]; then
  tag=$1 folder=$2
else
  case " $* " in
    *" -t virtiofs "* | *" virtiofs "*) ;;
    *) exec $place/real-mount "$@" ;;
  esac
  tag= folder= options=
  while [ $# -gt 0 ]; do
    case $1 in
      -t) shift ;;
      -o) options=$2 && shift ;;
      -*) ;;
      *) if [ -z "$tag" ]; then tag=$1; else folder=$1; fi ;;
    esac
    shift
  done
fi
if [ ! -d "$place/shares/$tag" ]; then
  echo "mount: $folder: wrong fs type, bad option, bad superblock on $tag, missing codepage or helper program, or other error." >&2
  exit 32
fi
if [ ! -d "$folder" ]; then
  echo "mount: $folder: mount point does not exist." >&2
  exit 32
fi
if [ "$($place/busybox id -u)" != 0 ]; then
  echo "mount: $folder: must be superuser to use mount." >&2
  exit 1
fi
$place/busybox mount -o rbind "$place/shares/$tag" "$folder" || exit 32
case ",$options," in *,ro,*) $place/busybox mount -o remount,bind,ro "$folder" ;; esac
