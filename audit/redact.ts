/**
 * Takes secret-looking values out of a command line before it is kept: by the name in front of a value, by
 * the shape of the value, by its place in a URL or header. Errs on the side of taking out too much; a secret
 * that looks like a word passes. Pure.
 */

export const REDACTED = '[redacted]';

/** Names that mean a secret wherever they stand, and names that mean one only as a word of their own. */
const SECRET_NAME =
  /token|secret|passw|passphrase|api[-_]?key|access[-_]?key|private[-_]?key|account[-_]?key|credential|authorization|bearer|cookie|jwt|connection[-_]?string|(?:^|[-_.])(?:pwd|pass|pat|auth|key|sig|signature|session|dsn|otp|pin|pgpass)(?:$|[-_.])|pwd$/i;
/** `--token-file`, `--password-stdin`: the value is a place, or there is none. */
const NAMES_A_PLACE = /[-_](?:file|path|dir|stdin|prompt)$/i;

const SECRET_HEADER =
  /^(?:(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z0-9-]*(?:key|token|auth|secret)[a-z0-9-]*|[a-z0-9-]*(?:token|api-?key|secret)[a-z0-9-]*)\s*:/i;

/** Flags whose value is a secret for one program only; elsewhere the letter means something else. */
const PROGRAM_FLAGS: Readonly<Record<string, readonly string[]>> = {
  mysql: ['-p'],
  mysqldump: ['-p'],
  mysqladmin: ['-p'],
  mariadb: ['-p'],
  sshpass: ['-p'],
  'redis-cli': ['-a'],
  curl: ['-u', '-U', '-b'],
  mongosh: ['-p'],
  docker: ['-p'],
  podman: ['-p'],
  sqlcmd: ['-P'],
};
/** Followed by `name:password` in many clients. */
const USER_FLAG = /^(?:-u|-U|--user|--proxy-user)$/;

/** Tokens that say what they are, with a sign that no hostname has. */
const UNMISTAKABLE_TOKENS = [
  'gh[oprsu]_[A-Za-z0-9]{8,}',
  'github_pat_[A-Za-z0-9_]{8,}',
  '[rs]k_(?:live|test)_[A-Za-z0-9]{8,}',
  '(?:AKIA|ASIA)[A-Z0-9]{12,}',
  'AIza[A-Za-z0-9_-]{20,}',
  'eyJ[A-Za-z0-9_-]{8,}(?:\\.[A-Za-z0-9_-]*)*',
  'npm_[A-Za-z0-9]{8,}',
  'hf_[A-Za-z0-9]{8,}',
  'dop_v1_[a-f0-9]{8,}',
  'shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{8,}',
];
/** Tokens that a hostname may look like. */
const PLAIN_TOKENS = [
  'gl(?:pat|ptt|dt|rt|cbt)-[A-Za-z0-9_-]{8,}',
  'sk-[A-Za-z0-9_-]{12,}',
  'xox[a-z]-[A-Za-z0-9-]{8,}',
  'ya29\\.[A-Za-z0-9_-]{8,}',
  'pypi-[A-Za-z0-9_-]{16,}',
  'SG\\.[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]{8,}',
];
const tokens = (shapes: readonly string[]) =>
  new RegExp(shapes.map((shape) => `(?<![A-Za-z0-9])${shape}`).join('|'), 'g');
