/** Gathers what of the host decides whether a project file asks for more than a run without it. */
import { createHash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { PolicyReader } from '../../policies/compile.ts';
import { DEFAULT_BACKEND } from '../backends/backend.ts';
import { BACKEND_NAMES, createBackend } from '../backends/registry.ts';
import { SandError } from '../errors.ts';
import type { BuildPlan } from '../images/prepared.ts';
import { findUpward } from '../run/found-file.ts';
import { compileOrRefuse } from '../run/policy-choice.ts';
import { createPolicyReader } from '../run/policy-reader.ts';
import { PROJECT_LIMITS } from './limits.ts';
import type { LocatedProject } from './locate.ts';
import type { AskedSettings } from './merge.ts';
import { type BuildText, formatPlace, type Placed, PROJECT_FILE_NAME, type ProjectFile } from './model.ts';
import { isPath, readSecretText } from './paths.ts';
import type { ProjectFacts, Strength } from './widening.ts';

export interface FactsRequest {
  readonly located: LocatedProject;
  /** Without what flags say in its place. */
  readonly file: ProjectFile;
  /** Names of policies as they are handed on: files absolute. */
  readonly policies: readonly string[];
  readonly flags: Pick<AskedSettings, 'backend'>;
  readonly cwd: string;
  /** Reads the policies. */
  readonly reader: PolicyReader;
}

export interface GatheredFacts extends ProjectFacts {
  readonly build: (BuildPlan & { readonly digest: string }) | null;
}

/** Raises `file-invalid` and `workspace-refused` with the place of what is not there. */
export async function gatherFacts(request: FactsRequest): Promise<GatheredFacts> {
  const { located, file, flags, cwd } = request;
  const folder = dirname(located.path);
  return {
    workingFolder: realpathSync.native(cwd),
    repository: located.repository ?? realpathSync.native(folder),
    sources: file.mounts.map(({ value, at }) => realOf({ value: value.source, at }, folder)),
    authorities: file.trustCa.map((placed) => readDigest(placed, folder)),
    secrets: file.secrets.map(({ value, at }) => {
      const path = readSecretText(value)?.path ?? null;
      return path === null ? null : realOf({ value: path, at }, folder);
    }),
    image: file.image !== null && isPath(file.image.value) ? realOf(file.image, folder) : null,
    build: file.build === null ? null : readBuild(file.build, folder, request.reader),
    policy: request.policies.length === 0 ? null : await policyFacts(request),
    plain: strengthOf(flags.backend, null, null),
    asked: strengthOf(flags.backend, file.backend, file.isolation?.value ?? null),
    isRoot: process.getuid?.() === 0,
    shadowed: shadowedBy(folder, located.repository),
  };
}

/**
 * Raises `workspace-refused` where a path below the file's folder leads out of it: such a link may be a guest's work of
 * an earlier run, and what it leads to is not what was reviewed.
 */
export function realOf({ value, at }: Placed<string>, folder: string): string {
  const named = resolve(folder, value);
  const place = formatPlace(at);
  let real: string;
  try {
    real = realpathSync.native(named);
  } catch {
    const hint = 'name a file or folder that exists, absolute or relative to the file';
    throw new SandError('workspace-refused', `${place}: ${named} does not exist`, hint);
  }
  const here = realpathSync.native(folder);
  if (!isBelow(named, folder) || real === here || isBelow(real, here)) return real;
  throw new SandError(
    'workspace-refused',
    `${place}: ${named} is a link that leads out of ${here}, to ${real}`,
    'if that is what you mean, name the place itself',
  );
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

function readDigest(placed: Placed<string>, folder: string): ProjectFacts['authorities'][number] {
  const path = realOf(placed, folder);
  const reading = createPolicyReader(folder).readFile(path);
  if (reading.kind === 'file')
    return { path, digest: createHash('sha256').update(reading.bytes).digest('hex') };
  const detail = reading.kind === 'missing' ? 'it does not exist' : reading.detail;
  const message = `${formatPlace(placed.at)}: ${path} cannot be read: ${detail}`;
  throw new SandError('file-invalid', message, 'name a PEM file');
}

/** Read once: what is consented to is what is built. */
export function readBuild(
  { value, at }: Placed<BuildText>,
  folder: string,
  reader: PolicyReader,
): NonNullable<GatheredFacts['build']> {
  const path = realOf({ value: value.file, at }, folder);
  const reading = reader.readFile(path);
  const place = formatPlace(at);
  if (reading.kind !== 'file') {
    const detail = reading.kind === 'missing' ? 'it does not exist' : reading.detail;
    throw new SandError('file-invalid', `${place}: ${path} cannot be read: ${detail}`, 'name a Dockerfile');
  }
  if (reading.bytes.byteLength > PROJECT_LIMITS.dockerfileBytes) {
    const most = PROJECT_LIMITS.dockerfileBytes / 1024;
    throw new SandError('file-invalid', `${place}: ${path} is longer than ${most} KiB`, 'shorten it');
  }
  const context = realOf({ value: value.context ?? dirname(value.file), at }, folder);
  if (!statSync(context).isDirectory())
    throw new SandError('file-invalid', `${place}: ${context} is no folder`, 'name the folder to copy from');
  const digest = createHash('sha256').update(reading.bytes).digest('hex');
  return { path, digest, context, text: Buffer.from(reading.bytes).toString('utf8') };
}

async function policyFacts({ policies, reader }: FactsRequest): Promise<ProjectFacts['policy']> {
  const compiled = compileOrRefuse(
    policies.map((name) => ({ kind: 'named', name })),
    reader,
  );
  const strict = compileOrRefuse([{ kind: 'named', name: 'strict' }], reader);
  // Only what was found is compared, so that other runs do not wait for what compares.
  const { widerThanStrict } = await import('../../policies/widening.ts');
  const widening = widerThanStrict(compiled, strict);
  return { digest: compiled.digest, because: widening.wider ? widening.because : [] };
}

function strengthOf(
  flag: string | null,
  written: Placed<string> | null,
  isolation: Strength['isolation'] | null,
): Strength {
  if (flag === null && written !== null && !BACKEND_NAMES.includes(written.value)) {
    const message = `${formatPlace(written.at)}: there is no backend ${written.value}`;
    throw new SandError('file-invalid', message, `write one of: ${BACKEND_NAMES.join(', ')}`);
  }
  const { capabilities } = createBackend(flag ?? written?.value ?? DEFAULT_BACKEND);
  return { isolation: isolation ?? capabilities.isolation, confinement: capabilities.confinement };
}

/** A guest that may write a folder can put a file of its own before the one that was reviewed. */
function shadowedBy(folder: string, repository: string | null): string | null {
  if (repository === null || realpathSync.native(folder) === repository) return null;
  return findUpward(dirname(folder), PROJECT_FILE_NAME)?.path ?? null;
}
