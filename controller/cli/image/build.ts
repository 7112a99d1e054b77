/** `sand image build`: builds what `sand.yaml` names, now and as it is, which is the person's yes to that Dockerfile. */
import { dirname, relative } from 'node:path';
import { escapeTerminal } from '../../../audit/escape.ts';
import { DEFAULT_BACKEND } from '../../backends/backend.ts';
import { imagesOf } from '../../backends/registry.ts';
import { SandError } from '../../errors.ts';
import { requireBuildConsent } from '../../project-file/build-consent.ts';
import { readBuild } from '../../project-file/facts.ts';
import { locateProject } from '../../project-file/locate.ts';
import { readProject } from '../../project-file/read.ts';
import { configFolder } from '../../run/policy-choice.ts';
import { surroundings } from './image.ts';

export interface ImageBuildOptions {
  readonly backend: string | undefined;
  readonly projectFile: string | undefined;
  readonly json: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly write: (text: string) => void;
}

export async function imageBuild(options: ImageBuildOptions): Promise<number> {
  const where = surroundings(options);
  const located = locateProject(options.projectFile, where.cwd);
  if (located === null)
    throw new SandError(
      'usage',
      'no sand.yaml is found here, which says what to build',
      'write one with `build: ./Dockerfile`, or name it with --project-file',
    );
  const { file, reader } = readProject(located, where.cwd);
  if (file.build === null)
    throw new SandError(
      'usage',
      `${relative(where.cwd, located.path)} builds no image`,
      'give it a line `build: ./Dockerfile`',
    );
  const backend = options.backend ?? file.backend?.value ?? DEFAULT_BACKEND;
  const images = await imagesOf(backend);
  if (images.build === null)
    throw new SandError(
      'backend-unavailable',
      `the ${backend} backend builds no image`,
      'build it by its own tool, outside the policy, and name it: podman build -t localhost/app ., then --image localhost/app',
    );
  const build = readBuild(file.build, dirname(located.path), reader);
  const folder = configFolder(where.environ, where.home);
  await requireBuildConsent({ build, isConsented: true, folder, environ: where.environ });
  const platform = file.platform?.value ?? null;
  const { guest } = await images.build({ ...where, build, platform, user: null, anew: true });
  const { name, digest } = guest;
  options.write(
    options.json ? `${JSON.stringify({ name, digest })}\n` : `${digest ?? ''} ${escapeTerminal(name)}\n`,
  );
  return 0;
}
