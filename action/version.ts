/** The version of this repository: its manifest lies above the bundle, and above the sources. */
import { readFileSync } from 'node:fs';
import { parseObject, stringOrNull } from './report.ts';

export function readVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    const manifest = read(new URL(place, import.meta.url));
    if (manifest?.name === 'sand-egress') return stringOrNull(manifest.version) ?? 'latest';
  }
  return 'latest';
}

function read(place: URL): Readonly<Record<string, unknown>> | null {
  try {
    return parseObject(readFileSync(place, 'utf8'));
  } catch {
    return null;
  }
}
