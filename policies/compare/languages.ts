/** Names and paths as sequences: in which order a pattern is read, and what a label or a segment can be. */
import type { Hostname, HostPattern, PathPattern, RequestPath } from '../model.ts';
import { parseRequestPath } from '../request-path.ts';
import type { SequenceLanguage, SequencePattern } from './sequence-cells.ts';

const LABEL_CHARACTERS = [...'xyzwvutsrqponmlkjihgfedcba0123456789_-'];
/** Paths hold any character, so there is always one more than patterns name: 256 paths of 1024, at the very most. */
const PATH_CHARACTERS = [
  ...LABEL_CHARACTERS,
  ...Array.from({ length: 20_000 }, (_, at) => String.fromCodePoint(0x4e00 + at)),
];

export const NAMES: SequenceLanguage = {
  alphabet: { characters: LABEL_CHARACTERS, longest: 63, admits: () => true, remembers: () => '' },
  longest: 253,
  endsEmpty: false,
};

export const PATHS: SequenceLanguage = {
  alphabet: {
    characters: PATH_CHARACTERS,
    longest: Number.POSITIVE_INFINITY,
    admits: isSegment,
    remembers: (text) => {
      if (/%[0-9A-Fa-f]{2}/.test(text) || /^\.{1,2};/.test(text)) return null;
      return /^\.{1,2}$/.test(text) ? text : (/%[0-9A-Fa-f]?$/.exec(text)?.[0] ?? '');
    },
  },
  longest: Number.POSITIVE_INFINITY,
  endsEmpty: true,
};

/** As `request-path.ts` leaves a segment that it has judged. */
function isSegment(text: string): boolean {
  return !/^\.{1,2}(;|$)/.test(text) && !/%[0-9A-Fa-f]{2}|[/\\\p{Cc}]/u.test(text);
}

/** From the right, so that `**` comes last. */
export function sequenceOfName({ labels }: Pick<HostPattern, 'labels'>): SequencePattern {
  return labels.toReversed();
}

export function nameOfSequence(elements: readonly string[]): Hostname {
  return elements.toReversed().join('.') as Hostname;
}

export function sequenceOfPath({ segments }: PathPattern): SequencePattern {
  return segments;
}

/** What a client sends for a path of these segments. */
export function targetOfSequence(elements: readonly string[]): string {
  return `/${elements.map(encodeSegment).join('/')}`;
}

function encodeSegment(segment: string): string {
  return segment.replaceAll(/[^A-Za-z0-9\-._~!$&'()*+,;=:@]/gu, (character) => encodeURIComponent(character));
}

/** A target that no pattern matches, and that a rule without paths lets pass as it is. */
export const AMBIGUOUS_TARGET = '/x//x';

export function readTarget(target: string): RequestPath {
  return parseRequestPath(target);
}
