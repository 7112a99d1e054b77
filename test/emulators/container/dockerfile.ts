/** Reads a Dockerfile into its instructions; which of them are done is left to building.ts. */
import { Failure } from './failure.ts';

export interface Instruction {
  readonly name: string;
  /** `--name=value` before the rest. */
  readonly flags: Readonly<Record<string, string>>;
  readonly rest: string;
}

export function parseDockerfile(text: string): readonly Instruction[] {
  const lines = text.replace(/\\[ \t]*\n(?:[ \t]*#.*\n)*/g, ' ').split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = /^([A-Za-z]+)\s+((?:--[\w.-]+=\S+\s+)*)(.*)$/.exec(line);
      if (match === null) throw new Failure(`dockerfile parse error: unknown instruction: ${line}`);
      const [, name = '', flags = '', rest = ''] = match;
      return { name: name.toUpperCase(), flags: parseFlags(flags), rest };
    });
}

function parseFlags(text: string): Readonly<Record<string, string>> {
  const words = text.trim() === '' ? [] : text.trim().split(/\s+/);
  return Object.fromEntries(
    words.map((word) => [word.slice(2, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );
}

/** The exec form is a JSON array; anything else is for the shell. */
export function commandOf(rest: string): readonly string[] {
  if (!rest.startsWith('[')) return ['/bin/sh', '-c', rest];
  const words: unknown = JSON.parse(rest);
  if (!Array.isArray(words)) throw new Failure(`dockerfile parse error: ${rest}`);
  return words.map(String);
}

/** `NAME=value` pairs with quotes, or the older `NAME value`. */
export function pairsOf(rest: string): readonly (readonly [string, string])[] {
  const [first = ''] = rest.split(/\s/, 1);
  if (!first.includes('=')) return [[first, rest.slice(first.length).trim()]];
  return [...rest.matchAll(/([\w.-]+)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S*))/g)].map(
    ([, name = '', double, single, bare]) => [name, double?.replace(/\\(.)/g, '$1') ?? single ?? bare ?? ''],
  );
}

/** `$NAME`, `${NAME}` and `${NAME:-default}`. */
export function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(
    /\\\$|\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})/g,
    (all, bare: string | undefined, braced: string | undefined, otherwise: string | undefined) => {
      if (all === '\\$') return '$';
      const value = values.get(bare ?? braced ?? '') ?? '';
      return value === '' ? (otherwise ?? '') : value;
    },
  );
}
