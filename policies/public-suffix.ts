/**
 * Decides whether a wildcard stands directly on a public suffix, where names belong to many owners. What
 * follows from it (an error, a warning) is for `decode.ts` and its kin.
 */
import { createRequire } from 'node:module';
import type * as tldts from 'tldts';
import type { HostPattern } from './model.ts';
import { literalTail, patternShape } from './pattern.ts';

export type WildcardScope =
  | { readonly kind: 'owned' }
  /** A registry's suffix (`com`, `co.uk`): anybody can register below it. */
  | { readonly kind: 'icann'; readonly suffix: string }
  /** A company's suffix (`github.io`): any of its customers has a name below it. */
  | { readonly kind: 'private'; readonly suffix: string };

const load: (name: string) => typeof tldts = createRequire(import.meta.url);

/** The list of suffixes costs milliseconds to load, so it is loaded for the first wildcard. */
export function wildcardScope(pattern: HostPattern): WildcardScope {
  if (patternShape(pattern) === 'exact') return { kind: 'owned' };
  const tail = literalTail(pattern);
  // The suffix of a name just below the tail tells whether the tail, or everything below it, is a suffix.
  const found = load('tldts').parse(`sand.${tail}`, {
    allowPrivateDomains: true,
    validateHostname: false,
    extractHostname: false,
  });
  const suffix = found.publicSuffix;
  if (suffix === null || suffix.length < tail.length) return { kind: 'owned' };
  if (found.isIcann === true) return { kind: 'icann', suffix: tail };
  if (found.isPrivate === true) return { kind: 'private', suffix: tail };
  return { kind: 'owned' };
}

/** Whether a name is just below a public suffix, where one owner has all names under it. */
export function isRegistrable(name: string): boolean {
  const found = load('tldts').parse(name, {
    allowPrivateDomains: true,
    validateHostname: false,
    extractHostname: false,
  });
  return found.domain === name;
}
