/**
 * What sand says to a guest's own bash: texts that set a guest up, that look at it from inside, and that run one command in
 * it. Bash 3.2, macOS's own, and nothing that macOS or a small Linux lacks. Pure.
 */

/** Below it lies what sand puts into a guest; gone at its next boot. */
export const GUEST_FOLDER = '/var/run/sand';
/** Where shares appear by themselves on macOS, and where sand mounts them in a guest of Linux. */
const SHARES = { Darwin: '/Volumes/My Shared Files', other: '/mnt/sand' } as const;
const SHARE_TAG = 'com.apple.virtio-fs.automount';
/** Tenths of a second that macOS gets to mount the shares. */
const SHARE_TURNS = 150;

export interface GuestFile {
  readonly path: string;
  readonly content: string | Buffer;
  /** Octal. */
  readonly mode: string;
  /** Whose it is: the guest's user's, or root's. */
  readonly owner: 'user' | 'root';
}

export interface SetUp {
  readonly environment: Readonly<Record<string, string>>;
  /** Each a link in the guest to what was shared under a name. */
  readonly links: readonly { readonly share: string; readonly target: string }[];
  readonly files: readonly GuestFile[];
  /** Null: no system proxy is set. */
  readonly proxy: SystemProxy | null;
  /** Null: the lease's own. */
  readonly resolver: ResolverSetting | null;
}

export interface SystemProxy {
  readonly host: string;
  readonly port: number;
  /** Absent: it asks for none. */
  readonly credential?: { readonly user: string; readonly password: string };
}

/** A resolver at a port of its own, which no lease can name. */
export interface ResolverSetting {
  readonly host: string;
  readonly port: number;
  /** Below which names are asked there whatever else is set. */
  readonly domains: readonly string[];
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Prints `ready` or `failed STEP WHAT` as its last line; before it `no-resolver` where the guest has no place to name one. */
export function setUpScript({ environment, links, files, proxy, resolver }: SetUp): string {
  return [
    'exec 3>&1 >/dev/null 2>&1 </dev/null',
    `fail() { printf 'failed %s %s\\n' "$1" "$2" >&3; exit 1; }`,
    'root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }',
    'folder() { (umask 022; root mkdir -p "$1"); }',
    'root true || fail sudo "$(id -un)"',
    'umask 077',
    `folder ${GUEST_FOLDER} && root chown "$(id -u):$(id -g)" ${GUEST_FOLDER} || fail folder ${GUEST_FOLDER}`,
    `chmod 700 ${GUEST_FOLDER} || fail folder ${GUEST_FOLDER}`,
    ...putFile({
      path: ENVIRONMENT_FILE,
      content: exportLines(environment),
      mode: '600',
      owner: 'user',
    }),
    ...files.flatMap(putFile),
    ...(links.length === 0 ? [] : shareLines(links)),
    ...(proxy === null ? [] : systemProxy(proxy)),
    ...(resolver === null ? [] : resolverLines(resolver)),
    'echo ready >&3',
    '',
  ].join('\n');
}

const ENVIRONMENT_FILE = `${GUEST_FOLDER}/environment`;

/** `export` of each; the names are checked where they are parsed, the values may hold anything. */
function exportLines(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `export ${name}=${quote(value)}\n`)
    .join('');
}

/** By base64, whose only characters need no quoting; written beside and renamed. */
function putFile({ path, content, mode, owner }: GuestFile): readonly string[] {
  const folder = path.slice(0, path.lastIndexOf('/'));
  const [to, beside] = [quote(path), quote(`${path}.new`)];
  const bytes = Buffer.from(content).toString('base64');
  return [
    `folder ${quote(folder)} || fail file ${to}`,
    `printf %s '${bytes}' | base64 --decode | root dd of=${beside} bs=65536 || fail file ${to}`,
    `root chown ${owner === 'root' ? '0:0' : '"$(id -u):$(id -g)"'} ${beside} && root chmod ${mode} ${beside} || fail file ${to}`,
    `root mv -f ${beside} ${to} || fail file ${to}`,
  ];
}

