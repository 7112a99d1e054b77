/**
 * A project file on disk → the settings of a run: read once, decoded, joined with the flags, and, where it was merely
 * found, consented to. What the settings do is for whoever plans the run.
 */
import { dirname } from 'node:path';
import type { PolicyReader } from '../../policies/compile.ts';
import type { BuildPlan } from '../images/prepared.ts';
import { configFolder } from '../run/policy-choice.ts';
import { requireBuildConsent } from './build-consent.ts';
import { requireProjectConsent } from './consent.ts';
import { gatherFacts } from './facts.ts';
import type { LocatedProject } from './locate.ts';
import { type AskedSettings, type MergedSettings, mergeProject, remainderOf } from './merge.ts';
import type { ProjectFile } from './model.ts';
import { readProject } from './read.ts';

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
  /** The Dockerfile that was consented to; null: none is asked for, or a flag names an image. */
  readonly build: BuildPlan | null;
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
  const { file, bytes, reader } = readProject(located, cwd);
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
  const folder = configFolder(environ, home);
  if (repository !== null) {
    await requireProjectConsent({ path, bytes, file: rest, facts, folder, environ });
  }
  const { build } = facts;
  if (build !== null) await requireBuildConsent({ build, isConsented: repository !== null, folder, environ });
  const isConsented = repository !== null && policies.length > 0;
  return { ...merged, file, inForce: { path, policies: isConsented ? reader : null, build } };
}
