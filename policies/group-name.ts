/**
 * Which part of a domain group a name means: `npm` its usual hosts, `npm/all` every one that is listed, `macos-guest/quiet` what
 * it mutes. What the parts become as rules is decided by `layers.ts`.
 */
import type { DomainGroup } from './presets.ts';

const PARTS = ['all', 'quiet'] as const;

export interface GroupName {
  readonly name: string;
  readonly part: 'usual' | (typeof PARTS)[number];
}

/** What a group, or a part of it, says: of each host the same. */
export interface GroupHosts {
  readonly verb: 'allow' | 'mute';
  readonly hosts: readonly string[];
}

/** `text` without `group:`. Whether there is such a group is not asked. */
export function splitGroupName(text: string): GroupName {
  const part = PARTS.find((one) => text.endsWith(`/${one}`));
  return part === undefined
    ? { name: text, part: 'usual' }
    : { name: text.slice(0, -(part.length + 1)), part };
}

/** Null for `quiet` of a group that mutes nothing. */
export function hostsOf(group: DomainGroup, part: GroupName['part']): GroupHosts | null {
  if (part !== 'quiet') return { verb: 'allow', hosts: part === 'all' ? group.hosts : group.usual };
  return group.muted === undefined ? null : { verb: 'mute', hosts: group.muted };
}

/** The parts of all groups that mute something, as `extends` takes them without `group:`. */
export function quietNames(groups: ReadonlyMap<string, DomainGroup>): readonly string[] {
  return [...groups].flatMap(([name, { muted }]) => (muted === undefined ? [] : [`${name}/quiet`]));
}
