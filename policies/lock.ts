/**
 * The lock of a policy: the content of the presets and groups that it extends, and the digests of its files, as text and
 * as values. A lock never widens a policy: what it says of a preset or group must be what some version of sand shipped.
 */
import path from 'node:path';
import { decodeDocument } from './decode.ts';
import { parseDocument } from './document.ts';
import type { MapEntry, PolicyNode } from './document-tree.ts';
import { quote } from './format.ts';
import { IssueList, type Position } from './issue.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { Parsed } from './model.ts';
import { type KeyTable, readList, readMap, readText, shorten, wholeNumber } from './node-reading.ts';
import type { DataReader } from './presets.ts';
import { digestShipped, formatShipped, readHistory, type ShippedContent } from './shipped.ts';

export interface LockedFile {
  /** Relative to the lock. */
  readonly file: string;
  /** `sha256:` + hex over its bytes. */
  readonly digest: string;
}

export interface LockedContent {
  /** `preset:strict`, `group:npm`. */
  readonly name: string;
  readonly digest: string;
  readonly content: ShippedContent;
}

export interface PolicyLock {
  readonly files: readonly LockedFile[];
  readonly shipped: readonly LockedContent[];
}

const LOCK_KEYS: KeyTable = { place: 'a lock', known: ['version', 'files', 'shipped'], later: [] };
const FILE_KEYS: KeyTable = { place: 'a locked file', known: ['file', 'digest'], later: [] };
const SHIPPED_KEYS: KeyTable = {
  place: 'a locked preset or group',
  known: ['name', 'digest', 'policy', 'hosts', 'mutes'],
  later: [],
};
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAKE_ANEW = 'Make it anew with sand policy lock, and review the difference.';

/** `sand.policy.yaml` has `sand.policy.lock` beside it. */
export function lockPathOf(policyPath: string): string {
  return `${policyPath.replace(/\.ya?ml$/i, '')}.lock`;
}

