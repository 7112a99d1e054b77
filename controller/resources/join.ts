/**
 * How a process of a guest gets under the guest's limits: as the first link of the chain of programs that starts it, so
 * that all that follow are born under them. Pure.
 */

/** What the shell ends with when it could not join; no command of the guest has run then. */
export const JOIN_FAILED_EXIT = 125;

/**
 * 0 is whoever writes it. Fail closed: without every one of its groups the chain goes no further. POSIX sh; `echo` is
 * the shell's own, so it is the shell that joins, and `exec` what it becomes.
 */
const JOIN = `
while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
  { echo 0 >"$1"; } 2>/dev/null || { echo "sand: cannot join $1, which holds the limits of this guest" >&2; exit ${JOIN_FAILED_EXIT}; }
  shift
done
shift
exec "$@"
`;

/** Goes before a program and its arguments. Nothing where there are no groups to join. */
export function joiningArguments(procsFiles: readonly string[]): readonly string[] {
  return procsFiles.length === 0 ? [] : ['/bin/sh', '-c', JOIN, 'sand', ...procsFiles, '--'];
}
