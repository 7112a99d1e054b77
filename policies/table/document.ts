/**
 * A table of requests with expected verdicts, read from the text of a `*.policy-test.yaml`: strictly, every mistake with
 * its line. What comes of the requests is for `judge.ts`.
 */

import { parseAddress } from '../address.ts';
import { parseDocument } from '../document.ts';
import type { MapEntry, PolicyNode } from '../document-tree.ts';
import { parseAuthority } from '../hostname.ts';
import { IssueList, type Position } from '../issue.ts';
import { POLICY_LIMITS } from '../limits.ts';
import type { EgressRequest, IpAddress, Parsed, Protocol } from '../model.ts';
import {
  type KeyTable,
  readList,
  readMap,
  readText,
  readWord,
  shorten,
  wholeNumber,
} from '../node-reading.ts';
import { PROTOCOLS } from '../port-range.ts';
import { REASONS, type Reason } from '../reasons.ts';
import { parseRequestPath } from '../request-path.ts';
import { readUntil } from '../rule-values.ts';
import { closestWord } from '../spelling.ts';

export interface TableCase {
  readonly at: Position;
  /** As it was written. */
  readonly asked: string;
  readonly request: EgressRequest;
  readonly expected: 'allow' | 'deny';
  /** Null: whatever comes. */
  readonly reason: Reason | null;
  /** Id of the rule that decides. */
  readonly rule: string | null;
  /** What the name resolves to; empty: the addresses are not judged. */
  readonly addresses: readonly IpAddress[];
  /** Null: the clock's time. */
  readonly atMs: number | null;
  readonly phase: string | null;
}

export interface PolicyTable {
  /** As for `--policy`, files relative to the table's folder; empty: the file's own name says. */
  readonly policies: readonly string[];
  readonly cases: readonly TableCase[];
}

const TABLE_KEYS: KeyTable = {
  place: 'a policy test',
  known: ['version', 'policy', 'at', 'cases'],
  later: [],
};
const CASE_KEYS: KeyTable = {
  place: 'a case',
  known: ['allow', 'deny', 'as', 'reason', 'rule', 'resolves-to', 'at', 'phase'],
  later: [],
};
/** The web's own ports, for a host without one. */
const HTTPS_PORT = 443;
const HTTP_PORT = 80;
const SAMPLE = 'Write for example "api.example.com", "api.example.com:8443" or "api.example.com GET /v1".';

export function parseTable(content: Uint8Array | string, file: string): Parsed<PolicyTable> {
  const tree = parseDocument(content, file);
  if (!tree.ok) return tree;
  const issues = new IssueList(file);
  const table = decodeTable(tree.value, issues);
  return table === null || issues.failed ? { ok: false, issues: issues.issues } : { ok: true, value: table };
}

function decodeTable(tree: PolicyNode, issues: IssueList): PolicyTable | null {
  if (tree.kind === 'scalar' && tree.value === null) {
    issues.error(tree.at, 'the file is empty', 'Write "version: 1" and cases.');
    return null;
  }
  const entries = readMap(tree, TABLE_KEYS, issues);
  if (entries === null) return null;
  const version = entries.get('version');
  if (version === undefined || wholeNumber(version.value) !== 1) {
    issues.error(version?.value.at ?? tree.at, 'a policy test has version 1', 'Begin with "version: 1".');
  }
  const atMs = readUntil(entries.get('at'), issues);
  const cases = entries.get('cases');
  if (cases === undefined || cases.value.kind !== 'list' || cases.value.items.length === 0) {
    issues.error(
      cases?.value.at ?? tree.at,
      '"cases" lists what is asked',
      'Write cases: and a "- allow: …".',
    );
    return null;
  }
  if (cases.value.items.length > POLICY_LIMITS.rules) {
    issues.error(cases.value.at, `a table has at most ${POLICY_LIMITS.rules} cases`, 'Split the file.');
    return null;
  }
  return {
    policies: readNames(entries.get('policy'), issues),
    cases: cases.value.items.flatMap((item) => decodeCase(item, atMs, issues)),
  };
}

function readNames(entry: MapEntry | undefined, issues: IssueList): readonly string[] {
  if (entry === undefined) return [];
  return (readList(entry, issues) ?? []).flatMap((node) => {
    const name = readText('policy', node, issues);
    if (name === '') issues.error(node.at, '"policy" is empty', 'Name a preset, a group or a file.');
    return name === null || name === '' ? [] : [name];
  });
}

