/**
 * Finds the guest's relay that was built for an architecture, in the package or in a checkout, and hands over its bytes
 * only where they have the digest that was written down when it was built. Placing it is the backend's.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../../errors.ts';

export type RelayArchitecture = 'x64' | 'arm64';

export interface RelayFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

/** Beside the bundled command in the package; where the sources are, in a checkout. */
const PLACES: readonly string[] = [
  new URL('./relay/', import.meta.url).pathname,
  new URL('./guest/build/', import.meta.url).pathname,
];

/** @throws SandError `tool-missing` where it was not built, `tool-failed` where it is not what was built. */
export function readRelayFile(
  architecture: RelayArchitecture,
  places: readonly string[] = PLACES,
): RelayFile {
  const folder = places.find((place) => existsSync(join(place, 'digests.json')));
  if (folder === undefined) throw missing(architecture, null);
  const path = join(folder, architecture, 'sand-relay');
  const expected = expectedDigest(folder, architecture);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw missing(architecture, error);
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  // Fail closed: it runs as the first process of each guest, and only as it was built.
  if (sha256 !== expected) {
    throw new SandError(
      'tool-failed',
      `The guest relay for ${architecture} is not the one that was built.`,
      'Run `npm run build:relay` in a checkout, or install the package again.',
      { details: { path, sha256, expected } },
    );
  }
  return { path, bytes, sha256 };
}

function expectedDigest(folder: string, architecture: RelayArchitecture): string {
  try {
    const digests: unknown = JSON.parse(readFileSync(join(folder, 'digests.json'), 'utf8'));
    const sha256 = Object(Object(digests)[architecture]).sha256;
    if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)) return sha256;
    throw missing(architecture, null);
  } catch (error) {
    throw error instanceof SandError ? error : missing(architecture, error);
  }
}

function missing(architecture: RelayArchitecture, cause: unknown): SandError {
  return new SandError(
    'tool-missing',
    `The guest relay for ${architecture} is not built.`,
    'Run `npm run build:relay` (on a Mac: `npm run build:relay -- --in-container`).',
    { cause },
  );
}
