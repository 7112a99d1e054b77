/** A change that would turn a verdict, as lines to paste and as commands for a shell. */
import { pasteLine, type RuleContent, rangeWord, subjectWord } from '../edit/rule-text.ts';
import type { PolicyPhase, Rule } from '../model.ts';
import { formatPortRange, PROTOCOLS } from '../port-range.ts';
import type { Turning } from './turning.ts';

export interface TurningText {
  /** What to take out, a line each: where it stands, and what. */
  readonly remove: readonly string[];
  /** What to write below `rules:`. */
  readonly add: string | null;
  /** The same as commands; none where a part of it stands in what comes with sand. */
  readonly commands: readonly string[];
}

/** Where a change goes. */
export interface TurningPlace {
  /** The policy file to write to; null: what the commands find by themselves. */
  readonly file: string | null;
  /** The phase that was asked about, so that no other is opened; null where the policy has none. */
  readonly phase: PolicyPhase | null;
}

export function describeTurning({ remove, add }: Turning, { file, phase }: TurningPlace): TurningText {
  const inFiles = remove.every(isInFile);
  const commands = [
    ...remove.flatMap((rule) =>
      rule.subjects.map((subject) =>
        command([
          ...['deny', quoted(subjectWord(subject)), '--remove'],
          ...(phase?.own.includes(rule) === true ? ['--phase', quoted(phase.name)] : []),
          ...['--file', quoted(rule.origin.file)],
        ]),
      ),
    ),
    ...(add === null ? [] : [allowCommand(add, file, phase)]),
  ];
  return {
    remove: remove.map((rule) => `${placeOf(rule)}: ${pasteLine(rule)}`),
    add: add === null ? null : pasteLine(add),
    commands: inFiles ? commands : [],
  };
}

function allowCommand(rule: RuleContent, file: string | null, phase: PolicyPhase | null): string {
  const flag = (name: string, values: readonly string[] | undefined | null): readonly string[] =>
    (values ?? []).flatMap((value) => [name, quoted(value)]);
  const isWeb = rule.ports.http.some(({ from }) => from === 80) && rule.ports.https.length > 0;
  const ports = PROTOCOLS.flatMap((protocol) =>
    isWeb ? [] : flag(`--${protocol}`, rule.ports[protocol].map(formatPortRange)),
  );
  return command([
    'allow',
    ...rule.subjects.map((subject) => quoted(subjectWord(subject))),
    ...ports,
    ...flag('--method', rule.methods),
    ...flag(
      '--path',
      rule.paths?.map(({ text }) => text),
    ),
    ...flag('--address', rule.addresses?.map(rangeWord)),
    ...(rule.untilMs === undefined ? [] : ['--for', '1h']),
    ...flag('--phase', phase === null ? [] : [phase.name]),
    ...flag('--file', file === null ? [] : [file]),
  ]);
}

function command(words: readonly string[]): string {
  return ['sand', 'policy', ...words].join(' ');
}

/** A word that no shell reads as more than itself. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_./:@%+,-]+$/.test(word) && !word.startsWith('-')
    ? word
    : `'${word.replaceAll("'", "'\\''")}'`;
}

function isInFile({ origin }: Rule): boolean {
  return origin.line > 0 && !/^(preset|group):/.test(origin.file);
}

function placeOf({ origin }: Rule): string {
  return origin.line === 0 ? origin.file : `${origin.file}:${origin.line}`;
}
