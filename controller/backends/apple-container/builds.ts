/**
 * Builds the image that a Dockerfile describes, by the tool's builder: a machine of its own with the whole Internet, which no
 * policy of sand's holds. What is built is the text that was consented to, and no file that a guest could have changed since.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { SandError } from '../../errors.ts';
import { digestInputs, readOwnIgnored, usesContext } from '../../images/build-inputs.ts';
import type { BuildFlag, BuildPlan, ImageSurroundings, PreparedImage } from '../../images/prepared.ts';
import { planImageBuild } from './image-argv.ts';
import { findImage, HOST_PLATFORM, preparedImage } from './images.ts';
import { runShown } from './shown.ts';
import { TOOL_LIMITS } from './tool.ts';

/** A host that never is: nobody can be asked for such an image, so none of that name comes from elsewhere. */
const HOST = 'sand.invalid';
const PROJECT_DIGITS = 12;
/** Of an image that a build made: which Dockerfile it was, and by what text. */
const LABELS = { path: 'dev.sand.dockerfile', text: 'dev.sand.dockerfile-digest' } as const;

/** One name for a Dockerfile, and a tag for each of its inputs. Pure but for the context, which it looks through. */
export function buildReference(build: BuildPlan, platform: string): string {
  const project = createHash('sha256').update(build.path).digest('hex').slice(0, PROJECT_DIGITS);
  return `${HOST}/sand-build-${project}:${digestInputs(build, platform)}`;
}

/** Raises `build-failed`, and what an image can be wrong in. */
export async function buildImage(flag: BuildFlag): Promise<PreparedImage> {
  const { build, anew, say } = flag;
  const platform = flag.platform ?? HOST_PLATFORM;
  const reference = buildReference(build, platform);
  const found = anew ? null : await findImage(reference);
  if (found !== null) return preparedImage(reference, found, flag);
  const outside = `${build.path} is built outside the policy, by Apple\u2019s builder with a network of its own`;
  say(outside);
  await runBuild(flag, reference, platform);
  const image = await findImage(reference);
  if (image === null) throw failed(build, 'the builder left no image', reference);
  const prepared = preparedImage(reference, image, flag);
  const detail = `the image of this guest was built outside the policy, by Apple\u2019s builder with a network of its own: ${build.path} (sha256:${digestOf(build.text)})`;
  return { ...prepared, notices: [{ code: 'image-built', detail }, ...prepared.notices] };
}

async function runBuild(flag: BuildFlag, reference: string, platform: string): Promise<void> {
  const { build } = flag;
  const folder = stagingFolder(flag);
  try {
    const dockerfile = join(folder, 'Dockerfile');
    writeFileSync(dockerfile, build.text, { mode: 0o600 });
    const ignored = readOwnIgnored(build.path);
    if (ignored !== null) writeFileSync(`${dockerfile}.dockerignore`, ignored, { mode: 0o600 });
    const { exitCode, complaint, timedOut } = await runShown(
      planImageBuild({
        tag: reference,
        platform,
        dockerfile,
        context: usesContext(build.text) ? build.context : emptyFolder(folder),
        labels: { [LABELS.path]: build.path, [LABELS.text]: digestOf(build.text) },
      }),
      TOOL_LIMITS.buildMs,
    );
    if (timedOut)
      throw failed(build, `it took longer than ${TOOL_LIMITS.buildMs / 60_000} minutes`, reference);
    if (exitCode !== 0)
      throw failed(build, complaint === '' ? `exit code ${exitCode}` : complaint, reference);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where no guest writes. */
function stagingFolder({ environ, home }: ImageSurroundings): string {
  const base = environ.XDG_CACHE_HOME ?? '';
  const builds = join(isAbsolute(base) ? base : join(home, '.cache'), 'sand', 'builds');
  mkdirSync(builds, { recursive: true, mode: 0o700 });
  return mkdtempSync(join(builds, 'build-'));
}

/** A Dockerfile that copies nothing is shown nothing of the project. */
function emptyFolder(folder: string): string {
  const context = join(folder, 'context');
  mkdirSync(context);
  return context;
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function failed({ path }: BuildPlan, why: string, reference: string): SandError {
  const isTranslation = /rosetta/i.test(why);
  return new SandError(
    'build-failed',
    `${path} was not built: ${why}`,
    isTranslation
      ? 'Apple\u2019s builder wants Rosetta: softwareupdate --install-rosetta'
      : 'read what the builder printed above; `container builder status` says whether it runs',
    { details: { image: reference } },
  );
}
