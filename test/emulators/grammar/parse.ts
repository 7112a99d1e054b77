/**
 * Parses a command line by a grammar, with the rules of swift-argument-parser and its words for what is wrong.
 * What a command itself checks afterwards is left to it, as `refusal` in the same style.
 */
import { fullHelp, usageLines } from './help.ts';
import type { CommandSpec, Grammar, OptionSpec } from './model.ts';
import { splitArguments, type Token } from './tokens.ts';
import { checkValue } from './values.ts';

export const USAGE_STATUS = 64;

/** A command line that is fine. */
export interface ParsedCommand {
  readonly kind: 'command';
  readonly command: CommandSpec;
  readonly arguments: readonly string[];
  /** The names of flags given, in their first form. */
  readonly flags: ReadonlySet<string>;
  /** Values by the option's first name, in the order given. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

export interface Refused {
  readonly kind: 'refused';
  readonly status: number;
  readonly stderr: string;
}

export type ParseResult =
  | ParsedCommand
  | Refused
  | { readonly kind: 'printed'; readonly stdout: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'dump' }
  /** A first word that no command has; the tool may look for a plugin. */
  | { readonly kind: 'unknown'; readonly word: string; readonly command: CommandSpec };

const HELP = ['-h', '--help', '--help-hidden'];

export function parseCommandLine(grammar: Grammar, words: readonly string[]): ParseResult {
  const split = splitArguments(words);
  if (!split.ok) return refusal(grammar, grammar.root, split.message);
  const found = descend(grammar, split.tokens, words);
  if (!('command' in found) || 'kind' in found) return found;
  const { command, rest, seen } = found;
  if (command.children.length > 0) return answerGroup(grammar, command, rest);
  return parseLeaf(grammar, command, rest, words, seen);
}

/** `Error: …`, how the command is used, and where more is told. */
export function refusal(
  grammar: Grammar,
  command: CommandSpec,
  message: string,
  option?: OptionSpec,
): Refused {
  const names = option === undefined ? '' : [...option.names].reverse().join(', ');
  const value = option?.takesValue === true ? ` <${option.valueName}>` : '';
  const hint = option === undefined ? '' : `Help:  ${names}${value}  ${option.help}\n`;
  const call = [grammar.tool, ...command.path].join(' ');
  const stderr = `Error: ${message}\n${hint}${usageLines(grammar, command)}\n  See '${call} --help' for more information.\n`;
  return { kind: 'refused', status: USAGE_STATUS, stderr };
}

interface Descent {
  readonly command: CommandSpec;
  readonly rest: readonly Token[];
  readonly seen: ReadonlySet<string>;
}

/** Follows the words to a command; options of the groups on the way are taken before the next word. */
function descend(
  grammar: Grammar,
  tokens: readonly Token[],
  words: readonly string[],
): ParseResult | Descent {
  if (words.length === 1 && words[0] === '--version') return { kind: 'version' };
  const seen = new Set<string>();
  let command = grammar.root;
  let at = 0;
  for (let children = command.children; children.length > 0; at += 1) {
    const token = tokens[at];
    if (token === undefined || token.kind === 'terminator') break;
    if (token.kind === 'option') {
      const known = command.options.find(({ names }) => names.includes(token.name));
      if (known === undefined) break;
      seen.add(known.names[0] ?? '');
      continue;
    }
    if (command === grammar.root && token.text === 'help') return helpOf(grammar, words.slice(token.at + 1));
    const next = childOf(command, token.text);
    if (next === undefined) return { kind: 'unknown', word: token.text, command };
    command = next;
    children = next.children;
  }
  return { command, rest: tokens.slice(at), seen };
}

function childOf(command: CommandSpec, word: string): CommandSpec | undefined {
  return command.children.find(({ path, aliases }) => path.at(-1) === word || aliases.includes(word));
}

function helpOf(grammar: Grammar, words: readonly string[]): ParseResult {
  let command = grammar.root;
  for (const word of words) command = childOf(command, word) ?? command;
  return { kind: 'printed', stdout: fullHelp(grammar, command) };
}

function builtIn(grammar: Grammar, command: CommandSpec, name: string): ParseResult | null {
  if (command.options.some(({ names }) => names.includes(name))) return null;
  if (HELP.includes(name)) return { kind: 'printed', stdout: fullHelp(grammar, command) };
  if (name === '--version') return { kind: 'version' };
  if (name === '--experimental-dump-help') return { kind: 'dump' };
  return null;
}

function answerGroup(grammar: Grammar, command: CommandSpec, rest: readonly Token[]): ParseResult {
  const token = rest.find(({ kind }) => kind === 'option');
  if (token?.kind !== 'option') return { kind: 'printed', stdout: fullHelp(grammar, command) };
  return builtIn(grammar, command, token.name) ?? refusal(grammar, command, `Unknown option '${token.name}'`);
}

function parseLeaf(
  grammar: Grammar,
  command: CommandSpec,
  tokens: readonly Token[],
  words: readonly string[],
  seen: ReadonlySet<string>,
): ParseResult {
  const flags = new Set(seen);
  const values = new Map<string, readonly string[]>();
  const given: string[] = [];
  let problem: Refused | null = null;
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined || token.kind === 'terminator') continue;
    if (token.kind === 'value') {
      if (command.isPassthrough) {
        given.push(...words.slice(token.at));
        break;
      }
      given.push(token.text);
      continue;
    }
    const special = builtIn(grammar, command, token.name);
    // Help is given even where something before it is wrong.
    if (special !== null) return special;
    const taken = takeOption(grammar, command, token, tokens[at + 1]);
    if (taken.kind === 'refused') {
      problem ??= taken;
      continue;
    }
    if (taken.value === null) flags.add(taken.name);
    else values.set(taken.name, [...(values.get(taken.name) ?? []), taken.value]);
    if (taken.tookNext) at += 1;
  }
  problem ??= checkArguments(grammar, command, given) ?? checkConflicts(grammar, command, flags, values);
  return problem ?? { kind: 'command', command, arguments: given, flags, values };
}

