/** `build`: an image from a Dockerfile. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildImage } from '../building.ts';
import { type Call, complain, hasFlag, optionValue, optionValues, print } from '../call.ts';
import { parseLabels } from '../creation.ts';
import { parseDockerfile } from '../dockerfile.ts';
import { Failure } from '../failure.ts';
import { normalizeReference, saveImage, shortReference } from '../images.ts';
import { builderOf } from '../runtimes.ts';
import { obtainImage } from './life.ts';

export async function build(call: Call): Promise<number> {
  const context = resolve(call.parsed.arguments[0] ?? '.');
  const tags = optionValues(call, '--tag').map(normalizeReference);
  const isQuiet = hasFlag(call, '--quiet');
  const built = await buildImage({
    home: call.home,
    context,
    instructions: parseDockerfile(readFileSync(dockerfileOf(call, context), 'utf8')),
    arguments: new Map(optionValues(call, '--build-arg').map(splitArgument)),
    labels: parseLabels(optionValues(call, '--label')),
    obtain: (reference) => obtainImage(call, reference),
    builder: builderOf(),
    report: (line) => (isQuiet ? undefined : complain(line)),
  });
  for (const reference of tags) saveImage(call.home, { ...built, reference });
  if (tags.length === 0)
    saveImage(call.home, { ...built, reference: normalizeReference(built.digest.slice(7, 43)) });
  for (const reference of tags)
    print(isQuiet ? shortReference(reference) : `Successfully built ${shortReference(reference)}`);
  return 0;
}

function dockerfileOf(call: Call, context: string): string {
  const given = optionValue(call, '--file');
  const candidates =
    given === null ? ['Dockerfile', 'Containerfile'].map((name) => join(context, name)) : [resolve(given)];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) throw new Failure(`failed to find Dockerfile at ${candidates[0]}`);
  return found;
}

function splitArgument(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, process.env[text] ?? ''] : [text.slice(0, at), text.slice(at + 1)];
}
