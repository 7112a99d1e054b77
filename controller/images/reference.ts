/**
 * What `--image` names: text → a folder, an archive, a layout or an image of podman's store. What begins with
 * `/` or `.` is a path, and the caller says what stands there. Pure; nothing is ever fetched from a network.
 */
import { resolve } from 'node:path';
import { SandError } from '../errors.ts';

export type ImageReference =
  | { readonly kind: 'directory'; readonly path: string }
  | {
      readonly kind: 'oci-archive' | 'docker-archive' | 'oci-layout';
      readonly path: string;
      readonly name: string | null;
    }
  | { readonly kind: 'store'; readonly name: string };

export type PathKind = 'folder' | 'oci-layout' | 'oci-archive' | 'docker-archive' | 'file' | 'absent';

/** `PREFIX:PATH[:NAME]`, as skopeo writes them. */
const PREFIXES = {
  oci: 'oci-layout',
  'oci-archive': 'oci-archive',
  'docker-archive': 'docker-archive',
} as const;
type Prefix = keyof typeof PREFIXES;

/** Of the OCI distribution specification, with a host's port; or the beginning of an image's id. */
const STORE_NAME =
  /^[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(\/[A-Za-z0-9][A-Za-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$/;
const STORE_NAME_BYTES = 512;
const STORE = 'containers-storage:';

/** Raises `usage` with what to write, and `image-missing` where no such path exists. */
export function parseImageReference(
  text: string,
  cwd: string,
  look: (path: string) => PathKind,
): ImageReference {
  if (text === '' || text.includes('\0')) throw wrong(text, 'it is empty or holds a NUL');
  const remote = /^(docker|docker-daemon|https?|registry|ostree|sif):/.exec(text);
  if (remote !== null) throw notPulled(text);
  if (text.startsWith(STORE)) return storeReference(text.slice(STORE.length));
  const colon = text.indexOf(':');
  const prefix = text.slice(0, Math.max(0, colon));
  if (isPrefix(prefix)) return prefixedReference(prefix, text.slice(colon + 1), cwd, look);
  if (/^[/.~]/.test(text)) return pathReference(text, cwd, look);
  return storeReference(text);
}

function isPrefix(text: string): text is Prefix {
  return Object.hasOwn(PREFIXES, text);
}

function prefixedReference(
  prefix: Prefix,
  rest: string,
  cwd: string,
  look: (path: string) => PathKind,
): ImageReference {
  const kind = PREFIXES[prefix];
  const colon = rest.indexOf(':');
  const path = resolve(cwd, colon < 0 ? rest : rest.slice(0, colon));
  const name = colon < 0 ? null : rest.slice(colon + 1);
  if (rest === '' || name === '') throw wrong(`${prefix}:${rest}`, `it does not read as ${prefix}:PATH`);
  if (name !== null && !STORE_NAME.test(name))
    throw wrong(`${prefix}:${rest}`, `${name} is no name of an image`);
  if (look(path) === 'absent') throw absent(path);
  return { kind, path, name };
}

function pathReference(text: string, cwd: string, look: (path: string) => PathKind): ImageReference {
  if (text.startsWith('~')) throw wrong(text, 'a path begins with / or .');
  const path = resolve(cwd, text);
  const kind = look(path);
  switch (kind) {
    case 'folder':
      return { kind: 'directory', path };
    case 'absent':
      throw absent(path);
    case 'file':
      throw wrong(text, 'it is neither an OCI archive nor one of docker save, or it is compressed');
    default:
      // skopeo splits what it is given at colons.
      if (path.includes(':')) throw wrong(text, 'the path of an archive must not hold a colon');
      return { kind, path, name: null };
  }
}

function storeReference(name: string): ImageReference {
  if (name.length > STORE_NAME_BYTES || !STORE_NAME.test(name))
    throw wrong(name, 'it is no name of an image');
  return { kind: 'store', name };
}

/** What to run instead of a pull, by the user and outside any policy. */
export function pullHint(name: string): string {
  const short = name.replace(/^docker:\/\//, '');
  return `sand pulls nothing. Fetch it yourself, outside the policy: podman pull ${short}, or skopeo copy docker://${short} oci-archive:image.tar and name ./image.tar`;
}

function notPulled(text: string): SandError {
  return new SandError('usage', `--image ${text} names an image that is not on this machine`, pullHint(text));
}

function absent(path: string): SandError {
  return new SandError(
    'image-missing',
    `--image: ${path} does not exist`,
    'name a folder or an archive that exists',
  );
}

function wrong(text: string, why: string): SandError {
  return new SandError(
    'usage',
    `--image ${text}: ${why}`,
    'write a folder (./root), an archive (./image.tar, oci-archive:PATH, docker-archive:PATH), a layout (oci:PATH) or the name of an image in podman\u2019s store',
  );
}
