/**
 * The grammar of host patterns and what a pattern matches. Text outside the grammar is refused here with what
 * to write instead; only then does anything reach micromatch. Whether a wildcard is too wide for the public
 * suffix it stands on is `public-suffix.ts`.
 */
import { createRequire } from 'node:module';
import type micromatch from 'micromatch';
import { parseHost } from './hostname.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { Hostname, HostPattern } from './model.ts';

/** What a person wrote, read; or what is wrong with it and, as an imperative sentence, what to write. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string; readonly hint: string };

/** With dots written as slashes these make `*` exactly one label and a leading `**` the apex and any depth. */
const MATCH_OPTIONS = { dot: true, nonegate: true, noextglob: true, strictSlashes: true } as const;
const load: (name: string) => typeof micromatch = createRequire(import.meta.url);
const GLOB_LABEL = /^[a-z0-9_*-]{1,63}$/;
const LONGEST_NAME = 253;

export function parsePattern(text: string): Reading<HostPattern> {
  const foreign = foreignSyntax(text);
  if (foreign !== null) return foreign;
  if (!text.includes('*')) return exactPattern(text);
  const written = text.toLowerCase().split('.');
  if (written.length > 1 && written.at(-1) === '') written.pop();
  const labels: string[] = [];
  for (const [at, label] of written.entries()) {
    const read = label.includes('*') ? globLabel(text, label, at) : literalLabel(text, label);
    if (!read.ok) return read;
    labels.push(read.value);
  }
  if (labels.join('.').length > LONGEST_NAME)
    return refuse(`"${text}" is longer than any name`, 'Shorten it.');
  const last = labels.at(-1) ?? '';
  if (/^(\d+|0x[0-9a-f]*)$/.test(last) || /^[\d.*]+\d[\d.*]*$/.test(text)) {
    return refuse(
      `"${text}" reads as an address, and patterns are for names`,
      'Write a range such as 10.0.0.0/24.',
    );
  }
  if (last.includes('*')) {
    return refuse(
      `"${text}" matches names of every owner`,
      'Name the domain it stands under, for example "**.example.com".',
    );
  }
  return { ok: true, value: makePattern(labels) };
}

/** The labels after the last one with a `*`, joined: every match is below this name (or, for `**`, is it). */
export function literalTail(pattern: HostPattern): string {
  const last = pattern.labels.findLastIndex((label) => label.includes('*'));
  return pattern.labels.slice(last + 1).join('.');
}

/** How a pattern can be looked up without running it: by its own text, by its tail, or only by running it. */
export function patternShape(pattern: HostPattern): 'exact' | 'child' | 'deep' | 'glob' {
  const globs = pattern.labels.filter((label) => label.includes('*'));
  if (globs.length === 0) return 'exact';
  if (globs.length === 1 && pattern.labels[0] === '*') return 'child';
  if (globs.length === 1 && pattern.labels[0] === '**') return 'deep';
  return 'glob';
}

/** Whether every name that `inner` matches is matched by `outer`. Conservative: false where it cannot tell. */
export function subsumes(outer: HostPattern, inner: HostPattern): boolean {
  const deep = outer.labels[0] === '**';
  const tail = deep ? outer.labels.slice(1) : outer.labels;
  const innerDeep = inner.labels[0] === '**';
  const rest = innerDeep ? inner.labels.slice(1) : inner.labels;
  if (innerDeep && !deep) return false;
  if (deep ? rest.length < tail.length : rest.length !== tail.length) return false;
  const aligned = rest.slice(rest.length - tail.length);
  return tail.every((label, at) => labelSubsumes(label, aligned[at] ?? ''));
}

function labelSubsumes(outer: string, inner: string): boolean {
  if (outer === '*' || outer === inner) return true;
  const pieces = outer.split('*');
  if (pieces.length !== 2) return false;
  const [prefix = '', suffix = ''] = pieces;
  const head = inner.includes('*') ? inner.slice(0, inner.indexOf('*')) : inner;
  const foot = inner.includes('*') ? inner.slice(inner.lastIndexOf('*') + 1) : inner;
  const longEnough = inner.includes('*') || inner.length >= prefix.length + suffix.length;
  return longEnough && head.startsWith(prefix) && foot.endsWith(suffix);
}

