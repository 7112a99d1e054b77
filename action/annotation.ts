/** Which denied requests are shown on a line of the policy file, as annotations of the runner. Pure. */
import { isAbsolute, relative } from 'node:path';
import { clipText } from '../audit/escape.ts';
import { LIMITS } from './limits.ts';
import type { CiReport, DeniedRow, PolicyDiff } from './report.ts';
import type { Annotation, Level } from './workflow-command.ts';

export interface AnnotationPlaces {
  readonly workspace: string;
  /** Where sand looked from: what it names relatively lies there. */
  readonly folder: string;
  /** Of a policy that is a file; shown where no rule denied. */
  readonly policyFile: string | null;
}

export function annotateDenied(
  { denied, drift, cuts }: CiReport,
  failOn: readonly string[],
  places: AnnotationPlaces,
): readonly Annotation[] {
  const level = (what: string): Level => (failOn.includes(what) ? 'error' : 'warning');
  const rows = denied.slice(0, LIMITS.annotations).map((row): Annotation => {
    const { file, line } = placeOf(row, places);
    return {
      level: level('denied'),
      title: `${destinationOf(row)} was denied`,
      message: messageOf(row),
      file,
      line,
    };
  });
  const changes = drift.map(
    (text): Annotation => ({
      level: level('drift'),
      title: 'egress drifted from the baseline',
      message: clipText(text, LIMITS.textCharacters),
    }),
  );
  const widenings = cuts.map(
    (text): Annotation => ({
      level: level('ceiling'),
      title: 'the policy asks for more than the ceiling of this machine',
      message: clipText(text, LIMITS.textCharacters),
    }),
  );
  return [...widenings, ...rows, ...changes].slice(0, LIMITS.annotations);
}

/** Only what widens: a reviewer has to see it on its line. */
export function annotateDiff(
  { changes }: PolicyDiff,
  failOn: readonly string[],
  places: AnnotationPlaces,
): readonly Annotation[] {
  const level: Level = failOn.includes('widen') || failOn.includes('any') ? 'error' : 'warning';
  return changes
    .filter(({ direction }) => direction === 'widens')
    .slice(0, LIMITS.annotations)
    .map(({ text, witness, file, line }): Annotation => {
      const place = placeOf({ file, line }, places);
      const message = witness === null ? text : `${text}\nnow allowed: ${witness}`;
      return { level, title: 'the egress policy widens', message, ...place };
    });
}

export function destinationOf({ host, port }: Pick<DeniedRow, 'host' | 'port'>): string {
  const shown = clipText(host, LIMITS.textCharacters);
  if (port === null) return shown;
  return shown.includes(':') ? `[${shown}]:${port}` : `${shown}:${port}`;
}

function messageOf({ reason, count, suggestion }: DeniedRow): string {
  const times = count === 1 ? 'once' : `${count} times`;
  const cure = suggestion === null ? '' : `\nto allow it: ${clipText(suggestion, LIMITS.textCharacters)}`;
  return `${clipText(reason, LIMITS.textCharacters)}, ${times}${cure}`;
}

function placeOf(
  { file, line }: { readonly file: string | null; readonly line: number | null },
  { workspace, folder, policyFile }: AnnotationPlaces,
): { readonly file: string | undefined; readonly line: number | undefined } {
  for (const [path, at] of [
    [file, line],
    [policyFile, 1],
  ] as const) {
    if (path === null) continue;
    const absolute = isAbsolute(path) ? path : `${folder}/${path}`;
    const inside = relative(workspace, absolute);
    // What lies elsewhere is no file of the change that is reviewed.
    if (inside !== '' && !inside.startsWith('..') && !isAbsolute(inside))
      return { file: inside, line: Math.max(1, at ?? 1) };
  }
  return { file: undefined, line: undefined };
}
