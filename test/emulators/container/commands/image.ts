/** The verbs on images. */

import { loadArchive, saveArchive } from '../archives.ts';
import { argumentAt, type Call, complain, hasFlag, optionValue, print } from '../call.ts';
import { Failure, notEmulated } from '../failure.ts';
import {
  deleteImage,
  imageResource,
  listImages,
  normalizeReference,
  pullImage,
  requireImage,
  saveImage,
  shortReference,
} from '../images.ts';
import { compactJson, prettyJson, table } from '../output.ts';

export async function pull(call: Call): Promise<number> {
  const reference = argumentAt(call, 0);
  const isQuiet = optionValue(call, '--progress') === 'none';
  const image = await pullImage(call.home, call.settings, reference, (line) =>
    isQuiet ? undefined : complain(line),
  );
  if (image === null) throw pullFailure(reference);
  return 0;
}

/** What a registry's refusal looks like. */
export function pullFailure(text: string): Failure {
  const reference = normalizeReference(text);
  const [host = '', ...rest] = reference.split('/');
  const [name, tag] = rest.join('/').split(':');
  const url = `https://${host}/v2/${name}/manifests/${tag}`;
  return new Failure(`HTTP request to ${url} failed with response: 404 Not Found. Reason: MANIFEST_UNKNOWN`);
}

export async function list(call: Call): Promise<number> {
  const images = listImages(call.home);
  if (hasFlag(call, '--quiet') && hasFlag(call, '--verbose')) {
    throw new Failure('cannot use flag --quiet and --verbose together');
  }
  if (hasFlag(call, '--quiet')) for (const { reference } of images) print(shortReference(reference));
  else if (optionValue(call, '--format') === 'json') print(compactJson(images.map(imageResource)));
  else {
    const rows = images.map(({ reference, digest }) => {
      const short = shortReference(reference);
      const colon = short.lastIndexOf(':');
      return [short.slice(0, colon), short.slice(colon + 1), digest.slice('sha256:'.length, 19)];
    });
    print(table([['NAME', 'TAG', 'DIGEST'], ...rows]));
  }
  return 0;
}

export async function inspect(call: Call): Promise<number> {
  print(prettyJson(call.parsed.arguments.map((name) => imageResource(requireImage(call.home, name)))));
  return 0;
}

export async function remove(call: Call): Promise<number> {
  const images = hasFlag(call, '--all')
    ? listImages(call.home)
    : call.parsed.arguments.map((name) => requireImage(call.home, name));
  for (const image of images) {
    deleteImage(call.home, image);
    print(shortReference(image.reference));
  }
  return 0;
}

export async function tag(call: Call): Promise<number> {
  const image = requireImage(call.home, argumentAt(call, 0));
  const reference = normalizeReference(argumentAt(call, 1));
  saveImage(call.home, { ...image, reference });
  print(shortReference(reference));
  return 0;
}

export async function save(call: Call): Promise<number> {
  const output = optionValue(call, '--output');
  const [name, ...more] = call.parsed.arguments;
  if (output === null || name === undefined || more.length > 0)
    throw notEmulated('saving anything but one image into a file');
  const image = requireImage(call.home, name);
  saveArchive(image, output);
  print(shortReference(image.reference));
  return 0;
}

export async function load(call: Call): Promise<number> {
  const input = optionValue(call, '--input');
  if (input === null) throw notEmulated('loading from standard input');
  const image = await loadArchive(call.home, input);
  print(`Loaded images:\n${shortReference(image.reference)}`);
  return 0;
}
