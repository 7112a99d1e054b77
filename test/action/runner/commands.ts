/**
 * The runner's side of its own protocol, written from its sources and apart from the action's: workflow commands in both forms,
 * stopping them, masks, and the files of variables and outputs.
 */

export interface Command {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly data: string;
}

const REGISTERED: readonly string[] = [
  ...['add-mask', 'add-matcher', 'add-path', 'debug', 'echo', 'endgroup', 'error', 'group', 'notice'],
  ...['remove-matcher', 'save-state', 'set-env', 'set-output', 'stop-commands', 'warning'],
];

type Unescape = readonly (readonly [string, string])[];
const DATA: Unescape = [
  ['%0D', '\r'],
  ['%0A', '\n'],
  ['%25', '%'],
];
const PROPERTY: Unescape = [
  ['%0D', '\r'],
  ['%0A', '\n'],
  ['%3A', ':'],
  ['%2C', ','],
  ['%25', '%'],
];
const OLD: Unescape = [
  ['%3B', ';'],
  ['%0D', '\r'],
  ['%0A', '\n'],
  ['%5D', ']'],
  ['%25', '%'],
];

function unescapeBy(text: string, table: Unescape): string {
  return table.reduce((shown, [from, to]) => shown.replaceAll(from, to), text);
}

/** `::name key=value,key=value::data` at the start of a line, or `##[name key=value;key=value]data` anywhere in it. */
export function parseCommand(line: string, registered: readonly string[] = REGISTERED): Command | null {
  const isKnown = (name: string) => registered.some((known) => known.toLowerCase() === name.toLowerCase());
  const trimmed = line.trimStart();
  const end = trimmed.indexOf('::', 2);
  if (trimmed.startsWith('::') && end >= 0) {
    const command = split(trimmed.slice(2, end), trimmed.slice(end + 2), ',', PROPERTY, DATA);
    if (isKnown(command.name)) return command;
  }
  const start = line.indexOf('##[');
  const close = line.indexOf(']', start);
  if (start < 0 || close < 0) return null;
  const command = split(line.slice(start + 3, close), line.slice(close + 1), ';', OLD, OLD);
  return isKnown(command.name) ? command : null;
}

function split(
  info: string,
  data: string,
  between: string,
  forProperties: Unescape,
  forData: Unescape,
): Command {
  const blank = info.indexOf(' ');
  const name = blank < 0 ? info : info.slice(0, blank);
  const pairs =
    blank < 0
      ? []
      : info
          .slice(blank + 1)
          .trim()
          .split(between);
  const properties = pairs.flatMap((pair) => {
    const at = pair.indexOf('=');
    return at <= 0 || at === pair.length - 1
      ? []
      : [[pair.slice(0, at).toLowerCase(), unescapeBy(pair.slice(at + 1), forProperties)] as const];
  });
  return { name, properties: Object.fromEntries(properties), data: unescapeBy(data, forData) };
}

export interface Log {
  /** What a person sees, masked. */
  readonly lines: readonly string[];
  /** What the runner obeyed. */
  readonly commands: readonly Command[];
}

/** Reads a step's output as the runner does, both streams one after the other as they came. */
export function readLog(text: string, masks: string[]): Log {
  const lines: string[] = [];
  const commands: Command[] = [];
  let token: string | null = null;
  for (const line of text.split(/\r\n|\n|\r/)) {
    const command = parseCommand(line, token === null ? REGISTERED : [...REGISTERED, token]);
    if (token !== null) {
      if (command?.name === token) token = null;
      else lines.push(mask(line, masks));
    } else if (command === null) lines.push(mask(line, masks));
    else if (command.name === 'stop-commands') token = command.data;
    else {
      if (command.name === 'add-mask') masks.push(command.data);
      commands.push({ ...command, data: mask(command.data, masks) });
    }
  }
  return { lines, commands };
}

export function mask(text: string, masks: readonly string[]): string {
  return masks
    .filter((secret) => secret !== '')
    .reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
}

/** Throws as the runner does, which fails the step. */
export function readVariables(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const rest = text.split('\n');
  while (rest.length > 0) {
    const line = rest.shift() ?? '';
    if (line === '') continue;
    const [, plain, value] = /^((?:(?!<<)[^=])*)=(.*)$/s.exec(line) ?? [];
    const [, name, delimiter] = /^((?:(?!<<).)+)<<(.+)$/s.exec(line) ?? [];
    if (plain !== undefined && value !== undefined) found.set(plain, value);
    else if (name !== undefined && delimiter !== undefined) {
      const lines: string[] = [];
      for (let next = rest.shift(); next !== delimiter; next = rest.shift()) {
        if (next === undefined) throw new Error(`Matching delimiter not found '${delimiter}'`);
        lines.push(next);
      }
      found.set(name, lines.join('\n'));
    } else throw new Error(`Invalid format '${line}'`);
  }
  return found;
}