/** macOS mounts its own tag; Linux is told to. A link takes the place of an empty folder, and of nothing else. */
function shareLines(links: SetUp['links']): readonly string[] {
  const first = quote(links[0]?.share ?? '');
  return [
    `shares=${quote(SHARES.other)}`,
    `if [ "$(uname -s)" = Darwin ]; then shares=${quote(SHARES.Darwin)}`,
    'else',
    '  folder "$shares" || fail shares "$shares"',
    `  [ -e "$shares"/${first} ] || root mount -t virtiofs ${SHARE_TAG} "$shares" || fail shares "$shares"`,
    'fi',
    'turn=0',
    `until [ -e "$shares"/${first} ]; do`,
    `  turn=$((turn + 1)); [ $turn -le ${SHARE_TURNS} ] || fail shares "$shares"; sleep 0.1`,
    'done',
    'place() {',
    '  if [ -L "$2" ]; then root rm -f "$2" || fail taken "$2"',
    '  elif [ -d "$2" ]; then root rmdir "$2" || fail taken "$2"',
    '  elif [ -e "$2" ]; then fail taken "$2"; fi',
    '  folder "$(dirname "$2")" || fail place "$2"',
    '  root ln -s "$1" "$2" || fail place "$2"',
    '  [ -e "$2" ] || fail shares "$2"',
    '}',
    ...links.map(({ share, target }) => `place "$shares"/${quote(share)} ${quote(target)}`),
  ];
}

/** A convenience, for programs that read no variable: whatever fails here changes nothing of what is let through. */
function systemProxy({ host, port, credential }: SystemProxy): readonly string[] {
  const how = credential === undefined ? '' : ` on ${quote(credential.user)} ${quote(credential.password)}`;
  return [
    'if command -v networksetup; then',
    `  networksetup -listallnetworkservices | sed '1d;/^\\*/d' | while IFS= read -r service; do`,
    `    root networksetup -setwebproxy "$service" ${host} ${port}${how}`,
    `    root networksetup -setsecurewebproxy "$service" ${host} ${port}${how}`,
    '    root networksetup -setproxybypassdomains "$service" localhost 127.0.0.1 ::1',
    '  done',
    'fi',
  ];
}

const STORE_KEY = 'State:/Network/Service/sand/DNS';
const RESOLVERS = '/etc/resolver';

/**
 * On macOS a supplementary resolver for every name, and a file for each domain that a rule allows; on Linux systemd's, the one
 * that can be told a port. `scutil` ends well whatever came of it, so it is read back.
 */
function resolverLines({ host, port, domains }: ResolverSetting): readonly string[] {
  const store = [
    ...['d.init', `d.add ServerAddresses * ${host}`, `d.add ServerPort # ${port}`],
    ...['d.add SupplementalMatchDomains * ""', `set ${STORE_KEY}`],
  ].join('\\n');
  return [
    'if command -v scutil; then',
    `  printf '${store}\\n' | root scutil`,
    `  printf 'show ${STORE_KEY}\\n' | scutil | grep -q 'ServerPort.* ${port}$' || fail resolver scutil`,
    `  folder ${RESOLVERS} || fail resolver ${RESOLVERS}`,
    `  for domain in ${domains.map(quote).join(' ')}; do`,
    `    printf 'nameserver ${host}\\nport ${port}\\n' | root dd of="${RESOLVERS}/$domain" || fail resolver "$domain"`,
    `    root chmod 644 "${RESOLVERS}/$domain" || fail resolver "$domain"`,
    '  done',
    'elif command -v resolvectl && resolvectl status; then',
    `  card=$(ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)`,
    `  root resolvectl dns "$card" ${host}:${port} && root resolvectl domain "$card" '~.' || fail resolver resolvectl`,
    'else echo no-resolver >&3',
    'fi',
  ];
}

/** Variables of one command, which no list of processes shows. */
export function variablesScript(id: string, variables: Readonly<Record<string, string>>): string {
  const file = { path: variablesFile(id), content: exportLines(variables), mode: '600' };
  return [
    'umask 077',
    `printf %s '${Buffer.from(file.content).toString('base64')}' | base64 --decode > ${file.path}`,
    '',
  ].join('\n');
}

function variablesFile(id: string): string {
  return `${GUEST_FOLDER}/variables-${id}`;
}

/** Begins and ends what a command's end is told with, on its standard error. */
export const END_MARK = '\u001e';

/**
 * Runs `$3…` in the folder `$2` under the id `$1`: in a process group of its own, with its number and later its end in files,
 * and its end on the standard error as well, since the tool's own exit code may be its own. The shell that waits holds none
 * of the command's streams.
 */
