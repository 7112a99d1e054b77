/**
 * The text of a `sand.yaml` → what it says, every mistake with its place and what to write instead. Unknown keys are
 * errors. How a value of a flag reads is the flag's own parser's; published ports, secrets and resources are handed on as
 * text to theirs.
 */
import { parseDocument } from '../../policies/document.ts';
import type { MapEntry, PolicyNode } from '../../policies/document-tree.ts';
import { IssueList } from '../../policies/issue.ts';
import type { Parsed } from '../../policies/model.ts';
import {
  describe,
  type KeyTable,
  readMap,
  readText,
  readWord,
  shorten,
  wholeNumber,
} from '../../policies/node-reading.ts';
import { ISOLATIONS, SHARES } from '../backends/backend.ts';
import { isVariableName, type MountFlag, parseDuration, parseMount } from '../run/options.ts';
import { readBuild, readPlatform, readVolume, refuseBoth } from './guest-root.ts';
import { PROJECT_LIMITS } from './limits.ts';
import { type Placed, PROJECT_FILE_NAME, type ProjectFile, RESOURCES, type Variable } from './model.ts';
import { readSecretText } from './paths.ts';
import { isExpandable, parsed, readItems, readLine, readPath, readSwitch, readWritten } from './values.ts';

export const PROJECT_KEYS: KeyTable = {
  place: PROJECT_FILE_NAME,
  known: [
    'version',
    'name',
    'backend',
    'image',
    'build',
    'platform',
    'isolation',
    'user',
    'readOnly',
    'policy',
    'mounts',
    'volumes',
    'workdir',
    'environment',
    'shares',
    'secrets',
    'ports',
    'trustCa',
    'cache',
    'resources',
    'timeout',
    'phaseAfter',
    'command',
  ],
  later: [],
};
export const MOUNT_KEYS: KeyTable = { place: 'a mount', known: ['source', 'target', 'readOnly'], later: [] };
const RESOURCE_KEYS: KeyTable = { place: '"resources"', known: RESOURCES, later: [] };

/** `file` is what issues call it. */
export function decodeProjectFile(content: Uint8Array | string, file: string): Parsed<ProjectFile> {
  const tree = parseDocument(content, file);
  if (!tree.ok) return tree;
  const issues = new IssueList(file);
  const value = decodeTree(tree.value, issues);
  if (value === null || issues.failed) return { ok: false, issues: issues.issues };
  return { ok: true, value };
}

function decodeTree(tree: PolicyNode, issues: IssueList): ProjectFile | null {
  if (tree.kind === 'scalar' && tree.value === null) {
    issues.error(tree.at, 'the file is empty', 'Write "version: 1" and what the guest is to have.');
    return null;
  }
  const entries = readMap(tree, PROJECT_KEYS, issues);
  if (entries === null) return null;
  readVersion(tree, entries.get('version'), issues);
  refuseBoth(entries.get('image'), entries.get('build'), issues);
  const line = (key: string): Placed<string> | null => {
    const entry = entries.get(key);
    return entry === undefined ? null : readLine(key, entry.value, issues);
  };
  const lines = (key: string): readonly Placed<string>[] =>
    readItems(entries.get(key), issues, (node) => readLine(key, node, issues));
  const paths = (key: string): readonly Placed<string>[] =>
    readItems(entries.get(key), issues, (node) => readPath(key, node, issues));
  const toggle = (key: string): Placed<boolean> | null => {
    const entry = entries.get(key);
    return entry === undefined ? null : readSwitch(key, entry, issues);
  };
  return {
    name: readName(entries.get('name'), issues),
    backend: line('backend'),
    image: readImage(entries.get('image'), issues),
    build: readBuild(entries.get('build'), issues),
    platform: readPlatform(entries.get('platform'), issues),
    isolation: readIsolation(entries.get('isolation'), issues),
    user: line('user'),
    readOnly: toggle('readOnly'),
    policy: paths('policy'),
    mounts: readItems(entries.get('mounts'), issues, (node) => readMount(node, issues)),
    volumes: readItems(entries.get('volumes'), issues, (node) => readVolume(node, issues)),
    workdir: readWorkdir(entries.get('workdir'), issues),
    environment: readEnvironment(entries.get('environment'), issues),
    shares: readItems(entries.get('shares'), issues, (node) => {
      const value = readWord('shares', node, SHARES, issues);
      return value === null ? null : { value, at: issues.origin(node.at) };
    }),
    secrets: readItems(entries.get('secrets'), issues, (node) => readSecret(node, issues)),
    ports: lines('ports'),
    trustCa: paths('trustCa'),
    cache: toggle('cache'),
    resources: readResources(entries.get('resources'), issues),
    timeoutMs: readTimeout(entries.get('timeout'), issues),
    phaseAfter: readItems(entries.get('phaseAfter'), issues, (node) => readShell(node, issues)),
    command: readCommand(entries.get('command'), issues),
  };
}

