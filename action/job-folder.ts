/**
 * What steps of one job leave for those after them, in the action's own folder, where no guest can write: what a guest set for later
 * guests, how the shell was offered, and what was found for the comment at the end.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry } from './command-file.ts';
import type { Handover } from './handover.ts';
import type { StepInputs } from './invocation.ts';
import { LIMITS } from './limits.ts';
import { list, objectOf, parseObject } from './report.ts';
import { freshToken, readBounded } from './runner-files.ts';
import type { StepResult } from './summary.ts';

export interface StepConfig {
  /** The words that start sand. */
  readonly sand: readonly string[];
  readonly inputs: StepInputs;
  readonly workspace: string;
  /** The action's own, where no guest can write. */
  readonly folder: string;
}

/** What guests of this job wrote for those after them. */
export interface Kept {
  readonly guestEnv: readonly Entry[];
  readonly guestPath: readonly string[];
}

const KEPT_FILE = 'guests.json';

export function readKept(folder: string): Kept {
  const value = parseObject(readBounded(join(folder, KEPT_FILE), LIMITS.reportBytes) ?? '');
  const guestEnv = list(value?.guestEnv).flatMap((entry) => {
    const { name, value: text } = objectOf(entry) ?? {};
    return typeof name === 'string' && typeof text === 'string' ? [{ name, value: text }] : [];
  });
  return { guestEnv, guestPath: list(value?.guestPath).filter((path) => typeof path === 'string') };
}

/** The last value of a name counts, and a path that comes again comes first. Together they stay what one guest may write. */
export function keep(folder: string, before: Kept, { guestEnv, guestPath }: Handover): void {
  const entries = new Map([...before.guestEnv, ...guestEnv].map((entry) => [entry.name, entry]));
  let bytes = 0;
  const bounded = [...entries.values()].filter(({ value }) => {
    bytes += Buffer.byteLength(value);
    return bytes <= LIMITS.guestVariablesBytes;
  });
  const paths = [...new Set([...before.guestPath, ...guestPath].reverse())].reverse().slice(-100);
  const temporary = join(folder, `${KEPT_FILE}.new`);
  writeFileSync(temporary, JSON.stringify({ guestEnv: bounded, guestPath: paths }), { mode: 0o600 });
  renameSync(temporary, join(folder, KEPT_FILE));
}

const STEPS_FOLDER = 'steps';

/** For the comment when the job ends. */
export function recordStep(folder: string, result: StepResult): void {
  mkdirSync(join(folder, STEPS_FOLDER), { recursive: true });
  writeFileSync(join(folder, STEPS_FOLDER, `${Date.now()}-${freshToken()}.json`), JSON.stringify(result), {
    mode: 0o600,
  });
}

/** In their order. What is no such file is left out. */
export function readSteps(folder: string): readonly StepResult[] {
  const place = join(folder, STEPS_FOLDER);
  if (!existsSync(place)) return [];
  return readdirSync(place)
    .sort()
    .slice(0, LIMITS.steps)
    .flatMap((name) => {
      const text = readBounded(join(place, name), LIMITS.reportBytes);
      // Written by `recordStep` alone, where no guest can write.
      return text === null ? [] : [JSON.parse(text) as StepResult];
    });
}

export function readConfig(path: string): StepConfig {
  return JSON.parse(readFileSync(path, 'utf8')) as StepConfig;
}
