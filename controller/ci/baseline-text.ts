/**
 * A baseline as the text of `sand.baseline.json` and back: one entry a line, sorted, ASCII, so that a reviewer sees a
 * changed line for a changed entry. What cannot be read exactly is refused, every mistake with its line. Pure.
 */
import { parseDocument } from '../../policies/document.ts';
import type { MapEntry, PolicyNode } from '../../policies/document-tree.ts';
import { parseHost } from '../../policies/hostname.ts';
import { IssueList } from '../../policies/issue.ts';
import type { Parsed } from '../../policies/model.ts';
import {
  describe,
  type KeyTable,
  readMap,
  readWord,
  shorten,
  wholeNumber,
} from '../../policies/node-reading.ts';
import { parsePattern } from '../../policies/pattern.ts';
import { REASONS } from '../../policies/reasons.ts';
import {
  BASELINE_VERSION,
  type Baseline,
  type BaselineDenial,
  type BaselineHost,
  keyOf,
  sortBaseline,
} from './baseline.ts';
import { CI_LIMITS } from './limits.ts';
import { MAGNITUDES } from './magnitude.ts';

export const BASELINE_NAME = 'sand.baseline.json';
export const PROTOCOLS = ['http', 'https', 'tcp', 'connect', 'socks', 'udp', 'icmp', 'other', 'dns'] as const;

export function formatBaseline(baseline: Baseline): string {
  const { version, hosts, denied } = sortBaseline(baseline);
  const lists = [
    formatList(
      'hosts',
      hosts.map(({ host, port, protocol, rules, bytesOut, bytesIn }) =>
        formatEntry({ host, port, protocol, rules, bytesOut, bytesIn }),
      ),
    ),
    formatList(
      'denied',
      denied.map(({ host, port, protocol, reason }) => formatEntry({ host, port, protocol, reason })),
    ),
  ];
  return `{\n  "version": ${version},\n${lists.join(',\n')}\n}\n`;
}

function formatList(name: string, entries: readonly string[]): string {
  if (entries.length === 0) return `  "${name}": []`;
  return `  "${name}": [\n${entries.map((entry) => `    ${entry}`).join(',\n')}\n  ]`;
}

function formatEntry(entry: object): string {
  const parts = Object.entries(entry).map(([key, value]) => `"${key}": ${formatValue(value)}`);
  return `{ ${parts.join(', ')} }`;
}

function formatValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(formatValue).join(', ')}]`;
  return asAscii(JSON.stringify(value));
}

/** Letters that look like others, and what a screen hides, stand as what they are. */
function asAscii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const FILE_KEYS: KeyTable = { place: 'a baseline', known: ['version', 'hosts', 'denied'], later: [] };
const HOST_KEYS: KeyTable = {
  place: 'a host',
  known: ['host', 'port', 'protocol', 'rules', 'bytesOut', 'bytesIn'],
  later: [],
};
const DENIAL_KEYS: KeyTable = {
  place: 'a denial',
  known: ['host', 'port', 'protocol', 'reason'],
  later: [],
};

/** `file` is what issues call it. */
export function parseBaseline(content: Uint8Array | string, file: string): Parsed<Baseline> {
  const issues = new IssueList(file);
  if (content.length > CI_LIMITS.baselineBytes) {
    issues.error(
      { line: 1, column: 1 },
      'the file is larger than any baseline',
      'Remove the file, and record it with --update-baseline.',
    );
    return { ok: false, issues: issues.issues };
  }
  const tree = parseDocument(content, file);
  if (!tree.ok) return tree;
  if (!isJson(content)) {
    issues.error(
      { line: 1, column: 1 },
      'a baseline is JSON',
      'Remove the file, and record it with --update-baseline.',
    );
    return { ok: false, issues: issues.issues };
  }
  const value = decodeTree(tree.value, issues);
  if (value === null || issues.failed) return { ok: false, issues: issues.issues };
  return { ok: true, value };
}

/** The tree is YAML's, which reads all of JSON and more. */
function isJson(content: Uint8Array | string): boolean {
  try {
    JSON.parse(typeof content === 'string' ? content : new TextDecoder().decode(content));
    return true;
  } catch {
    return false;
  }
}

function decodeTree(tree: PolicyNode, issues: IssueList): Baseline | null {
  const entries = readMap(tree, FILE_KEYS, issues);
  if (entries === null) return null;
  const version = entries.get('version');
  if (version === undefined || wholeNumber(version.value) !== BASELINE_VERSION) {
    const at = version?.value.at ?? tree.at;
    issues.error(
      at,
      `this version of sand reads baselines of version ${BASELINE_VERSION}`,
      `Write "version": ${BASELINE_VERSION}.`,
    );
  }
  return {
    version: BASELINE_VERSION,
    hosts: readEntries(tree, entries, 'hosts', issues, readHost),
    denied: readEntries(tree, entries, 'denied', issues, readDenial),
  };
}

type Entry = BaselineHost | BaselineDenial;

function readEntries<T extends Entry>(
  tree: PolicyNode,
  entries: ReadonlyMap<string, MapEntry>,
  key: string,
  issues: IssueList,
  read: (node: PolicyNode, issues: IssueList) => T | null,
): readonly T[] {
  const node = entries.get(key)?.value;
  if (node?.kind !== 'list') {
    const stands =
      node === undefined
        ? `the baseline has no "${key}"`
        : `"${key}" is a list, and here stands ${describe(node)}`;
    issues.error(node?.at ?? tree.at, stands, `Write "${key}": [].`);
    return [];
  }
  if (node.items.length > CI_LIMITS.baselineEntries) {
    issues.error(
      node.at,
      `"${key}" has more than ${CI_LIMITS.baselineEntries} entries`,
      'Record a pattern such as *.example.com for names that change.',
    );
    return [];
  }
  const seen = new Set<string>();
  return node.items.flatMap((item) => {
    const entry = read(item, issues);
    if (entry === null) return [];
    const id = keyOf(entry);
    if (seen.has(id))
      issues.error(item.at, `${shorten(entry.host)} stands here a second time`, 'Keep one of the two.');
    seen.add(id);
    return [entry];
  });
}

function readHost(node: PolicyNode, issues: IssueList): BaselineHost | null {
  const take = fieldsOf(node, HOST_KEYS, issues);
  if (take === null) return null;
  const host = take('host', (value) => readHostText(value, issues));
  const port = take('port', (value) => readPort(value, issues));
  const protocol = take('protocol', (value) => readWord('protocol', value, PROTOCOLS, issues));
  const rules = take('rules', (value) => readRules(value, issues));
  const bytesOut = take('bytesOut', (value) => readWord('bytesOut', value, MAGNITUDES, issues));
  const bytesIn = take('bytesIn', (value) => readWord('bytesIn', value, MAGNITUDES, issues));
  if (host === null || port === null || protocol === null) return null;
  if (rules === null || bytesOut === null || bytesIn === null) return null;
  return { host, port, protocol, rules, bytesOut, bytesIn };
}

function readDenial(node: PolicyNode, issues: IssueList): BaselineDenial | null {
  const take = fieldsOf(node, DENIAL_KEYS, issues);
  if (take === null) return null;
  const host = take('host', (value) => readAnyHost(value, issues));
  const port = take('port', (value) => (isNull(value) ? 'none' : readPort(value, issues)));
  const protocol = take('protocol', (value) => readWord('protocol', value, PROTOCOLS, issues));
  const reason = take('reason', (value) => readWord('reason', value, Object.keys(REASONS), issues));
  if (host === null || port === null || protocol === null || reason === null) return null;
  return { host, port: port === 'none' ? null : port, protocol, reason };
}

type Take = <T>(key: string, read: (value: PolicyNode) => T | null) => T | null;

/** Every key must be there: one that is left out would be compared with nothing. */
function fieldsOf(node: PolicyNode, table: KeyTable, issues: IssueList): Take | null {
  const entries = readMap(node, table, issues);
  if (entries === null) return null;
  return (key, read) => {
    const entry = entries.get(key);
    if (entry !== undefined) return read(entry.value);
    issues.error(
      node.at,
      `${table.place} without "${key}"`,
      'Remove the file, and record it with --update-baseline.',
    );
    return null;
  };
}

function isNull(node: PolicyNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

/** A name, an address, or a pattern in the grammar of policies. */
function readHostText(node: PolicyNode, issues: IssueList): string | null {
  const text = readLine('host', node, CI_LIMITS.hostCharacters, issues);
  if (text === null) return null;
  const read = text.includes('*')
    ? parsePattern(text)
    : parseHost(text.includes(':') && !text.startsWith('[') ? `[${text}]` : text);
  if (read.ok) return text;
  const why = 'reason' in read ? read.reason : read.message;
  issues.error(
    node.at,
    `"${shorten(text)}" is no host: ${why}`,
    'Write a name, an address, or a pattern such as *.example.com.',
  );
  return null;
}

/** What was denied need not be a host at all. */
function readAnyHost(node: PolicyNode, issues: IssueList): string | null {
  const text = readLine('host', node, CI_LIMITS.hostCharacters, issues);
  return text === null || !text.includes('*') ? text : readHostText(node, issues);
}

function readLine(key: string, node: PolicyNode, most: number, issues: IssueList): string | null {
  if (
    node.kind === 'scalar' &&
    typeof node.value === 'string' &&
    node.value !== '' &&
    node.value.length <= most
  )
    return node.value;
  issues.error(
    node.at,
    `"${key}" is a text of up to ${most} characters`,
    'Remove the file, and record it with --update-baseline.',
  );
  return null;
}

function readPort(node: PolicyNode, issues: IssueList): number | null {
  const port = wholeNumber(node);
  if (port !== null && port <= 65_535) return port;
  issues.error(
    node.at,
    `"port" is a number from 0 to 65535, and here stands ${describe(node)}`,
    'Write for example "port": 443.',
  );
  return null;
}

function readRules(node: PolicyNode, issues: IssueList): readonly string[] | null {
  if (node.kind === 'list' && node.items.length <= CI_LIMITS.baselineRules) {
    const rules = node.items.map((item) => readLine('rules', item, CI_LIMITS.ruleCharacters, issues));
    return rules.includes(null) ? null : rules.filter((rule) => rule !== null);
  }
  issues.error(
    node.at,
    `"rules" is a list of up to ${CI_LIMITS.baselineRules} rule ids`,
    'Write "rules": [].',
  );
  return null;
}