function readVersion(tree: PolicyNode, entry: MapEntry | undefined, issues: IssueList): void {
  if (entry === undefined) {
    const hint = `Begin with "version: 1"; if this is another program's file, use --no-project-file.`;
    issues.error(tree.at, 'the file names no version', hint);
  } else if (wholeNumber(entry.value) !== 1) {
    const stands = `this version of sand reads version 1, not ${describe(entry.value)}`;
    issues.error(entry.value.at, stands, 'Write "version: 1".');
  }
}

function readName(entry: MapEntry | undefined, issues: IssueList): Placed<string> | null {
  if (entry === undefined) return null;
  const name = readText('name', entry.value, issues);
  if (name === null) return null;
  const most = PROJECT_LIMITS.nameCharacters;
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) && name.length <= most) {
    return { value: name, at: issues.origin(entry.value.at) };
  }
  issues.error(
    entry.value.at,
    `"${shorten(name)}" cannot be the name of a guest`,
    `Use up to ${most} letters, digits, ".", "_" and "-".`,
  );
  return null;
}

function readIsolation(entry: MapEntry | undefined, issues: IssueList): ProjectFile['isolation'] {
  const value = entry === undefined ? null : readWord('isolation', entry.value, ISOLATIONS, issues);
  return entry === undefined || value === null ? null : { value, at: issues.origin(entry.value.at) };
}

function readImage(entry: MapEntry | undefined, issues: IssueList): Placed<string> | null {
  return entry === undefined ? null : readPath('image', entry.value, issues);
}

/** What is wrong may be the secret itself, so it is not repeated. */
function readSecret(node: PolicyNode, issues: IssueList): Placed<string> | null {
  const text = readLine('secrets', node, issues);
  if (text === null) return null;
  const path = readSecretText(text.value)?.source;
  if (path !== undefined && !isExpandable(path)) return text;
  issues.error(
    node.at,
    'a secret is named, and read from a file or a variable',
    'Write NAME=./file or NAME=env:VARIABLE.',
  );
  return null;
}

function readMount(node: PolicyNode, issues: IssueList): Placed<MountFlag> | null {
  const text = node.kind === 'map' ? mountText(node, issues) : readPath('mounts', node, issues)?.value;
  if (text === undefined || text === null) return null;
  const value = parsed(node, issues, () => parseMount(text, ''));
  return value === null ? null : { value, at: issues.origin(node.at) };
}

/** The long form as the short one, which has one parser. */
function mountText(node: PolicyNode, issues: IssueList): string | null {
  const entries = readMap(node, MOUNT_KEYS, issues);
  const [source, target, readOnly] = ['source', 'target', 'readOnly'].map((key) => entries?.get(key));
  if (entries === null) return null;
  if (source === undefined) {
    issues.error(node.at, 'a mount names no source', 'Write {source: ./data, target: /data}.');
    return null;
  }
  const parts = [source, target].flatMap((entry) => (entry === undefined ? [] : [entry]));
  const texts = parts.map(({ key, value }) => readPath(key, value, issues));
  const isReadOnly = readOnly === undefined ? false : readSwitch('readOnly', readOnly, issues)?.value;
  if (isReadOnly === undefined || texts.includes(null)) return null;
  const values = texts.map((text) => text?.value ?? '');
  if (values.some((value) => value.includes(':'))) {
    issues.error(node.at, 'a colon cannot be part of the path of a mount', 'Rename the folder.');
    return null;
  }
  return [...values, isReadOnly ? 'ro' : 'rw'].join(':');
}

