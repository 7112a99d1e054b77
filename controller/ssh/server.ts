/**
 * The host's own sshd as a command in a guest, on standard input and output: what it is told, and the scripts that put it
 * there. It has the guest's rights and no more; what a guest does to it, it does to itself.
 */

/** Of the guest's own, and only its user enters them: a tmpfs, or in a machine of its own what sand has made there. */
const FOLDERS = '"/run/user/$(id -u)/sand-ssh" /var/run/sand/ssh';

/** Codes that say what is amiss. */
export const SERVER_CODES = { noServer: 97, isRoot: 98, noFolder: 96 } as const;

/** Neither passwords nor agents, and ports of the guest alone. As an ordinary user sshd can change no user, and root of a machine of its own stays who it is, so PAM is of no use. */
const SETTINGS = [
  'HostKey %FOLDER%/host',
  'AuthorizedKeysFile %FOLDER%/user.pub',
  'AuthenticationMethods publickey',
  'PasswordAuthentication no',
  'KbdInteractiveAuthentication no',
  'StrictModes no',
  'UsePAM no',
  'PidFile none',
  'AllowAgentForwarding no',
  'X11Forwarding no',
  'AllowTcpForwarding local',
  'AllowStreamLocalForwarding local',
  'GatewayPorts no',
  'PermitTunnel no',
  'PermitUserEnvironment no',
  'PermitUserRC no',
  'PrintMotd no',
  'PrintLastLog no',
  'LogLevel ERROR',
  'Subsystem sftp internal-sftp',
];

const FIND = `sshd=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v sshd) || exit ${SERVER_CODES.noServer}`;

/** What sshd as root needs before it serves anybody: SETGID, SETUID and SYS_CHROOT, and every user to become. */
const ROOT_CAPABILITIES = '0x400c0';
const ROOT = `if [ "$(id -u)" = 0 ]; then
  held=$(sed -n 's/^CapEff:[[:space:]]*/0x/p' /proc/self/status)
  [ $((held & ${ROOT_CAPABILITIES})) = $((${ROOT_CAPABILITIES})) ] && grep -q ' 4294967295$' /proc/self/uid_map || exit ${SERVER_CODES.isRoot}
  mkdir -p /run/sshd
fi`;

/**
 * Reads the host's key to its end, an empty line, and the key that may log in; prints the name of the guest's user. Its
 * sessions get the guest's variables: sshd clears its own, and takes one line of them.
 */
const PREPARE = `${FIND}
${ROOT}
umask 077
for folder in ${FOLDERS}; do mkdir -p "$folder" 2>/dev/null && cd "$folder" && break; done || exit ${SERVER_CODES.noFolder}
while IFS= read -r line && [ -n "$line" ]; do printf '%s\\n' "$line"; done > host.$$
cat > user.pub.$$
{ printf '%s\\n' ${SETTINGS.map((line) => `"${line.replace('%FOLDER%', '$folder')}"`).join(' ')}
printf SetEnv
env | sed -nE '/^(HOME|PWD|OLDPWD|SHLVL|_|TERM)=/d
s/^([A-Za-z_][A-Za-z0-9_]*)=([^"\\\\]*)$/ "\\1=\\2"/p' | tr -d '\\n'
echo; } > config.$$
for name in host user.pub config; do mv -f $name.$$ $name; done
id -un`;

const SERVE = `${FIND}
for folder in ${FOLDERS}; do [ ! -f "$folder/config" ] || break; done
exec "$sshd" -i -e -f "$folder/config"`;

export const PREPARE_COMMAND: readonly string[] = ['/bin/sh', '-c', PREPARE];
export const SERVE_COMMAND: readonly string[] = ['/bin/sh', '-c', SERVE];