export const RUN_SCRIPT = [
  ...commandHead(),
  'exec 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>/dev/null',
  'set -m',
  `/bin/bash --noprofile --norc -c "$begin" sand "$id" "$folder" "$@" <&3 3<&- >&4 4>&- 2>&5 5>&- &`,
  'child=$!',
  'exec 3<&- 4>&-',
  'wait $child; status=$?',
  // A signal to this shell, or a command that was stopped, ends a wait before the command.
  'while [ $status -gt 128 ] && kill -0 $child; do sleep 0.2; wait $child; status=$?; done',
  'printf %s $status > $base/ended-$id.new; mv -f $base/ended-$id.new $base/ended-$id',
  `printf '\\036sand %s %s\\036' $id $status >&5`,
  'exit $status',
].join('\n');

/** The same on a terminal: in the foreground of it, where its keys reach the command. */
export const TERMINAL_SCRIPT = [
  ...commandHead(),
  'trap : INT QUIT HUP TSTP',
  'exec 5>&2 2>/dev/null',
  '/bin/bash --noprofile --norc -c "$begin" sand "$id" "$folder" "$@" 2>&5 5>&-',
  'status=$?',
  'printf %s $status > $base/ended-$id.new; mv -f $base/ended-$id.new $base/ended-$id',
  'exit $status',
].join('\n');

/** The command's own shell says its number, and becomes the command. Nothing of sand's is in its environment but what was meant. */
function commandHead(): readonly string[] {
  const begin = [
    `printf %s $$ > ${GUEST_FOLDER}/running-$1 || exit 125`,
    `. ${ENVIRONMENT_FILE} || exit 125`,
    'case ":$PATH:" in *:/sbin:*) ;; *) export PATH=$PATH:/sbin ;; esac',
    `[ ! -f ${GUEST_FOLDER}/variables-$1 ] || { . ${GUEST_FOLDER}/variables-$1; rm -f ${GUEST_FOLDER}/variables-$1; }`,
    'complain() { printf "sand: %s: %s\\n" "$1" "$2" >&2; exit $3; }',
    'cd -- "$2" 2>/dev/null || complain "$2" "no such folder, or no right to enter it" 126',
    'unset OLDPWD; shift 2',
    'case $1 in',
    '*/*) [ -e "$1" ] || complain "$1" "command not found" 127 ;;',
    '*) type -P -- "$1" >/dev/null || complain "$1" "command not found" 127 ;;',
    'esac',
    'shopt -s execfail',
    'exec -- "$@" || exit 126',
  ];
  return [`base=${GUEST_FOLDER} id=$1 folder=$2; shift 2`, `begin=${quote(begin.join('\n'))}`];
}

export function runWords(
  script: string,
  id: string,
  workdir: string,
  command: readonly string[],
): readonly string[] {
  return ['/bin/bash', '--noprofile', '--norc', '-c', script, 'sand', id, workdir, ...command];
}

const SIGNALS: readonly string[] = ['HUP', 'INT', 'QUIT', 'KILL', 'PIPE', 'USR1', 'USR2', 'TERM'];

/** To the command's group, and where it has none of its own to its process; as root, for what has become another user. */
export function signalScript(id: string, signal: string): string {
  const name = SIGNALS.includes(signal) ? signal : 'TERM';
  return [
    `child=$(cat ${GUEST_FOLDER}/running-${id} 2>/dev/null) || exit 1`,
    '[ -n "$child" ] || exit 1',
    `for as in '' 'sudo -n'; do`,
    `  $as kill -s ${name} -- -$child 2>/dev/null && exit 0`,
    `  $as kill -s ${name} -- $child 2>/dev/null && exit 0`,
    'done',
    'exit 1',
    '',
  ].join('\n');
}

/** Prints the command's end, or nothing. */
export function endScript(id: string): string {
  return `cat ${GUEST_FOLDER}/ended-${id} 2>/dev/null\n`;
}

/** Prints the command's end once there is one. */
export function awaitEndScript(id: string): string {
  return `until [ -f ${GUEST_FOLDER}/ended-${id} ]; do sleep 1; done; cat ${GUEST_FOLDER}/ended-${id}\n`;
}

/** What was written to shares is on the host's disk before the power goes. */
export const SYNC_SCRIPT = 'sync\n';

/** By its path: `/sbin` is not in the agent's PATH on macOS. What asks for it may be gone before it hears an answer. */
export const SHUTDOWN_SCRIPT = [
  'exec </dev/null >/dev/null 2>&1',
  'sync',
  'for program in /sbin/shutdown /usr/sbin/shutdown; do',
  '  [ -x $program ] && sudo -n $program -h now && exit',
  'done',
  'sudo -n /sbin/halt',
  '',
].join('\n');
