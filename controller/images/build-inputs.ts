/**
 * What a build of a Dockerfile depends on, as one digest: an image of the same inputs is not built again. What the base
 * images and the registries behind the build give is none of them, and is looked at when somebody builds anew.
 */
import { createHash } from 'node:crypto';
import { type Dirent, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../errors.ts';
import { readIgnored } from './ignore-patterns.ts';
import { IMAGE_LIMITS } from './limits.ts';
import type { BuildPlan } from './prepared.ts';

const DIGITS = 32;

/**
 * Whether anything of the context can get into the image. Fail closed: a word of these anywhere counts, also where it is
 * a comment, and then the whole context does.
 */
export function usesContext(text: string): boolean {
  return /\b(COPY|ADD|ONBUILD|INCLUDE)\b|--mount\b/i.test(text);
}

/** Of the Dockerfile's text, the platform and the context as it is now. Raises `build-failed` where it cannot be read. */
export function digestInputs(build: BuildPlan, platform: string): string {
  const hash = createHash('sha256').update(JSON.stringify([platform, build.text]));
  if (usesContext(build.text)) for (const line of contextLines(build)) hash.update(`${line}\n`);
  return hash.digest('hex').slice(0, DIGITS);
}

/** A line for each file: by its size and time, as `make` would, since reading gigabytes before each run would not do. */
function contextLines({ path: dockerfile, context }: BuildPlan): readonly string[] {
  const ignored = readIgnored(readOwnIgnored(dockerfile) ?? readText(join(context, '.dockerignore')) ?? '');
  const folders = [''];
  const lines: string[] = [];
  for (const folder of folders) {
    for (const entry of entriesOf(join(context, folder))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      const isOut = ignored.leavesOut(path);
      if (entry.isDirectory()) {
        if (!isOut || ignored.hasExceptions) folders.push(path);
        continue;
      }
      if (isOut) continue;
      lines.push(lineOf(context, path, entry));
      if (lines.length > IMAGE_LIMITS.contextFiles) throw tooMany(context);
    }
    if (folders.length > IMAGE_LIMITS.contextFiles) throw tooMany(context);
  }
  return lines.sort();
}

function lineOf(context: string, path: string, entry: Dirent): string {
  const at = join(context, path);
  const stat = lstatSync(at, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return JSON.stringify([path]);
  const { mode, size, mtimeNs } = stat;
  if (entry.isSymbolicLink()) return JSON.stringify([path, readlinkSync(at)]);
  return JSON.stringify([path, `${mode}`, `${size}`, `${mtimeNs}`]);
}

function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SandError(
      'build-failed',
      `the context of the build cannot be read: ${why}`,
      'leave it out in .dockerignore, or give the build a context of its own',
    );
  }
}

/** What stands beside the Dockerfile under its name counts in place of the context's; null: there is none. */
export function readOwnIgnored(dockerfile: string): string | null {
  return readText(`${dockerfile}.dockerignore`);
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').slice(0, IMAGE_LIMITS.configBytes);
  } catch {
    return null;
  }
}

function tooMany(context: string): SandError {
  return new SandError(
    'build-failed',
    `${context} has more than ${IMAGE_LIMITS.contextFiles} files for a build`,
    'give the build a context of its own: build: {file: ./Dockerfile, context: ./image}',
  );
}