export function formatLock({ files, shipped }: PolicyLock): string {
  const lines = [
    '# Made by sand policy lock. It holds what presets and groups said then, and never allows more than sand shipped.',
    'version: 1',
    'files:',
    ...files.map(({ file, digest }) => `  - {file: ${quote(file)}, digest: ${quote(digest)}}`),
    shipped.length === 0 ? 'shipped: []' : 'shipped:',
    ...shipped.flatMap(({ name, digest, content }) => [
      `  - name: ${quote(name)}`,
      `    digest: ${quote(digest)}`,
      ...formatShipped(content).map((line) => `    ${line}`),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

/** Content that no version of sand shipped is an error; so is everything else that is not as `formatLock` writes it. */
export function parseLock(bytes: Uint8Array, label: string, read: DataReader): Parsed<PolicyLock> {
  const tree = parseDocument(bytes, label);
  if (!tree.ok) return tree;
  const issues = new IssueList(label);
  const lock = decodeLock(tree.value, issues, read);
  return lock === null || issues.failed ? { ok: false, issues: issues.issues } : { ok: true, value: lock };
}

function decodeLock(tree: PolicyNode, issues: IssueList, read: DataReader): PolicyLock | null {
  const entries = readMap(tree, LOCK_KEYS, issues);
  if (entries === null) return null;
  const version = entries.get('version');
  if (version === undefined || wholeNumber(version.value) !== 1) {
    issues.error(version?.value.at ?? tree.at, 'this version of sand reads locks of version 1', MAKE_ANEW);
    return null;
  }
  const history = readHistory(read);
  if (history === null) {
    issues.error(tree.at, 'the data that comes with sand is missing or damaged', 'Install sand anew.');
    return null;
  }
  const files = itemsOf(entries.get('files'), issues).flatMap((node) => decodeFile(node, issues) ?? []);
  const shipped = itemsOf(entries.get('shipped'), issues).flatMap(
    (node) => decodeShipped(node, issues, history) ?? [],
  );
  const twice = shipped.find(({ name }, at) => shipped.findIndex((one) => one.name === name) !== at);
  if (twice !== undefined)
    issues.error(tree.at, `${shorten(twice.name)} stands in the lock twice`, MAKE_ANEW);
  return { files, shipped };
}

function itemsOf(entry: MapEntry | undefined, issues: IssueList): readonly PolicyNode[] {
  if (entry === undefined) return [];
  const { value } = entry;
  if (value.kind !== 'list') {
    issues.error(value.at, `"${entry.key}" of a lock is a list`, MAKE_ANEW);
    return [];
  }
  if (value.items.length <= POLICY_LIMITS.lockEntries) return value.items;
  issues.error(
    value.at,
    `"${entry.key}" of a lock has at most ${POLICY_LIMITS.lockEntries} entries`,
    MAKE_ANEW,
  );
  return [];
}

function decodeFile(node: PolicyNode, issues: IssueList): LockedFile | null {
  const entries = readMap(node, FILE_KEYS, issues);
  if (entries === null) return null;
  const file = textOf('file', entries, node.at, issues);
  const digest = digestOf(entries, node.at, issues);
  if (file === null || digest === null) return null;
  if (file !== '' && !path.isAbsolute(file) && !file.includes('\0')) return { file, digest };
  issues.error(node.at, 'a locked file is named relative to the lock', MAKE_ANEW);
  return null;
}

function decodeShipped(
  node: PolicyNode,
  issues: IssueList,
  history: ReadonlyMap<string, readonly string[]>,
): LockedContent | null {
  const entries = readMap(node, SHIPPED_KEYS, issues);
  if (entries === null) return null;
  const name = textOf('name', entries, node.at, issues);
  const digest = digestOf(entries, node.at, issues);
  if (name === null || digest === null) return null;
  const content = readContent(name, entries, node.at, issues);
  if (content === null) return null;
  // Fail closed: whoever can write the lock could write a digest that fits, so it must be one that sand knows.
  const isGenuine = digestShipped(name, content) === digest && history.get(name)?.includes(digest) === true;
  if (isGenuine) return { name, digest, content };
  issues.error(
    node.at,
    `no version of sand that this one knows shipped such a ${shorten(name)}`,
    `${MAKE_ANEW} A lock of a later sand wants a later sand.`,
  );
  return null;
}

function readContent(
  name: string,
  entries: ReadonlyMap<string, MapEntry>,
  at: Position,
  issues: IssueList,
): ShippedContent | null {
  const policy = entries.get('policy');
  const mutes = entries.get('mutes');
  const hosts = entries.get('hosts') ?? mutes;
  if (name.startsWith('preset:') && policy !== undefined && hosts === undefined) {
    const document = decodeDocument(policy.value, issues, true);
    return document === null ? null : { kind: 'preset', document };
  }
  const isOne = mutes === undefined || hosts === mutes;
  if (name.startsWith('group:') && hosts !== undefined && isOne && policy === undefined) {
    const texts = (readList(hosts, issues) ?? []).map((node) => readText(hosts.key, node, issues));
    const known = texts.filter((text) => text !== null);
    const verb = hosts === mutes ? 'mute' : 'allow';
    return known.length === texts.length ? { kind: 'group', verb, hosts: known } : null;
  }
  issues.error(at, 'a lock holds the policy of a preset, or what a group allows or mutes', MAKE_ANEW);
  return null;
}

function textOf(
  key: string,
  entries: ReadonlyMap<string, MapEntry>,
  at: Position,
  issues: IssueList,
): string | null {
  const entry = entries.get(key);
  if (entry !== undefined) return readText(key, entry.value, issues);
  issues.error(at, `here "${key}" is missing`, MAKE_ANEW);
  return null;
}

function digestOf(entries: ReadonlyMap<string, MapEntry>, at: Position, issues: IssueList): string | null {
  const digest = textOf('digest', entries, at, issues);
  if (digest === null || DIGEST.test(digest)) return digest;
  issues.error(at, 'a digest is sha256: and 64 hexadecimal digits', MAKE_ANEW);
  return null;
}
