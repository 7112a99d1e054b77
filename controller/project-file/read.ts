/** Reads a project file once, and what it names through the same reader, so that what is in force is what was judged. */
import { dirname, relative } from 'node:path';
import type { FileReading, PolicyReader } from '../../policies/compile.ts';
import type { PolicyIssue } from '../../policies/model.ts';
import { SandError } from '../errors.ts';
import { formatIssue } from '../run/policy-choice.ts';
import { createPolicyReader } from '../run/policy-reader.ts';
import { decodeProjectFile } from './decode.ts';
import { type LocatedProject, locateProject } from './locate.ts';
import type { ProjectFile } from './model.ts';
import { absolutePolicy } from './paths.ts';

export interface ReadProject {
  readonly file: ProjectFile;
  readonly bytes: Uint8Array;
  /** Reads the policies that it names; for one that was merely found, inside its repository only. */
  readonly reader: PolicyReader;
}

/** Raises `file-invalid`. */
export function readProject({ path, repository }: LocatedProject, cwd: string): ReadProject {
  const reader = remembering(createPolicyReader(cwd, repository));
  const bytes = bytesOf(path, reader.readFile(path));
  return { file: decodeOrRefuse(bytes, labelOf(path, cwd)), bytes, reader };
}

/**
 * The policies that the found project file names, for who shows or explains what a run would use; null where none is found,
 * or it names none. Raises what `locateProject` and `readProject` do.
 */
export function foundPolicies(
  cwd: string,
): { readonly path: string; readonly names: readonly string[]; readonly reader: PolicyReader } | null {
  const located = locateProject(undefined, cwd);
  if (located === null) return null;
  const { file, reader } = readProject(located, cwd);
  const names = file.policy.map(({ value }) => absolutePolicy(value, dirname(located.path)));
  return names.length === 0 ? null : { path: located.path, names, reader };
}

/** Bounded by the files of one policy. */
function remembering(reader: PolicyReader): PolicyReader {
  const seen = new Map<string, FileReading>();
  return {
    ...reader,
    readFile: (path) => {
      const reading = seen.get(path) ?? reader.readFile(path);
      seen.set(path, reading);
      return reading;
    },
  };
}

function labelOf(path: string, cwd: string): string {
  const label = relative(cwd, path);
  return label === '' || label.startsWith('..') ? path : label;
}

function bytesOf(path: string, reading: FileReading): Uint8Array {
  if (reading.kind === 'file') return reading.bytes;
  const detail = reading.kind === 'missing' ? 'it does not exist' : reading.detail;
  throw new SandError(
    'file-invalid',
    `${path} cannot be read: ${detail}`,
    'name a sand.yaml with --project-file, or leave it out with --no-project-file',
  );
}

function decodeOrRefuse(bytes: Uint8Array, label: string): ProjectFile {
  const decoded = decodeProjectFile(bytes, label);
  if (decoded.ok) return decoded.value;
  const errors: readonly PolicyIssue[] = decoded.issues;
  throw new SandError(
    'file-invalid',
    errors.slice(0, 20).map(formatIssue).join('\n'),
    'mend it, or leave it out with --no-project-file',
    { details: { issues: errors } },
  );
}
