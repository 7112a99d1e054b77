/**
 * What runs in a guest for a copy, by its own shell and tar. Their exit codes say what is amiss; what they send is a
 * stranger's word all the same. POSIX sh.
 */

/** Codes that no tar ends with. */
export const SCRIPT_CODES = { noTar: 97, noSource: 98, noFolder: 96 } as const;

const NEEDS_TAR = `command -v tar >/dev/null 2>&1 || exit ${SCRIPT_CODES.noTar}`;

/**
 * Folder and name, `.` for what it holds. GNU's tar would name a second file of one inode as a link to the first; macOS's would put a
 * file `._NAME` beside each that has attributes, which nearly all have there.
 */
const PACK = `${NEEDS_TAR}
cd "$1" 2>/dev/null || exit ${SCRIPT_CODES.noSource}
name=$2
[ -e "./$name" ] || [ -L "./$name" ] || exit ${SCRIPT_CODES.noSource}
case $(tar --version 2>/dev/null) in *GNU*) set -- --hard-dereference;; *) set --;; esac
export COPYFILE_DISABLE=1
exec tar -c "$@" -f - "./$name"`;

/** Where it goes, and what the archive holds: `contents`, `folder NAME`, `file NAME`. */
const UNPACK = `${NEEDS_TAR}
to=$1 kind=$2 name=$3
if [ "$kind" = contents ] && ! [ -d "$to" ]; then mkdir "$to" 2>/dev/null || exit ${SCRIPT_CODES.noFolder}; fi
if [ -d "$to" ]; then exec tar -x -o -f - -C "$to"; fi
case $kind:$to in file:*/) exit ${SCRIPT_CODES.noFolder};; esac
while [ "$to" != "\${to%/}" ]; do to=\${to%/}; done
into=\${to%/*}
draft=$(mktemp -d "\${into:-/}/.sand-cp-XXXXXX" 2>/dev/null) || exit ${SCRIPT_CODES.noFolder}
tar -x -o -f - -C "$draft" && mv "$draft/$name" "$to"
code=$?
rm -rf "$draft"
exit $code`;

/** An archive of somebody else's, into a folder that is there. */
const UNPACK_STREAM = `${NEEDS_TAR}
[ -d "$1" ] || exit ${SCRIPT_CODES.noFolder}
exec tar -x -o -f - -C "$1"`;

export function packCommand(folder: string, name: string): readonly string[] {
  return ['/bin/sh', '-c', PACK, 'sand', folder, name];
}

export function unpackCommand(
  to: string,
  what: { readonly kind: 'contents' | 'folder' | 'file'; readonly name: string } | null,
): readonly string[] {
  if (what === null) return ['/bin/sh', '-c', UNPACK_STREAM, 'sand', to];
  return ['/bin/sh', '-c', UNPACK, 'sand', to, what.kind, what.name];
}
