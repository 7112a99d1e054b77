/**
 * What a preset or group of sand holds, as canonical text with a digest, and which digests sand ever shipped: what a lock
 * keeps and is held to. Reading and judging locks is for `lock.ts`.
 */
import { createHash } from 'node:crypto';
import { decodeDocument, type PolicyDocument } from './decode.ts';
import { formatRule, quote } from './format.ts';
import { type GroupHosts, hostsOf, splitGroupName } from './group-name.ts';
import { formatLimits } from './guest-limits.ts';
import { IssueList } from './issue.ts';
import { type DataReader, readGroups, readPreset } from './presets.ts';
import { formatRequirements } from './requirements.ts';

export const HISTORY_DATA = 'history.json';

export type ShippedContent =
  | { readonly kind: 'preset'; readonly document: PolicyDocument }
  | ({ readonly kind: 'group' } & GroupHosts);

/** `preset:strict`, `group:npm`, `group:npm/all`, `group:macos-guest/quiet`; null for what this version of sand does not have. */
export function readShipped(name: string, read: DataReader): ShippedContent | null {
  const bare = name.slice(name.indexOf(':') + 1);
  if (name.startsWith('preset:')) {
    const tree = readPreset(bare, read);
    const document = tree === null ? null : decodeDocument(tree, new IssueList(name), true);
    return document === null ? null : { kind: 'preset', document };
  }
  const { name: of, part } = splitGroupName(bare);
  const group = readGroups(read)?.get(of);
  const hosts = group === undefined ? null : hostsOf(group, part);
  return hosts === null ? null : { kind: 'group', ...hosts };
}

/** Lines of YAML that say it; equal content has equal lines. */
export function formatShipped(content: ShippedContent): readonly string[] {
  if (content.kind === 'group') {
    const key = content.verb === 'mute' ? 'mutes:' : 'hosts:';
    return [key, ...content.hosts.toSorted().map((host) => `  - ${quote(host)}`)];
  }
  const { name, mode, requires, limits, rules, ...document } = content.document;
  const bases = document.extends.map(({ text }) => quote(text)).sort();
  const demands = formatRequirements(requires);
  const bounds = formatLimits(limits);
  return [
    'policy:',
    '  version: 1',
    ...(name === null ? [] : [`  name: ${quote(name)}`]),
    ...(bases.length === 0 ? [] : [`  extends: [${bases.join(', ')}]`]),
    ...(mode === null ? [] : [`  mode: ${mode.value}`]),
    ...(demands === '{}' ? [] : [`  requires: ${demands}`]),
    ...(bounds === '{}' ? [] : [`  limits: ${bounds}`]),
    ...(rules.length === 0 ? [] : ['  rules:']),
    ...rules
      .map(formatRule)
      .sort()
      .flatMap((rule) => rule.split('\n').map((line) => `  ${line}`)),
  ];
}

export function digestShipped(name: string, content: ShippedContent): string {
  return digestOf(`${name}\n${formatShipped(content).join('\n')}\n`);
}

export function digestOf(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** By name every digest that some version of sand shipped, the latest last; null where the data is damaged. */
export function readHistory(read: DataReader): ReadonlyMap<string, readonly string[]> | null {
  const bytes = read(HISTORY_DATA);
  if (bytes === null) return null;
  const { digests } = JSON.parse(new TextDecoder().decode(bytes)) as {
    readonly digests: Readonly<Record<string, readonly string[]>>;
  };
  return new Map(Object.entries(digests));
}