/** One case for each request that it lists. */
function decodeCase(node: PolicyNode, atMs: number | null, issues: IssueList): readonly TableCase[] {
  const before = issues.issues.length;
  const entries = readMap(node, CASE_KEYS, issues);
  if (entries === null) return [];
  const isKnown = issues.issues.length === before;
  const expected = readExpected(node, entries, isKnown, issues);
  if (expected === null) return [];
  const as = entries.get('as');
  const protocol = as === undefined ? null : readWord('as', as.value, PROTOCOLS, issues);
  const common = {
    expected: expected.verb,
    reason: readReason(entries.get('reason'), issues),
    rule: readOptional(entries.get('rule'), issues),
    phase: readOptional(entries.get('phase'), issues),
    addresses: readAddressList(entries.get('resolves-to'), issues),
    atMs: readUntil(entries.get('at'), issues) ?? atMs,
  };
  return (readList(expected.entry, issues) ?? []).flatMap((item): TableCase[] => {
    const asked = readText(expected.verb, item, issues);
    const request = asked === null ? null : readRequest(asked, protocol, item.at, issues);
    return asked === null || request === null ? [] : [{ at: item.at, asked, request, ...common }];
  });
}

function readExpected(
  node: PolicyNode,
  entries: ReadonlyMap<string, MapEntry>,
  isKnown: boolean,
  issues: IssueList,
): { readonly verb: 'allow' | 'deny'; readonly entry: MapEntry } | null {
  const allow = entries.get('allow');
  const deny = entries.get('deny');
  if (allow !== undefined && deny === undefined) return { verb: 'allow', entry: allow };
  if (deny !== undefined && allow === undefined) return { verb: 'deny', entry: deny };
  // A misspelt key has been told already.
  if (isKnown || allow !== undefined) {
    issues.error(
      node.at,
      'a case expects either allow or deny',
      'Write "- allow: HOST" or "- deny: HOST", each as a case.',
    );
  }
  return null;
}

/** `HOST[:PORT] [METHOD PATH]`, as `sand why` takes it. */
function readRequest(
  text: string,
  protocol: Protocol | null,
  at: Position,
  issues: IssueList,
): EgressRequest | null {
  const [host = '', method, path, ...rest] = text.trim().split(/ +/);
  const isRequest = method !== undefined;
  const authority = parseAuthority(host, isRequest || protocol === 'http' ? HTTP_PORT : HTTPS_PORT);
  if (!authority.ok) {
    issues.error(at, `"${shorten(host)}" is no host to ask for: ${authority.reason}`, SAMPLE);
    return null;
  }
  if (!isRequest) return { authority: authority.value, protocol };
  const isWhole = path?.startsWith('/') === true && rest.length === 0;
  if (!isWhole || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) {
    issues.error(at, `"${shorten(text)}" is no request`, SAMPLE);
    return null;
  }
  if (protocol !== null && protocol !== 'http') {
    issues.error(at, 'method and path are of plain HTTP', 'Remove as, or the method and the path.');
    return null;
  }
  const http = { method, path: parseRequestPath(path) };
  return { authority: authority.value, protocol: 'http', http };
}

function readReason(entry: MapEntry | undefined, issues: IssueList): Reason | null {
  const text = readOptional(entry, issues);
  if (entry === undefined || text === null) return null;
  const known = Object.keys(REASONS) as Reason[];
  const reason = known.find((one) => one === text);
  if (reason !== undefined) return reason;
  const close = closestWord(text, known);
  const hint = close === null ? 'The reasons are in docs/reasons.md.' : `Did you mean "${close}"?`;
  issues.error(entry.value.at, `there is no reason "${shorten(text)}"`, hint);
  return null;
}

function readOptional(entry: MapEntry | undefined, issues: IssueList): string | null {
  return entry === undefined ? null : readText(entry.key, entry.value, issues);
}

function readAddressList(entry: MapEntry | undefined, issues: IssueList): readonly IpAddress[] {
  if (entry === undefined) return [];
  return (readList(entry, issues) ?? []).flatMap((node) => {
    const text = readText(entry.key, node, issues);
    const address = text === null ? null : parseAddress(text);
    if (address?.ok === true) return [address.value];
    if (address !== null) {
      const message = `"${shorten(text ?? '')}" is no address: ${address.reason}`;
      issues.error(node.at, message, 'Write an address such as 192.0.2.7.');
    }
    return [];
  });
}
