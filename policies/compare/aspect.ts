/** In what a difference consists: which part of what a rule says makes it. */
import { rangeContains } from '../address.ts';
import type { Rule } from '../model.ts';
import { matchesPath } from '../path-pattern.ts';
import { holdsPort, PROTOCOLS } from '../port-range.ts';
import type { Aspect } from './difference.ts';
import type { Point } from './request-comparison.ts';
import type { SubjectChange } from './sides.ts';

export function aspectOf(cause: SubjectChange | 'mode' | 'ceiling', point: Point): Aspect {
  if (typeof cause === 'string') return cause;
  if (point.limit !== null) return 'limit';
  if (cause.verb === 'deny') return 'deny';
  const other = point.direction === 'widens' ? cause.before : cause.after;
  if (other.length === 0) return subjectAspect(cause);
  return (
    firstMissing(
      other.map(({ rule }) => rule),
      point,
    ) ?? subjectAspect(cause)
  );
}

/** What the rules of the side that denies lack, from the port inward. */
function firstMissing(rules: readonly Rule[], { asked, address }: Point): Aspect | null {
  const { port, protocol, request, atMs } = asked;
  const steps: readonly (readonly [Aspect, (rule: Rule) => boolean])[] = [
    ['port', ({ ports }) => PROTOCOLS.some((one) => holdsPort(ports[one], port))],
    ['scheme', ({ ports }) => holdsPort(ports[protocol], port) || holdsPort(ports.tcp, port)],
    ['until', ({ untilMs }) => untilMs === undefined || atMs < untilMs],
    ['method', ({ methods }) => request === null || (methods?.includes(request.method) ?? true)],
    [
      'path',
      ({ paths }) =>
        paths === undefined || (request?.http.path.ok === true && reaches(paths, request.http.path.segments)),
    ],
    ['metadata', ({ metadata, subjects }) => metadata || subjects.every(({ kind }) => kind !== 'range')],
    ['address', ({ addresses }) => addresses?.some((range) => rangeContains(range, address)) ?? false],
  ];
  let left = rules;
  for (const [aspect, holds] of steps) {
    left = left.filter(holds);
    if (left.length === 0) return aspect;
  }
  return null;
}

function reaches(paths: NonNullable<Rule['paths']>, segments: readonly string[]): boolean {
  return paths.some((pattern) => matchesPath(pattern, segments));
}

function subjectAspect({ subject, text, before, after }: SubjectChange): Aspect {
  if (subject.kind === 'range')
    return [...before, ...after].some(({ rule }) => rule.metadata) ? 'metadata' : 'address';
  return text.includes('*') ? 'wildcard' : 'name';
}
