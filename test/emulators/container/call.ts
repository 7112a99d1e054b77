/** One call of the tool, as its verbs see it, and how they read options and print. */
import type { Grammar } from '../grammar/model.ts';
import type { ParsedCommand } from '../grammar/parse.ts';
import type { Home } from './home.ts';
import type { Settings } from './settings.ts';

export interface Call {
  readonly grammar: Grammar;
  readonly parsed: ParsedCommand;
  readonly home: Home;
  readonly settings: Settings;
}

/** Resolves to the exit status; rejects with a `Failure`. */
export type Verb = (call: Call) => Promise<number>;

export function hasFlag({ parsed }: Call, name: string): boolean {
  return parsed.flags.has(name);
}

/** Of a single-value option the last one counts. */
export function optionValue({ parsed }: Call, name: string): string | null {
  return parsed.values.get(name)?.at(-1) ?? null;
}

export function optionValues({ parsed }: Call, name: string): readonly string[] {
  return parsed.values.get(name) ?? [];
}

export function argumentAt({ parsed }: Call, at: number): string {
  return parsed.arguments[at] ?? '';
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** 0.x printed other shapes than 1.x. */
export function isOld({ settings }: Call): boolean {
  return settings.version.startsWith('0.');
}