type Taken =
  | Refused
  | {
      readonly kind: 'taken';
      readonly name: string;
      readonly value: string | null;
      readonly tookNext: boolean;
    };

function takeOption(
  grammar: Grammar,
  command: CommandSpec,
  token: Token & { kind: 'option' },
  next: Token | undefined,
): Taken {
  const option = command.options.find(({ names }) => names.includes(token.name));
  if (option === undefined) {
    return refusal(grammar, command, `Unknown option '${token.name}'${suggestion(command, token.name)}`);
  }
  const name = option.names[0] ?? token.name;
  if (!option.takesValue) {
    if (token.attached === null) return { kind: 'taken', name, value: null, tookNext: false };
    const message = `The option '${token.name}' does not take any value, but '${token.attached}' was specified.`;
    return refusal(grammar, command, message);
  }
  const follows = !token.isFollowed && next?.kind === 'value' ? next.text : null;
  const value = token.attached ?? follows;
  const shown = `${token.name} <${option.valueName}>`;
  if (value === null) return refusal(grammar, command, `Missing value for '${shown}'`, option);
  const wrong = checkValue(option, value);
  if (wrong !== null) {
    return refusal(grammar, command, `The value '${value}' is invalid for '${shown}'${wrong}`, option);
  }
  return { kind: 'taken', name, value, tookNext: token.attached === null };
}

/** The nearest long name, where one is near enough to be meant. */
function suggestion(command: CommandSpec, wrong: string): string {
  const near = command.options
    .flatMap(({ names, isHidden }) => (isHidden ? [] : names))
    .filter((name) => name.startsWith('--'))
    .map((name) => ({ name, distance: editDistance(name, wrong) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return near === undefined || near.distance >= 4 ? '' : `. Did you mean '${near.name}'?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [y, letter] of [...a].entries()) {
    const next = [y + 1];
    for (const [x, other] of [...b].entries()) {
      const replaced = (row[x] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[x + 1] ?? 0) + 1, (next[x] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function checkArguments(grammar: Grammar, command: CommandSpec, given: readonly string[]): Refused | null {
  let left = given.length;
  for (const { name, min, max } of command.arguments) {
    if (left < min) {
      const shown = max > 1 ? `<${name}> ...` : `<${name}>`;
      return refusal(grammar, command, `Missing expected argument '${shown}'`);
    }
    left -= Math.min(left, max);
  }
  const surplus = left === 0 ? [] : given.slice(-left);
  if (surplus.length === 0) return null;
  const listed = surplus.map((word) => `'${word}'`).join(', ');
  const message =
    surplus.length === 1 ? `Unexpected argument ${listed}` : `${left} unexpected arguments: ${listed}`;
  return refusal(grammar, command, message);
}

function checkConflicts(
  grammar: Grammar,
  command: CommandSpec,
  flags: ReadonlySet<string>,
  values: ReadonlyMap<string, readonly string[]>,
): Refused | null {
  for (const { flag, with: others } of command.conflicts) {
    const other = others.find((name) => values.has(name) || flags.has(name));
    if (flags.has(flag) && other !== undefined) {
      return refusal(grammar, command, `\`${flag}\` cannot be used with any of \`${others.join('`, `')}\``);
    }
  }
  return null;
}
