/**
 * A project file on disk → the settings of a run: read once, decoded, joined with the flags, and, where it was merely
 * found, consented to. What the settings do is for whoever plans the run.
 */
import { dirname, relative } from 'node:path';
import type { FileReading, PolicyReader } from '../../policies/compile.ts';
import type { PolicyIssue } from '../../policies/model.ts';
import { SandError } from '../errors.ts';
import { configFolder, formatIssue } from '../run/policy-choice.ts';
import { createPolicyReader } from '../run/policy-reader.ts';
import { requireProjectConsent } from './consent.ts';
import { decodeProjectFile } from './decode.ts';
import { gatherFacts } from './facts.ts';
import type { LocatedProject } from './locate.ts';
import { type AskedSettings, type MergedSettings, mergeProject, remainderOf } from './merge.ts';
import type { ProjectFile } from './model.ts';

export interface ProjectContext {
  readonly cwd: string;
  readonly home: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
}

/** What of a project file a run needs to know beside its settings. */
export interface ProjectInForce {
  /** Read-only in the guest wherever a mount shows it. */
  readonly path: string;
  /** Gives the policies that were consented to with the file; null where the file was named, or names none. */
  readonly policies: PolicyReader | null;
}

export interface OpenedProject extends MergedSettings {
  /** As it is written. */
  readonly file: ProjectFile;
  readonly inForce: ProjectInForce;
}

/** Raises `file-invalid`, `workspace-refused`, `project-unapproved`, and what a policy can raise. */
export async function openProject(
  located: LocatedProject,
  flags: AskedSettings,
  { cwd, home, environ }: ProjectContext,
): Promise<OpenedProject> {
  const { path, repository } = located;
  const reader = remembering(createPolicyReader(cwd, repository));
  const bytes = bytesOf(path, reader.readFile(path));
  const file = decodeOrRefuse(bytes, labelOf(path, cwd));
  const rest = remainderOf(file, flags);
  const merged = mergeProject(file, flags, { folder: dirname(path), caller: environ });
  const policies = flags.policies.length > 0 ? [] : merged.asked.policies;
  const facts = await gatherFacts({
    located,
    file: rest,
    policies: repository === null ? [] : policies,
    flags,
    cwd,
    reader,
  });
  if (repository !== null) {
    const folder = configFolder(environ, home);
    await requireProjectConsent({ path, bytes, file: rest, facts, folder, environ });
  }
  const isConsented = repository !== null && policies.length > 0;
  return { ...merged, file, inForce: { path, policies: isConsented ? reader : null } };
}

/** Each file is read once, so that what is in force is what was judged. Bounded by the files of one policy. */
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
