/** Puts an attacker's program into a world's workspace, runs it in a guest, and reads what came of each attempt. */
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RunOutput, StartOptions, World } from '../sand.ts';

/** What each attempt gave: its value, or the name of the error. */
export type Outcomes = Readonly<Record<string, unknown>>;

export interface Probe {
  readonly outcomes: Outcomes;
  readonly output: RunOutput;
}

const PROGRAMS = [
  'attempts.py',
  'kernel.py',
  'network.py',
  'files.py',
  'workspace.py',
  'terminal.py',
] as const;

export type Program = (typeof PROGRAMS)[number];

/** `--policy` is the caller's business; `given` reaches the program as its one argument. */
export async function runProbe(
  world: World,
  program: Program,
  given: unknown,
  flags: readonly string[] = ['--policy', 'offline'],
  options: StartOptions = {},
): Promise<Probe> {
  placePrograms(world);
  const command = ['/usr/bin/python3', `/attack/programs/${program}`, JSON.stringify(given)];
  const mounts = ['--mount', '.', '--mount', `${world.root}/programs:/attack/programs:ro`];
  const output = await world.sand(['run', ...flags, ...mounts, '--', ...command], options);
  return { outcomes: outcomesOf(output), output };
}

/** Beside the workspace, so that the programs are no part of it. */
export function placePrograms(world: World): void {
  for (const name of PROGRAMS)
    cpSync(fileURLToPath(new URL(name, import.meta.url)), `${world.root}/programs/${name}`);
}

export function outcomesOf(output: RunOutput): Outcomes {
  const line = output.stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined)
    throw new Error(`the probe said nothing (${output.code}): ${output.stdout}${output.stderr}`);
  return JSON.parse(line) as Outcomes;
}

/** The outcomes whose name begins so, without that beginning. */
export function outcomesFor(outcomes: Outcomes, beginning: string): Outcomes {
  const named = Object.entries(outcomes).filter(([name]) => name.startsWith(beginning));
  return Object.fromEntries(named.map(([name, value]) => [name.slice(beginning.length), value]));
}
