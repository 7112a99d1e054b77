/**
 * What a project file asks for beyond a run without one, in sentences for the person who is asked. A file that was merely
 * found is a stranger's word, and what it takes away from the guest needs nobody's consent. Pure; `facts.ts` gathers what
 * of the host decides.
 */

import { ISOLATIONS, type Isolation } from '../backends/backend.ts';
import { PROJECT_LIMITS } from './limits.ts';
import type { ProjectFile } from './model.ts';
import { isPath, readSecretText } from './paths.ts';

export interface Strength {
  readonly isolation: Isolation;
  readonly confinement: 'enforced' | 'cooperative';
}

/** Paths are real. */
export interface ProjectFacts {
  /** What a plain run would mount. */
  readonly workingFolder: string;
  readonly repository: string;
  /** Of each mount of the file, in its order. */
  readonly sources: readonly string[];
  /** Of each authority, in its order: what it is, by its content. */
  readonly authorities: readonly { readonly path: string; readonly digest: string }[];
  /** Of each secret, in its order; null for one that is no file. */
  readonly secrets: readonly (string | null)[];
  /** Of the image, where it is a path. */
  readonly image: string | null;
  /** What is built, where the file asks for that: the real paths of the Dockerfile and of what it copies from. */
  readonly build: { readonly path: string; readonly digest: string; readonly context: string } | null;
  /** The policies of the file: what they resolve to, and how that is wider than `strict`. */
  readonly policy: { readonly digest: string; readonly because: readonly string[] } | null;
  /** Of a run without the file, and with it. */
  readonly plain: Strength;
  readonly asked: Strength;
  readonly isRoot: boolean;
  /** Another such file between this one and the repository's root, which this one stands before. */
  readonly shadowed: string | null;
}

/** Empty where the file asks for no more than a run without it. Each completes "sand.yaml …". */
export function wideningOf(file: ProjectFile, facts: ProjectFacts): readonly string[] {
  return [
    ...(facts.shadowed === null ? [] : [`stands in place of ${facts.shadowed}`]),
    ...file.mounts.flatMap(({ value }, at) => mountWidening(facts.sources[at], value.writable, facts)),
    ...file.shares.map(({ value }) => `shares your ${value} with the guest`),
    ...file.environment.flatMap(({ value }) => variableWidening(value)),
    ...file.secrets.map(({ value }, at) => secretWidening(value, facts.secrets[at] ?? null)),
    ...file.ports.map(({ value }) => portWidening(value)),
    ...facts.authorities.map(({ path }) => `has the guest trust the certificate authority in ${path}`),
    ...imageWidening(file, facts),
    ...buildWidening(facts),
    ...userWidening(file, facts),
    ...strengthWidening(facts),
    ...policyWidening(facts),
  ];
}

/** Fail closed: a mount whose source is not known is asked about. */
function mountWidening(
  source: string | undefined,
  writable: boolean,
  { workingFolder, repository }: ProjectFacts,
): readonly string[] {
  const how = writable ? 'writable' : 'to be read';
  if (source === undefined) return [`mounts a folder that is not known, ${how}`];
  if (!isWithin(source, repository)) return [`mounts ${source}, outside the repository, ${how}`];
  if (!isWithin(source, workingFolder)) return [`mounts ${source}, outside the working directory, ${how}`];
  return writable && isGuarded(source.slice(workingFolder.length))
    ? [`mounts ${source} writable, where the host may run or trust what a guest writes`]
    : [];
}

/**
 * What the host would run or trust is read-only in a working directory, but not in a mount that names it. Such names all
 * begin with a dot or with `sand.`.
 */
function isGuarded(below: string): boolean {
  return below.split('/').some((name) => name.startsWith('.') || name.startsWith('sand.'));
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}

/** By these the system's own programs load code, those too by which sand looks at the guest before its command runs. */
const LOADS_CODE = /^(LD_.*|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|ENV|BASH_ENV)$/;

function variableWidening({ name, value }: { readonly name: string; readonly value: string | null }) {
  if (value === null) return [`passes your own ${name} to the guest`];
  return LOADS_CODE.test(name) ? [`sets ${name}, by which programs load code`] : [];
}

function secretWidening(text: string, path: string | null): string {
  const secret = readSecretText(text);
  const from = path ?? secret?.source ?? 'a place that is not known';
  return `gives the guest the secret ${secret?.name ?? 'of no name'}, from ${from}`;
}

/** On loopback too: whatever runs on the host reaches the guest there. */
function portWidening(text: string): string {
  const isLoopback = /^((127\.0\.0\.1|\[::1\]):)?\d*:?\d+$/.test(text);
  return isLoopback
    ? `publishes ${text} on this host’s loopback, a way into the guest`
    : `publishes ${text}, a way into the guest, perhaps from other machines`;
}

function imageWidening({ image }: ProjectFile, facts: ProjectFacts): readonly string[] {
  if (image === null) return [];
  const isOwn = isPath(image.value) && facts.image !== null && isWithin(facts.image, facts.repository);
  return isOwn ? [] : [`uses the image ${facts.image ?? image.value}, from outside the repository`];
}

/** A builder runs what the Dockerfile says, and what that fetches, on the host's own network. */
function buildWidening({ build, repository }: ProjectFacts): readonly string[] {
  if (build === null) return [];
  const isOwn = isWithin(build.context, repository);
  return [
    `builds an image from ${build.path}, outside the policy, with a network of the builder’s own`,
    ...(isOwn ? [] : [`has the builder read ${build.context}, outside the repository`]),
  ];
}

/** Of a root caller any user is another than the guest would have. */
function userWidening({ user }: ProjectFile, { isRoot }: ProjectFacts): readonly string[] {
  if (user === null) return [];
  const isOrdinary = /^[1-9]\d*(:[1-9]\d*)?$/.test(user.value);
  return isOrdinary && !isRoot ? [] : [`runs the command as the user ${user.value}`];
}

function strengthWidening({ plain, asked }: ProjectFacts): readonly string[] {
  const isWeaker = ISOLATIONS.indexOf(asked.isolation) < ISOLATIONS.indexOf(plain.isolation);
  const isLoose = plain.confinement === 'enforced' && asked.confinement !== 'enforced';
  return [
    ...(isWeaker ? [`isolates the guest by ${asked.isolation} only, and not by ${plain.isolation}`] : []),
    ...(isLoose ? ['leaves it to the guest to use its gateway'] : []),
  ];
}

function policyWidening({ policy }: ProjectFacts): readonly string[] {
  if (policy === null) return [];
  const shown = policy.because.slice(0, PROJECT_LIMITS.policySentences);
  const left = policy.because.length - shown.length;
  const more = left === 0 ? [] : [`has a policy that is wider than strict in ${left} more ways`];
  return [...shown.map((sentence) => `has a policy that is wider than strict: ${sentence}`), ...more];
}
