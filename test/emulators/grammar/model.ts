/**
 * Reads the grammar of a command line tool from the JSON that its facts are kept in, into one model whichever of the two
 * dialects it is written in. What a command line means is left to parse.ts.
 */
import { readFileSync } from 'node:fs';

export interface OptionSpec {
  /** `--name` or `-n`, the one that messages use first. */
  readonly names: readonly string[];
  readonly takesValue: boolean;
  readonly repeats: boolean;
  readonly valueName: string;
  readonly valueType: string;
  readonly values: readonly string[];
  readonly isCaseInsensitive: boolean;
  readonly isHidden: boolean;
  readonly help: string;
}

export interface ArgumentSpec {
  readonly name: string;
  readonly min: number;
  /** Infinity where it repeats. */
  readonly max: number;
}

export interface CommandSpec {
  /** The words that lead to it; none for the tool itself. */
  readonly path: readonly string[];
  readonly aliases: readonly string[];
  readonly options: readonly OptionSpec[];
  readonly arguments: readonly ArgumentSpec[];
  /** Whether everything from the first argument on is handed over as it is. */
  readonly isPassthrough: boolean;
  readonly conflicts: readonly { readonly flag: string; readonly with: readonly string[] }[];
  readonly children: readonly CommandSpec[];
}

export interface Grammar {
  readonly tool: string;
  readonly version: string;
  readonly root: CommandSpec;
}

interface RawOption {
  names: string[];
  /** What takes a flag back, as a flag of its own. */
  inverse?: string[];
  caseInsensitive?: boolean;
  takesValue?: boolean;
  repeats?: boolean;
  valueHint?: string;
  valueType?: string;
  type?: string;
  enum?: string[];
  values?: string[];
  hidden?: boolean;
  help?: string;
}

interface RawCommand {
  aliases: string[];
  options: RawOption[];
  flags: RawOption[];
  arguments: { name: string; min: number; max?: number | null; repeats: boolean; parsing: string }[];
  conflicts?: { flag: string; with: string[] }[];
}

interface RawGrammar {
  version: string;
  parser: { rootOptions?: RawOption[] };
  commands: Record<string, RawCommand>;
  history: {
    commands?: Record<string, { since: string }>;
    options: Record<string, Record<string, string | { since: string }>>;
  };
}

/** `version` leaves out what came with a later release; the JSON's own version where it is not given. */
export function readGrammar(file: string, tool: string, version?: string): Grammar {
  const raw: RawGrammar = JSON.parse(readFileSync(file, 'utf8'));
  return compileGrammar(raw, tool, version ?? raw.version);
}

function compileGrammar(raw: RawGrammar, tool: string, version: string): Grammar {
  const isKnown = (path: string, name: string) => isNotAfter(sinceOf(raw, path, name), version);
  const paths = Object.keys(raw.commands);
  // Options and children are compiled where they are asked for: a call follows one path of many.
  const compile = (path: string, command: RawCommand): CommandSpec => ({
    path: path === '' ? [] : path.split(' '),
    aliases: command.aliases,
    get options() {
      return [...command.options, ...command.flags]
        .flatMap((option) =>
          option.inverse === undefined ? [option] : [option, { ...option, names: option.inverse }],
        )
        .map((option) => ({ ...option, names: option.names.filter((name) => isKnown(path, name)) }))
        .filter(({ names }) => names.length > 0)
        .map(compileOption);
    },
    arguments: command.arguments.map(({ name, min, max, repeats }) => ({
      name,
      min,
      max: repeats ? Number.POSITIVE_INFINITY : (max ?? 1),
    })),
    isPassthrough: command.arguments.some(({ parsing }) => parsing === 'captureForPassthrough'),
    conflicts: command.conflicts ?? [],
    get children() {
      return paths
        .filter((child) => isChild(child, path) && isKnown(child, '_command'))
        .flatMap((child) => {
          const inner = raw.commands[child];
          return inner === undefined ? [] : [compile(child, inner)];
        });
    },
  });
  const rootOptions = raw.parser.rootOptions ?? [];
  return {
    tool,
    version,
    root: compile('', { aliases: [], options: [], flags: rootOptions, arguments: [] }),
  };
}

function isChild(path: string, parent: string): boolean {
  if (parent !== '' && !path.startsWith(`${parent} `)) return false;
  return !path.slice(parent === '' ? 0 : parent.length + 1).includes(' ');
}

function compileOption(raw: RawOption): OptionSpec {
  const takesValue = raw.takesValue ?? raw.type !== undefined;
  return {
    // Messages name the long form, as the real parser's preferred name.
    names: [...raw.names].sort((a, b) => Number(b.startsWith('--')) - Number(a.startsWith('--'))),
    takesValue,
    repeats: raw.repeats ?? false,
    valueName: raw.valueHint ?? 'value',
    valueType: raw.valueType ?? raw.type ?? 'string',
    values: raw.enum ?? raw.values ?? [],
    isCaseInsensitive: raw.caseInsensitive ?? false,
    isHidden: raw.hidden ?? false,
    help: raw.help ?? '',
  };
}

function sinceOf(raw: RawGrammar, path: string, name: string): string {
  const since = raw.history.options[path]?.[name];
  if (typeof since === 'string') return since;
  if (since !== undefined) return since.since;
  return name === '_command' ? (raw.history.commands?.[path]?.since ?? '0.0.0') : '0.0.0';
}

/** Whether version `a` is `b` or older; both are three numbers. */
export function isNotAfter(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (const [at, number] of (left ?? []).entries()) {
    const other = right?.[at] ?? 0;
    if (number !== other) return number < other;
  }
  return true;
}
