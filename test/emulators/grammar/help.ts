/** The texts that the parser makes of a grammar: usage lines, the help of a command, and the dump of the whole. */
import type { ArgumentSpec, CommandSpec, Grammar, OptionSpec } from './model.ts';

/** More optional options than these are summed up in the usage line. */
const LISTED_OPTIONS = 12;
const HELP_COLUMN = 26;

export function usageLines(grammar: Grammar, command: CommandSpec): string {
  return `Usage: ${usageOf(grammar, command)}`;
}

function usageOf(grammar: Grammar, command: CommandSpec): string {
  const shown = command.options.filter(({ isHidden }) => !isHidden);
  const options = shown.length > LISTED_OPTIONS ? ['[<options>]'] : shown.map(optionUsage);
  const rest = command.children.length > 0 ? ['<subcommand>'] : command.arguments.map(argumentUsage);
  return [grammar.tool, ...command.path, ...options, ...rest].join(' ');
}

function optionUsage({ names, takesValue, repeats, valueName }: OptionSpec): string {
  const value = takesValue ? ` <${valueName}>` : '';
  return `[${names[0]}${value}]${repeats ? ' ...' : ''}`;
}

function argumentUsage({ name, min, max }: ArgumentSpec): string {
  const shown = max > 1 ? `<${name}> ...` : `<${name}>`;
  return min === 0 ? `[${shown}]` : shown;
}

export function fullHelp(grammar: Grammar, command: CommandSpec): string {
  const options = command.options
    .filter(({ isHidden }) => !isHidden)
    .map(({ names, takesValue, valueName, help }) =>
      row(`${[...names].reverse().join(', ')}${takesValue ? ` <${valueName}>` : ''}`, help),
    );
  const rows = [
    ...options,
    row('--version', 'Show the version.'),
    row('-h, --help', 'Show help information.'),
  ];
  const children = command.children.map(({ path, aliases }) => row([path.at(-1), ...aliases].join(', '), ''));
  return [
    `USAGE: ${usageOf(grammar, command)}`,
    ...(command.arguments.length === 0 ? [] : ['', 'ARGUMENTS:']),
    ...command.arguments.map(({ name }) => row(`<${name}>`, '')),
    '',
    'OPTIONS:',
    ...rows,
    ...(children.length === 0 ? [] : ['', 'SUBCOMMANDS:', ...children]),
    '',
  ].join('\n');
}

function row(left: string, right: string): string {
  const indented = `  ${left}`;
  if (right === '') return indented;
  if (indented.length < HELP_COLUMN) return indented.padEnd(HELP_COLUMN) + right;
  return `${indented}\n${' '.repeat(HELP_COLUMN)}${right}`;
}

/** What `--experimental-dump-help` prints: version 0 of the parser's own JSON. */
export function dumpHelp(grammar: Grammar): unknown {
  return { command: dumpCommand(grammar, grammar.root), serializationVersion: 0 };
}

function dumpCommand(grammar: Grammar, command: CommandSpec): unknown {
  const parents = [grammar.tool, ...command.path];
  const name = parents.pop();
  return {
    ...(command.aliases.length === 0 ? {} : { aliases: command.aliases }),
    arguments: [...command.arguments.map(dumpArgument), ...command.options.map(dumpOption)],
    commandName: name,
    shouldDisplay: true,
    ...(command.children.length === 0
      ? {}
      : { subcommands: command.children.map((child) => dumpCommand(grammar, child)) }),
    ...(parents.length === 0 ? {} : { superCommands: parents }),
  };
}

function dumpArgument({ name, min, max }: ArgumentSpec): unknown {
  return {
    isOptional: min === 0,
    isRepeating: max > 1,
    kind: 'positional',
    parsingStrategy: 'default',
    shouldDisplay: true,
    valueName: name,
  };
}

function dumpOption({ names, takesValue, repeats, valueName, values, isHidden, help }: OptionSpec): unknown {
  const dumped = names.map((name) => ({
    kind: name.startsWith('--') ? 'long' : 'short',
    name: name.replace(/^--?/, ''),
  }));
  return {
    abstract: help,
    ...(values.length === 0 ? {} : { allValues: values }),
    isOptional: true,
    isRepeating: repeats,
    kind: takesValue ? 'option' : 'flag',
    names: dumped,
    parsingStrategy: 'default',
    preferredName: dumped[0],
    shouldDisplay: !isHidden,
    ...(takesValue ? { valueName } : {}),
  };
}
