/** One call of the emulated `tart`, as its verbs see it, and how they read options and end. */
import { Failure } from '../container/failure.ts';
import type { Grammar } from '../grammar/model.ts';
import type { ParsedCommand } from '../grammar/parse.ts';
import type { TartHome } from './home.ts';
import type { Settings } from './settings.ts';

export interface Call {
  readonly grammar: Grammar;
  readonly parsed: ParsedCommand;
  readonly home: TartHome;
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

/** Statuses that the tool keeps for VMs which are not there, do not run, or run already. */
export const STATE_STATUS = 2;

export function missingVm(name: string): Failure {
  return new Failure(`the specified VM "${name}" does not exist`, STATE_STATUS);
}

export function notRunning(name: string): Failure {
  return new Failure(`VM "${name}" is not running`, STATE_STATUS);
}
