/**
 * What the commands of `sand policy` take from the process: folder, environment, clock and output. Tests hand them
 * others.
 */
import { homedir } from 'node:os';
import { relative } from 'node:path';
import type { PolicyReader } from '../../../policies/compile.ts';
import type { CompiledPolicy } from '../../../policies/model.ts';
import { usage } from '../../run/options.ts';
import { ceilingPaths, compileOrRefuse, FOUND_NAME, findPolicy } from '../../run/policy-choice.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';
import { workingFolder } from '../../run/workspace.ts';

export interface Surroundings {
  readonly cwd: string;
  readonly home: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
  readonly nowMs: number;
  readonly write: (text: string) => void;
  /** For people; never part of what a program reads. */
  readonly tell: (text: string) => void;
}

export function readSurroundings(write: (text: string) => void): Surroundings {
  return {
    cwd: workingFolder(),
    home: process.env.HOME ?? homedir(),
    environ: process.env,
    nowMs: Date.now(),
    write,
    tell: (text) => void process.stderr.write(text),
  };
}

export interface PolicyFiles {
  /** Relative to `cwd`. */
  readonly names: readonly string[];
  readonly reader: PolicyReader;
}

/**
 * The files that are named, or the one that is found: nobody has named that one, so what it extends is read inside its
 * repository only. Raises `usage` where there is none.
 */
export function filesOrFound(files: readonly string[], { cwd }: Surroundings): PolicyFiles {
  if (files.length > 0) return { names: files, reader: createPolicyReader(cwd) };
  const found = findPolicy({ cwd });
  if (found === null) {
    throw usage(`there is no ${FOUND_NAME} here`, 'name a policy file, or make one with `sand policy init`');
  }
  return { names: [asFile(relative(cwd, found.path))], reader: createPolicyReader(cwd, found.repository) };
}

/** A path that reads as a file, whatever its letters are. */
function asFile(path: string): string {
  return path.includes('/') ? path : `./${path}`;
}

/** The ceilings of this machine, as a run has them. Raises `policy-invalid`, `policy-missing`. */
export function readCeilings({
  cwd,
  environ,
}: Pick<Surroundings, 'cwd' | 'environ'>): readonly CompiledPolicy[] {
  const reader = createPolicyReader(cwd);
  return ceilingPaths(environ).map((path) =>
    compileOrRefuse([{ kind: 'named', name: path }], reader, 'ceiling'),
  );
}

/** One of a few words of a flag. Raises `usage`. */
export function oneOf<T extends string>(flag: string, value: string, known: readonly T[]): T {
  const found = known.find((word) => word === value);
  if (found !== undefined) return found;
  throw usage(`${flag} ${value}: there is no such format`, `write one of: ${known.join(', ')}`);
}