function makePattern(labels: readonly string[]): HostPattern {
  const text = labels.join('.');
  const tail = labels.slice(1).join('.');
  const shape = patternShape({ text, labels, matches: () => false });
  if (shape === 'exact') return { text, labels, matches: (name) => name === text };
  if (shape === 'child') return { text, labels, matches: (name) => matchesChild(name, tail) };
  if (shape === 'deep')
    return { text, labels, matches: (name) => name === tail || name.endsWith(`.${tail}`) };
  let compiled: RegExp | null = null;
  const matches = (name: Hostname): boolean => {
    compiled ??= compileGlob(text);
    return compiled.test(name.replaceAll('.', '/'));
  };
  return { text, labels, matches };
}

function matchesChild(name: Hostname, tail: string): boolean {
  const head = name.length - tail.length - 1;
  return head > 0 && name.endsWith(`.${tail}`) && name.indexOf('.') === head;
}

/** The matcher costs milliseconds to load, and most policies have no glob inside a label. */
export function compileGlob(text: string): RegExp {
  const compiled = load('micromatch').makeRe(text.replaceAll('.', '/'), MATCH_OPTIONS);
  if (!(compiled instanceof RegExp)) throw new Error(`a pattern inside the grammar did not compile: ${text}`);
  return compiled;
}

function exactPattern(text: string): Reading<HostPattern> {
  const host = parseHost(text);
  if (!host.ok) return refuse(`"${text}" is no host name: ${host.reason}`, hintForName(text));
  if (host.value.kind === 'address') {
    return refuse(`"${text}" is an address, and a name is wanted`, 'Write a host name.');
  }
  return { ok: true, value: makePattern(host.value.name.split('.')) };
}

function globLabel(text: string, label: string, at: number): Reading<string> {
  if (label === '**') {
    if (at === 0) return { ok: true, value: label };
    return refuse(
      `"**" stands in first place only, not inside "${text}"`,
      'Write "*" for exactly one label there.',
    );
  }
  if (label.includes('**')) {
    return refuse(`"**" is a whole label, not part of "${label}"`, 'Write a single "*" inside a label.');
  }
  if (label.split('*').length - 1 > POLICY_LIMITS.starsPerLabel) {
    return refuse(
      `"${label}" has more than ${POLICY_LIMITS.starsPerLabel} "*"`,
      'Write several patterns, or one with fewer "*".',
    );
  }
  if (!GLOB_LABEL.test(label)) {
    return refuse(
      `"${label}" holds what does not stand in a label with "*"`,
      'Use letters, digits, "-" and "_" beside "*"; write other alphabets in their xn-- form.',
    );
  }
  return { ok: true, value: label };
}

function literalLabel(text: string, label: string): Reading<string> {
  if (label === '') return refuse(`"${text}" has an empty label`, hintForName(text));
  // The label is judged inside a name, so that digits alone are a label and not a number.
  const host = parseHost(`${label}.x`);
  const folded = host.ok && host.value.kind === 'name' ? host.value.name.slice(0, -2) : '';
  if (folded === '' || folded.includes('.')) {
    return refuse(`"${label}" in "${text}" is no label of a name`, 'Use letters, digits, "-" and "_".');
  }
  return { ok: true, value: folded };
}

/** Things that people write out of habit, each with what sand wants instead. */
function foreignSyntax(text: string): Reading<never> | null {
  if (text === '') return refuse('a pattern is empty', 'Write a host name such as api.example.com.');
  if (text.length > POLICY_LIMITS.hostCharacters) {
    return refuse('a pattern is longer than any name', 'Write a host name such as api.example.com.');
  }
  if (text.includes('://')) {
    return refuse(
      `"${text}" is a URL, and a rule takes a host`,
      'Write the host alone, without scheme and path.',
    );
  }
  if (text.startsWith('!')) {
    return refuse(`"${text}" is a negation, and patterns have none`, 'Write a rule of its own: `- deny: …`.');
  }
  if (text.includes('/')) {
    return refuse(`"${text}" is no range of addresses, and a rule takes no path`, 'Write the host alone.');
  }
  if (/^[^:]+:[0-9,-]+$/.test(text)) {
    return refuse(`"${text}" holds a port`, 'Write the host alone and the port beside it: `https: [8443]`.');
  }
  const glob = /[?[\]{}()|+@^$\\]/.exec(text);
  if (glob !== null) {
    return refuse(
      `"${glob[0]}" in "${text}" is no part of a pattern`,
      'Use "*" for part of a label or one label, a leading "**." for any depth, or several patterns.',
    );
  }
  return null;
}

function hintForName(text: string): string {
  if (text.startsWith('.'))
    return `Write "**${text}" for the name and all below it, or "*${text}" for one label.`;
  return 'Write a host name such as api.example.com.';
}

function refuse(
  message: string,
  hint: string,
): { readonly ok: false; readonly message: string; readonly hint: string } {
  return { ok: false, message, hint };
}