const UNMISTAKABLE_TOKEN = tokens(UNMISTAKABLE_TOKENS);
const KNOWN_TOKEN = tokens([...UNMISTAKABLE_TOKENS, ...PLAIN_TOKENS]);
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
const URL_TEXT = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s'"<>`]+)/gi;
/** `name:password@host` without a scheme; digests and versions after `@` are not hosts. */
const BARE_USERINFO =
  /(^|[\s'"=])[^\s'"=:@/]+:[^\s'"@/]+@(?!sha\d+:|[~^]|\d+(?:\.\d+){0,2}(?:[-+\s'"]|$))(?=[\w[])/g;
/** A header inside a script: up to the quote that ends it. */
const HEADER_TEXT =
  /\b((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z0-9-]*(?:key|token|auth|secret)[a-z0-9-]*)(\s*:\s*)[^'"\r\n]+/gi;
const BEARER_TEXT = /\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}/gi;
/** `NAME=value`, `--name=value`, `--name value` inside a script. */
const ASSIGNMENT_TEXT = /([A-Za-z_][\w.-]*)(=)("[^"]*"|'[^']*'|[^\s'"&;|]+)/g;
const FLAG_TEXT = /((?:^|[\s'"])--?)([A-Za-z][\w-]*)(\s+)("[^"]*"|'[^']*'|[^\s'"&;|-][^\s'"&;|]*)/g;
const LONG_HEX = /^(?=.*\d)(?=.*[a-f])[0-9a-f]{32,}$/i;
const LONG_RUN = /[A-Za-z0-9][A-Za-z0-9+_=-]{19,}/g;

/** A port, a port mapping, or an address with one: what `-p` means to most programs. */
const PORT_LIKE = /^[\d.:[\]-]+(?:\/(?:tcp|udp))?$/;
const FILE_LIKE = /^@|\/|\.[a-z]{1,5}$/i;

/** The arguments with secret-looking values replaced. Same length, same order. */
export function redactCommand(command: readonly string[]): readonly string[] {
  let program = '';
  let before = '';
  return command.map((argument) => {
    const name = programName(argument);
    if (Object.hasOwn(PROGRAM_FLAGS, name)) program = name;
    const redacted = redactArgument(argument, before, program);
    before = argument;
    return redacted;
  });
}

/** Free text: URLs, headers, assignments, flags of a script, tokens. */
export function redactText(text: string): string {
  return text
    .replace(PRIVATE_KEY, REDACTED)
    .replace(URL_TEXT, (_url, scheme: string, rest: string) => scheme + redactUrlRest(rest))
    .replace(BARE_USERINFO, `$1${REDACTED}@`)
    .replace(HEADER_TEXT, `$1$2${REDACTED}`)
    .replace(BEARER_TEXT, `$1$2${REDACTED}`)
    .replace(FLAG_TEXT, (whole, dashes: string, name: string, gap: string) =>
      isSecretName(name) ? `${dashes}${name}${gap}${REDACTED}` : whole,
    )
    .replace(ASSIGNMENT_TEXT, (whole, name: string) => (isSecretName(name) ? `${name}=${REDACTED}` : whole))
    .replace(KNOWN_TOKEN, REDACTED)
    .replace(LONG_RUN, (run) => (looksRandom(run) ? REDACTED : run));
}

/** Texts that sand makes of hashes, counters and closed lists: whatever they look like, they are no secrets. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  ...['prev', 'time', 'guest', 'run', 'digest', 'policy', 'key', 'signature', 'kind', 'reason', 'verdict'],
  ...['disposition', 'asker', 'transport', 'type', 'rcode', 'via', 'protocol', 'cause', 'confinement'],
]);
/** Names and addresses. What was asked for is what the log is for, so only what no name looks like is taken out. */
const HOST_FIELDS: ReadonlySet<string> = new Set([
  ...['host', 'name', 'sni', 'address', 'answer', 'destination', 'peer', 'layers', 'id'],
]);

/** What every shape below has one of: most texts have none, and lines are written before what they allow. */
const MAYBE_IN_NAME = /[@_]|AKIA|ASIA|AIza|eyJ/;
const MAYBE_IN_TEXT =
  /[@_]|:\/\/|-----|AKIA|ASIA|AIza|eyJ|sk-|xox|gl[a-z]+-|ya29|pypi-|SG\.|bearer|basic|authorization|cookie|x-/i;

/**
 * A text of an event, by the name of its field. A command line is redacted as a whole before; here goes what has no place in any
 * field: tokens, keys, user parts and queries of URLs, credentials of headers. Digests and words stay.
 */
export function redactField(field: string, text: string): string {
  if (OWN_FIELDS.has(field)) return text;
  if (HOST_FIELDS.has(field)) {
    if (!MAYBE_IN_NAME.test(text)) return text;
    return text.replace(BARE_USERINFO, `$1${REDACTED}@`).replace(UNMISTAKABLE_TOKEN, REDACTED);
  }
  if (!MAYBE_IN_TEXT.test(text)) return text;
  return text
    .replace(PRIVATE_KEY, REDACTED)
    .replace(URL_TEXT, (_url, scheme: string, rest: string) => scheme + redactUrlRest(rest))
    .replace(BARE_USERINFO, `$1${REDACTED}@`)
    .replace(HEADER_TEXT, `$1$2${REDACTED}`)
    .replace(BEARER_TEXT, `$1$2${REDACTED}`)
    .replace(KNOWN_TOKEN, REDACTED);
}

function redactArgument(argument: string, before: string, program: string): string {
  if (isSecretFlag(before, argument, program)) return REDACTED;
  if (USER_FLAG.test(before) && argument.includes(':')) {
    return `${redactText(argument.slice(0, argument.indexOf(':')))}:${REDACTED}`;
  }
  const joined = /^(--?[A-Za-z][\w.-]*|[A-Za-z_][\w.-]*)=(.*)$/s.exec(argument);
  const [, name = '', value = ''] = joined ?? [];
  if (joined !== null && isSecretName(name)) return value === '' ? argument : `${name}=${REDACTED}`;
  const header = SECRET_HEADER.exec(argument);
  if (header !== null) return `${header[0]} ${REDACTED}`;
  const short = argument.slice(0, 2);
  if (argument.length > 2 && !argument.startsWith('--') && PROGRAM_FLAGS[program]?.includes(short) === true) {
    return PORT_LIKE.test(argument.slice(2)) ? argument : `${short}${REDACTED}`;
  }
  return redactText(argument);
}

/** Whether the value after this flag is a secret by the flag's name. */
function isSecretFlag(flag: string, value: string, program: string): boolean {
  if (!flag.startsWith('-') || flag.includes('=') || value === '') return false;
  if (flag.startsWith('--')) return isSecretName(flag) && !value.startsWith('--');
  if (PROGRAM_FLAGS[program]?.includes(flag) === true) return !USER_FLAG.test(flag) && !PORT_LIKE.test(value);
  if (flag === '-p') return !value.startsWith('-') && !PORT_LIKE.test(value) && !FILE_LIKE.test(value);
  return flag.length > 2 && isSecretName(flag) && !value.startsWith('-');
}

function isSecretName(name: string): boolean {
  const words = name.replace(/^-+/, '').replace(/([a-z0-9])([A-Z])/g, '$1-$2');
  return SECRET_NAME.test(words) && !NAMES_A_PLACE.test(words);
}

function programName(argument: string): string {
  return (argument.split('/').at(-1) ?? '').replace(/\.exe$/i, '');
}

/** Everything after `scheme://`: no user part, no query, no fragment. */
function redactUrlRest(rest: string): string {
  const end = rest.search(/[/?#]/);
  const authority = end === -1 ? rest : rest.slice(0, end);
  const tail = end === -1 ? '' : rest.slice(end);
  const at = authority.lastIndexOf('@');
  const host = at === -1 ? authority : `${REDACTED}${authority.slice(at)}`;
  const query = tail.search(/[?#]/);
  return query === -1 ? host + tail : `${host}${tail.slice(0, query)}${tail.charAt(query)}${REDACTED}`;
}

/**
 * Keys and digests, not names: a piece between separators that changes between letters and digits, or
 * between cases, more often than words do.
 */
function looksRandom(run: string): boolean {
  return run.split(/[-_=]/).some((piece) => {
    if (piece.length < 12) return false;
    if (LONG_HEX.test(piece)) return true;
    const changes = [...piece].filter(
      (character, i) => i > 0 && classOf(character) !== classOf(piece.charAt(i - 1)),
    );
    return changes.length * 4 >= piece.length && new Set(piece).size >= 6;
  });
}

function classOf(character: string): 'digit' | 'upper' | 'lower' | 'other' {
  if (character >= '0' && character <= '9') return 'digit';
  if (character >= 'A' && character <= 'Z') return 'upper';
  return character >= 'a' && character <= 'z' ? 'lower' : 'other';
}