function readWorkdir(entry: MapEntry | undefined, issues: IssueList): Placed<string> | null {
  const text = entry === undefined ? null : readLine('workdir', entry.value, issues);
  if (entry === undefined || text === null || text.value.startsWith('/')) return text;
  const hint = 'Write an absolute path, for example /project.';
  issues.error(entry.value.at, '"workdir" is a path as the guest sees it', hint);
  return null;
}

/** A map of names to values; or a list of `NAME`, for the caller's own value, and `NAME=VALUE`. */
function readEnvironment(entry: MapEntry | undefined, issues: IssueList): readonly Placed<Variable>[] {
  if (entry === undefined) return [];
  const { value: node } = entry;
  const found =
    node.kind === 'map'
      ? node.entries.slice(0, PROJECT_LIMITS.words + 1).map((one) => {
          const text = readWritten(one.key, one.value, issues);
          return text === null ? null : { value: { name: one.key, value: text.value }, at: one.at };
        })
      : readItems(entry, issues, (item) => {
          const text = readWritten('environment', item, issues);
          if (text === null) return null;
          const [name = '', ...rest] = text.value.split('=');
          const value = rest.length === 0 ? null : rest.join('=');
          return { value: { name, value }, at: item.at };
        });
  if (found.length > PROJECT_LIMITS.words) {
    issues.error(node.at, `"environment" has more than ${PROJECT_LIMITS.words} variables`, 'Name fewer.');
    return [];
  }
  const seen = new Set<string>();
  for (const one of found) {
    if (one === null) continue;
    const { name } = one.value;
    if (!isVariableName(name)) {
      issues.error(one.at, `"${shorten(name)}" is not the name of a variable`, 'Write NAME: value.');
    }
    if (seen.has(name)) {
      issues.error(one.at, `"${shorten(name)}" stands here a second time`, 'Keep one of the two.');
    }
    seen.add(name);
  }
  return found.flatMap((one) => (one === null ? [] : [{ value: one.value, at: issues.origin(one.at) }]));
}

function readResources(entry: MapEntry | undefined, issues: IssueList): ProjectFile['resources'] {
  const entries = entry === undefined ? null : readMap(entry.value, RESOURCE_KEYS, issues);
  const read = (key: string): Placed<string> | null => {
    const one = entries?.get(key);
    return one === undefined ? null : readLine(key, one.value, issues);
  };
  return { cpus: read('cpus'), memory: read('memory'), pids: read('pids'), disk: read('disk') };
}

function readTimeout(entry: MapEntry | undefined, issues: IssueList): Placed<number> | null {
  const text = entry === undefined ? null : readLine('timeout', entry.value, issues);
  if (entry === undefined || text === null) return null;
  const value = parsed(entry.value, issues, () => parseDuration('timeout:', text.value));
  return value === null ? null : { value, at: text.at };
}

/** Text for a shell: several lines are what such text may have. */
function readShell(node: PolicyNode, issues: IssueList): Placed<string> | null {
  const text = readWritten('phaseAfter', node, issues);
  if (text === null || text.value.trim() !== '') return text;
  issues.error(node.at, '"phaseAfter" is empty', 'Write for example phaseAfter: npm ci.');
  return null;
}

/** A list of words only: one text would need a shell, and it would not be seen which. */
function readCommand(entry: MapEntry | undefined, issues: IssueList): ProjectFile['command'] {
  if (entry === undefined) return null;
  const { value: node } = entry;
  if (node.kind !== 'list' || node.items.length === 0) {
    const stands = `"command" is a list of words, and here stands ${describe(node)}`;
    issues.error(node.at, stands, 'Write command: [npm, test], or [sh, -c, "…"] for a shell.');
    return null;
  }
  if (node.items.length > PROJECT_LIMITS.words) {
    issues.error(node.at, `"command" has more than ${PROJECT_LIMITS.words} words`, 'Write a script.');
    return null;
  }
  const words = node.items.map((item) => readWritten('command', item, issues));
  if (words.includes(null)) return null;
  const value = words.map((word) => word?.value ?? '');
  if (value[0] === '') issues.error(node.at, '"command" names no program', 'Write command: [npm, test].');
  return { value, at: issues.origin(node.at) };
}
