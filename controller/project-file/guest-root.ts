/** The keys of a project file that say what the guest's root is made of and what is kept of it: `build`, `platform`, `volumes`. */
import type { MapEntry, PolicyNode } from '../../policies/document-tree.ts';
import type { IssueList } from '../../policies/issue.ts';
import { type KeyTable, readMap } from '../../policies/node-reading.ts';
import type { ImagePlatform } from '../images/config.ts';
import { parsePlatform } from '../images/platform-flag.ts';
import { parseVolume, type VolumeFlag } from '../volumes/volume-flag.ts';
import type { BuildText, Placed } from './model.ts';
import { parsed, readLine, readPath } from './values.ts';

export const BUILD_KEYS: KeyTable = { place: '"build"', known: ['file', 'context'], later: [] };

/** Fail closed: of two roots one would be left out, and it would not be seen which. */
export function refuseBoth(
  image: MapEntry | undefined,
  build: MapEntry | undefined,
  issues: IssueList,
): void {
  if (image === undefined || build === undefined) return;
  issues.error(build.at, '"image" and "build" both say what the root is', 'Keep one of the two.');
}

/** The path of a Dockerfile, or a map with it and the folder that it copies from. */
export function readBuild(entry: MapEntry | undefined, issues: IssueList): Placed<BuildText> | null {
  if (entry === undefined) return null;
  const { value: node } = entry;
  const at = issues.origin(node.at);
  if (node.kind !== 'map') {
    const file = readPath('build', node, issues);
    return file === null ? null : { value: { file: file.value, context: null }, at };
  }
  const entries = readMap(node, BUILD_KEYS, issues);
  if (entries === null) return null;
  const [file, context] = ['file', 'context'].map((key) => {
    const one = entries.get(key);
    return one === undefined ? undefined : readPath(key, one.value, issues);
  });
  if (file === undefined) {
    issues.error(node.at, 'a build names no Dockerfile', 'Write build: {file: ./Dockerfile}.');
    return null;
  }
  if (file === null || context === null) return null;
  return { value: { file: file.value, context: context?.value ?? null }, at };
}

export function readPlatform(entry: MapEntry | undefined, issues: IssueList): Placed<ImagePlatform> | null {
  const text = entry === undefined ? null : readLine('platform', entry.value, issues);
  if (entry === undefined || text === null) return null;
  const value = parsed(entry.value, issues, () => parsePlatform(text.value, 'platform: '));
  return value === null ? null : { value, at: text.at };
}

export function readVolume(node: PolicyNode, issues: IssueList): Placed<VolumeFlag> | null {
  const text = readPath('volumes', node, issues);
  if (text === null) return null;
  const value = parsed(node, issues, () => parseVolume(text.value, ''));
  return value === null ? null : { value, at: text.at };
}
