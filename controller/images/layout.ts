/** The JSON of an OCI image layout that sand reads: index and manifest → digests. Pure; strict about what becomes a path. */
import { invalid } from './config.ts';
import { IMAGE_LIMITS } from './limits.ts';

/** A digest's hexadecimal part; it becomes a file's name. */
const DIGEST = /^sha256:([0-9a-f]{64})$/;

/** The one manifest of a layout that skopeo has just written. */
export function parseIndex(text: string): string {
  const { manifests } = parse(text, 'index.json');
  if (!Array.isArray(manifests) || manifests.length !== 1)
    throw invalid('its index does not name one manifest');
  return digestOf(manifests[0]);
}

/** Of the image's configuration: the image's own name in this cache. */
export function parseManifest(text: string): string {
  return digestOf(parse(text, 'the manifest').config);
}

export function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

function digestOf(descriptor: unknown): string {
  const digest =
    typeof descriptor === 'object' && descriptor !== null && 'digest' in descriptor
      ? descriptor.digest
      : null;
  const found = typeof digest === 'string' ? DIGEST.exec(digest)?.[1] : undefined;
  if (found === undefined) throw invalid('a digest in it is no sha256');
  return found;
}

function parse(text: string, name: string): Readonly<Record<string, unknown>> {
  try {
    if (text.length > IMAGE_LIMITS.configBytes) throw invalid(`${name} is too long`);
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // Told below.
  }
  throw invalid(`${name} does not read`);
}
