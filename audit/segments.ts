/**
 * The files of one log: `audit.jsonl`, and where that grew too long `audit.2.jsonl`, `audit.3.jsonl` and so on, each of
 * which goes on where the one before stops. None is renamed, so that no reader loses or doubles a line.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

const NUMBERED = /\.([1-9]\d{0,8})(?:\.jsonl)?$/;

/** `path` is the first file's; `segment` counts from 1. */
export function segmentPath(path: string, segment: number): string {
  if (segment === 1) return path;
  return path.endsWith('.jsonl') ? path.replace(/\.jsonl$/, `.${segment}.jsonl`) : `${path}.${segment}`;
}

/** Which of the files are there, in order. One that is missing in between was taken away. */
export async function listSegments(path: string): Promise<readonly number[]> {
  const names = await readdir(dirname(path));
  return names
    .map((name) => ({ name, segment: Number(NUMBERED.exec(name)?.[1] ?? 1) }))
    .filter(({ name, segment }) => name === basename(segmentPath(path, segment)))
    .map(({ segment }) => segment)
    .sort((a, b) => a - b);
}
